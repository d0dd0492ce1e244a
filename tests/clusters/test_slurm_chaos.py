"""
A SLURM whose programs lie, hang and fail, whose controller goes away, under a daemon that is killed.

Nothing is lost, nothing runs twice, nothing ends falsely. ``AREX_CHAOS_JOBS`` (2000 is the full test), ``_KILLS`` and
``_OUTAGE_S`` say how long it takes.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from arex.config.load import load
from arex.controldir.layout import FlatLayout, Place
from arex.controldir.store import ControlDir
from arex.model.ids import JobId
from plugins.local import LocalPlugin
from plugins.local.submission import Submitted
from tests.clusters.wrappers import Wrappers

CHECKOUT: Final = Path(__file__).resolve().parents[2]
JOBS: Final = int(os.environ.get("AREX_CHAOS_JOBS", "2000"))
KILLS: Final = int(os.environ.get("AREX_CHAOS_KILLS", "5"))
OUTAGES: Final = int(os.environ.get("AREX_CHAOS_OUTAGES", "2"))
OUTAGE_S: Final = float(os.environ.get("AREX_CHAOS_OUTAGE_S", "120"))
PROGRAMS: Final = ("sbatch", "squeue", "scancel", "scontrol", "sacct")
#: Share of the calls that go wrong.
FAULTS: Final = (
    ("sbatch", "fail-before", "8%"),
    ("sbatch", "fail-after", "8%"),
    ("sbatch", "hang", "2%"),
    ("sbatch", "hang-after", "3%"),
    ("sbatch", "garbage", "4%"),
    ("sbatch", "truncate", "3%"),
    ("sbatch", "late", "5%"),
    ("squeue", "fail-before", "10%"),
    ("squeue", "hang", "3%"),
    ("squeue", "garbage", "5%"),
    ("squeue", "truncate", "5%"),
    ("squeue", "late", "5%"),
    ("sacct", "fail-before", "20%"),
)


class Ce:
    """A service over wrapped programs, in a separate directory."""

    def __init__(self, root: Path, more: str = "", queues: tuple[str, ...] = ("main",)) -> None:
        self.root = root
        self.wrappers = Wrappers(root / "bin", {name: _real(name) for name in PROGRAMS})
        self.conf = root / "arc.conf"
        self.conf.write_text(
            f"[common]\n[arex]\ncontroldir={root}/ctl\nsessiondir={root}/session\npidfile={root}/arex.pid\n"
            f"logfile={root}/arex.log\njoblog={root}/jobs.log\nwakeupperiod=10\n[lrms]\nlrms=slurm\n"
            f"slurm_bin_path={root}/bin\n[arex/service]\nallow_root=yes\nlrms_timeout=5\narray_most=12\n{more}"
            + "".join(f"[queue:{name}]\n" for name in queues)
        )
        self.plugin = LocalPlugin(load(self.conf, {})[0], subject="/CN=me")
        self.store = ControlDir(FlatLayout(root / "ctl"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = [sys.executable, "-I", str(CHECKOUT / "arex" / "__main__.py"), "run", "-c", str(self.conf)]
        with (self.root / "daemon.out").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, cwd="/")

    def end(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(120)

    def submit(self, script: str, wishes: str = "") -> JobId:
        """What a ``$`` stands for is settled by the job script, before this one runs."""
        return self._submit(f'(executable="/bin/sh")(arguments="-c" "{script}"){wishes}')

    def submit_program(self, text: str) -> JobId:
        program = self.root / f"program{len(list(self.root.glob('program*')))}"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        return self._submit(f'(executable="{program}")')

    def _submit(self, what: str) -> JobId:
        text = f'&{what}(stdout="o")(stderr="e")(jobname="chaos")'
        [outcome] = self.plugin.submit([text])
        assert isinstance(outcome, Submitted), outcome
        return outcome.id

    def finished(self) -> int:
        try:
            return len(os.listdir(self.root / "ctl" / Place.FINISHED))
        except FileNotFoundError:
            return 0

    def wait_until_finished(self, jobs: int, limit_s: float) -> None:
        limit = time.monotonic() + limit_s
        while self.finished() < jobs:
            assert time.monotonic() < limit, f"{self.finished()} of {jobs} are finished\n{self.said()}"
            time.sleep(0.2)

    def status(self) -> str:
        """What ``arex status`` reads."""
        try:
            return (self.root / "ctl" / "arex.status").read_text()
        except FileNotFoundError:  # it follows in two seconds
            return ""

    def said(self) -> str:
        return (self.root / "daemon.out").read_text(errors="replace")[-6000:]

    def failures(self) -> list[str]:
        names = self.store.scan_names(Place.FINISHED)
        return [f"{job}: {why}" for job in names if (why := self.store.failure(job))]


def _real(name: str) -> Path:
    found = shutil.which(name)
    assert found is not None, "there is no SLURM here: start it with `sh tools/clusters/slurm.sh up`"
    return Path(found)


def controller(what: str) -> None:
    subprocess.run(["sh", CHECKOUT / "tools/clusters/slurm.sh", f"{what}-controller"], check=True, capture_output=True)


@pytest.fixture
def ce(tmp_path: Path) -> Iterator[Ce]:
    ce = Ce(tmp_path)
    ce.start()
    yield ce
    ce.end(signal.SIGTERM)


@pytest.mark.timeout(3000)
def test_nothing_is_lost_and_nothing_runs_twice_whatever_slurm_says(ce: Ce) -> None:
    runs = ce.root / "runs"
    runs.touch()
    chance = random.Random(20261120)
    for command, kind, share in FAULTS:
        ce.wrappers.fault(command, kind, 1)  # each at least once
        ce.wrappers.fault(command, kind, share)

    def feed() -> None:
        for number in range(JOBS):
            ce.submit(f"echo {number} >>{runs}")
            time.sleep(chance.choice((0, 0, 0, 0.05, 0.2)) * min(1.0, 500 / JOBS))

    feeder = threading.Thread(target=feed)
    feeder.start()
    for turn in range(max(KILLS, OUTAGES)):
        if turn < OUTAGES:
            controller("stop")
            time.sleep(OUTAGE_S / 2)
        if turn < KILLS:
            ce.end(signal.SIGKILL)
            ce.start()
        if turn < OUTAGES:
            time.sleep(OUTAGE_S / 2)
            controller("start")
        time.sleep(chance.uniform(2, 8))
    feeder.join()
    ce.wait_until_finished(JOBS, 1200)

    print(dict(ce.wrappers.calls()), dict(ce.wrappers.faults()))
    assert Counter(range(JOBS)) == Counter(int(line) for line in runs.read_text().splitlines())
    assert [] == ce.failures()
    assert JOBS == ce.finished()
    assert {f"{command}:{kind}" for command, kind, _ in FAULTS if command != "sacct"} <= {*ce.wrappers.faults()}


@pytest.mark.timeout(600)
def test_every_end_is_seen_although_slurm_forgets_at_once_and_is_hardly_asked(tmp_path: Path) -> None:
    """
    SLURM remembers an ended job for two seconds, and is asked once a minute.

    Half of the jobs leave a completion record; the others kill their own script, so only SLURM can report their end.
    """
    age = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, check=True).stdout
    seconds = next(line.split()[2] for line in age.splitlines() if line.startswith("MinJobAge"))
    assert seconds == "2", f"start it with SLURM_MIN_JOB_AGE=2; MinJobAge is {seconds}"
    ce = Ce(tmp_path, "scan_period=60\nrecord_wait=20\n")
    ce.start()
    try:
        well = [ce.submit("exit 0") for _ in range(10)]
        badly = [ce.submit_program("kill -9 $PPID") for _ in range(10)]
        ce.wait_until_finished(20, 480)
    finally:
        ce.end(signal.SIGTERM)

    assert [""] * len(well) == [ce.store.failure(job) for job in well]
    assert all(ce.store.failure(job).startswith("LRMS error: (") for job in badly), [
        ce.store.failure(job) for job in badly
    ]
