"""Trouble with a real SLURM on this machine: its programs lie, hang and fail, and its controller is stopped."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from arex.model.ids import JobId
from lrms import processes
from tests.clusters.wrappers import Wrappers
from tests.faults.campaign.payloads import Payload
from tests.faults.campaign.site import Site, words_of
from tests.faults.campaign.troubles import Troubles

PROGRAMS: Final = ("sbatch", "squeue", "scancel", "scontrol", "sacct")
_TOOL: Final = Path(__file__).resolve().parents[3] / "tools/clusters/slurm.sh"
_FAULTS: Final = {
    "sbatch": ("fail-before", "fail-after", "hang", "hang-after", "garbage", "truncate", "late", "limit"),
    "squeue": ("fail-before", "hang", "garbage", "truncate", "late"),
    "scancel": ("fail-before", "hang", "late"),
}


class SlurmTroubles(Troubles):
    """Those of a batch system; file systems are not among them, since SLURM's own processes write the sessions."""

    def __init__(self, site: Site, dice: random.Random, jobs: Mapping[JobId, Payload], wrappers: Wrappers) -> None:
        super().__init__(site, dice, jobs, can_mount=False)
        self._wrappers = wrappers
        self.kinds |= {
            "stop and start of slurmctld": (self.stop_controller, 1),
            "programs of SLURM that go wrong": (self.fail_programs, 8),
        }

    def stop_controller(self) -> int:
        _controller("stop")
        self._pause(20)
        _controller("start")
        return 1

    def fail_programs(self) -> int:
        before = sum(self._wrappers.faults().values())
        command = self._dice.choice([*_FAULTS])
        self._wrappers.fault(command, self._dice.choice(_FAULTS[command]), self._dice.randrange(1, 4))
        self._pause(3)
        return sum(self._wrappers.faults().values()) - before

    def end(self) -> None:
        self._wrappers.mend()
        super().end()
        self._site.signal(signal.SIGKILL, self._hanging())

    def _hanging(self) -> list[int]:
        """Programs that were to hang, of daemons that are gone."""
        wrapped = str(self._wrappers.bin).encode()
        return [pid for pid in processes.pids() if b"wrapper.py\0" + wrapped + b"\0" in words_of(pid)]


def _controller(what: str) -> None:
    subprocess.run(["sh", _TOOL, f"{what}-controller"], check=True, capture_output=True)
