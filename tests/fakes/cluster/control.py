"""A fake cluster for one test: its programs in a separate directory, its faults, and what was called."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_HERE: Final = Path(__file__).resolve().parent
COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "slurm": ("sbatch", "squeue", "scancel", "scontrol", "sacct", "sinfo"),
    "pbs": ("qsub", "qstat", "qdel", "qhold", "qrls"),
    "lsf": ("bsub", "bjobs", "bkill", "bstop", "bresume"),
}
_SERVE: Final = (
    f"import sys; sys.path.insert(0, {str(_HERE.parent.parent.parent)!r}); "
    "from tests.fakes.cluster.server import main; main()"
)


class FakePrograms:
    """
    The programs of one batch system, over a cluster that really runs jobs.

    Args:
        root: a directory that no one else uses.
        system: ``slurm``, ``pbs`` or ``lsf``.
        settings: variables of the environment beside those of ``engine.Settings``: ``FAKE_SLOTS``, ``FAKE_MIN_AGE``,
            ``FAKE_MINUTE`` (seconds in a minute of a limit), ``FAKE_SACCT=off``, ``FAKE_SACCT_LAG``, ``FAKE_QUEUES``,
            ``FAKE_PBS=openpbs|torque``, ``FAKE_SLURM`` (version).
    """

    def __init__(self, root: Path, system: str, **settings: str) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self._write_programs(system)
        self._server = subprocess.Popen(
            [sys.executable, "-I", "-c", _SERVE, str(root), system],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **settings},
        )
        assert self._server.stdout is not None
        if (said := self._server.stdout.readline()) != b"ready\n":
            self.stop()
            raise AssertionError(f"the controller does not start: {said!r}")

    def _write_programs(self, system: str) -> None:
        self.bin.mkdir(exist_ok=True)
        for name in COMMANDS[system]:
            program = self.bin / name
            words = (sys.executable, "-S", "-I", str(_HERE / "client.py"), str(self.root), name)
            program.write_text("#!/bin/sh\nexec " + " ".join(f"'{each}'" for each in words) + ' "$@"\n')
            program.chmod(0o755)

    @property
    def bin(self) -> Path:
        """For ``X_bin_path``."""
        return self.root / "bin"

    @property
    def env(self) -> Mapping[str, str]:
        """The environment in which the programs are found first."""
        return {"PATH": f"{self.bin}:{os.environ.get('PATH', '/usr/bin:/bin')}"}

    def fault(self, command: str, kind: str, times: int | str = 1) -> None:
        """
        Let the next calls go wrong.

        Args:
            command: ``*`` for any.
            kind: ``fail-before``, ``fail-after``, ``hang``, ``hang-after``, ``garbage``, ``truncate``,
                ``late SECONDS``, ``locale``, ``down``, ``limit``.
            times: how often, or ``always``.
        """
        with open(self.root / "faults", "a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(f"{command} {kind} {times}\n")

    def mend(self) -> None:
        """No more faults."""
        with open(self.root / "faults", "a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)

    def calls(self) -> Mapping[str, int]:
        """How often each program was called."""
        path = self.root / "calls"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def log(self) -> list[tuple[str, list[str]]]:
        """Every call with its arguments, in order."""
        path = self.root / "log"
        whole, _, _being_written = path.read_text().rpartition("\n") if path.exists() else ("", "", "")
        lines: list[dict[str, Any]] = [json.loads(each) for each in whole.splitlines()]
        return [(each["command"], each["argv"]) for each in lines]

    def run(self, command: str, *argv: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Call a program, as a person would."""
        return subprocess.run([self.bin / command, *argv], capture_output=True, text=True, check=False, **more)

    def end(self, localid: str, cause: str) -> None:
        """End a job as no command could: ``node failure``, ``preempted``, ``never started``."""
        done = subprocess.run(
            [sys.executable, "-SI", _HERE / "client.py", self.root, "@end", localid, cause], check=True, timeout=20
        )
        assert done.returncode == 0

    def stop(self) -> None:
        """End the controller and all jobs; from then on no program gets an answer. A second time does no harm."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(timeout=20)
        self._server.stdout.close()
