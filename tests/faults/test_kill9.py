"""The daemon is killed again and again while jobs pass through: nothing is lost, nothing runs twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from arex.config.load import load
from arex.controldir.layout import FlatLayout, Place
from arex.controldir.store import ControlDir
from arex.controldir.temporary import writer_of
from plugins.local import LocalPlugin
from plugins.local.submission import Submitted

CHECKOUT = Path(__file__).resolve().parents[2]
JOBS = int(os.environ.get("AREX_FAULT_JOBS", "200"))
KILLS = int(os.environ.get("AREX_FAULT_KILLS", "20"))


class Daemon:
    """``arex run`` as a separate process."""

    def __init__(self, config: Path, log: Path) -> None:
        self.argv = [sys.executable, "-I", str(CHECKOUT / "arex" / "__main__.py"), "run", "-c", str(config)]
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv, stdout=log, stderr=log)

    def end(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(60)


def wait_for(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < limit_s, f"not within {limit_s} s: {what}"
        time.sleep(0.05)


def write_config(root: Path) -> Path:
    config = root / "arc.conf"
    config.write_text(
        f"[common]\n[arex]\ncontroldir={root}/ctl\nsessiondir={root}/session\npidfile={root}/arex.pid\n"
        f"logfile={root}/arex.log\njoblog={root}/jobs.log\nmaxjobs=-1 8 -1 -1 -1\n"
        "[arex/service]\nallow_root=yes\n[lrms]\nlrms=fork\n[queue:fork]\n",
        encoding="utf-8",
    )
    return config


def processes_of(root: Path) -> list[str]:
    """Command lines of all processes that have to do with this control directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            if str(root).encode() in text and b"pytest" not in text.split(b"\0\0")[0]:
                found.append(f"{entry.name}: {(entry / 'cmdline').read_bytes()!r}")
        except OSError:
            continue
    return found


@pytest.mark.timeout(900)
def test_two_hundred_jobs_survive_twenty_kills(tmp_path: Path) -> None:
    """All finish, each payload ran exactly once, no file is left half written, no process is left."""
    config_file = write_config(tmp_path)
    config, _ = load(config_file, os.environ)
    plugin = LocalPlugin(config)
    runs = tmp_path / "runs"
    runs.touch()
    jobs: list[str] = []
    chance = random.Random(20261120)

    def feed() -> None:
        for number in range(JOBS):
            script = f"echo {number} >> {runs}; exec /bin/sleep 0.0{number % 10}"
            [outcome] = plugin.submit([f'&(executable="/bin/sh")(arguments="-c" "{script}")(stdout="o")(stderr="e")'])
            assert isinstance(outcome, Submitted), outcome
            jobs.append(outcome.id)
            time.sleep(0.03)

    feeder = threading.Thread(target=feed)
    daemon = Daemon(config_file, tmp_path / "daemon.out")
    daemon.start()
    feeder.start()
    finished = tmp_path / "ctl" / Place.FINISHED
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.15, 0.9))
            daemon.end(signal.SIGKILL)
            daemon.start()
        feeder.join()
        wait_for(lambda: len(list(finished.iterdir())) == JOBS, 240, f"{JOBS} jobs finished")
    finally:
        daemon.end(signal.SIGTERM)

    assert Counter(range(JOBS)) == Counter(int(line) for line in runs.read_text().splitlines())
    store = ControlDir(FlatLayout(tmp_path / "ctl"))
    for job in store.scan_names(Place.FINISHED):
        found = store.read_status(job)
        assert found is not None
        assert "FINISHED" == str(found.status)
        assert "" == store.failure(job)
        local = store.read_local(job)
        assert local is not None
        assert local.cleanuptime is not None
        assert local.odd == local.extra == ()
    assert len(jobs) == JOBS
    left = [path for path in (tmp_path / "ctl").rglob("*") if writer_of(path.name) is not None]
    assert [] == left
    wait_for(lambda: not processes_of(tmp_path), 90, "no process is left")


@pytest.mark.timeout(400)
def test_a_long_job_goes_on_while_the_daemon_is_dead(tmp_path: Path) -> None:
    """A job that runs through a kill, and one that ends during it, are both taken over."""
    config_file = write_config(tmp_path)
    config, _ = load(config_file, os.environ)
    plugin = LocalPlugin(config)
    gates = [tmp_path / "one", tmp_path / "two"]
    for gate in gates:
        os.mkfifo(gate)
    [short, held] = plugin.submit(
        [f'&(executable="/bin/sh")(arguments="-c" "read x < {gate}; exit 5")(stdout="o")(stderr="e")' for gate in gates]
    )
    assert isinstance(short, Submitted)
    assert isinstance(held, Submitted)
    daemon = Daemon(config_file, tmp_path / "daemon.out")
    daemon.start()
    store = ControlDir(FlatLayout(tmp_path / "ctl"))

    def state(job: Submitted) -> str:
        found = store.read_status(job.id)
        return str(found.status) if found else ""

    try:
        wait_for(lambda: state(short) == state(held) == "INLRMS", 90, "both run")
        daemon.end(signal.SIGKILL)
        gates[0].write_text("go\n", encoding="utf-8")
        daemon.start()
        wait_for(lambda: state(short) == "FINISHED", 90, "the one that was let go is finished")
        assert "INLRMS" == state(held)
        gates[1].write_text("go\n", encoding="utf-8")
        wait_for(lambda: state(held) == "FINISHED", 90, "the other is finished")
    finally:
        daemon.end(signal.SIGTERM)

    for job in (short, held):
        assert "LRMS error: (5) Job finished with wrong exit code - 5 != 0\n" == store.failure(job.id)
