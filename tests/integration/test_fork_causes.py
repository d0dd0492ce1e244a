"""Why a job of this machine has ended: each cause brought about for real, and told to the job's owner by its name."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from arex.controldir.layout import Mark
from arex.model.ids import JobId
from lrms import processes
from tests.faults.service import Service, wait_for

WAIT = "exec sleep 600"


class Site(Service):
    """One service whose jobs run shell scripts."""

    def run(self, script: str, *wishes: str, first: str = "#!/bin/sh") -> JobId:
        programs = self.root / "programs"
        programs.mkdir(exist_ok=True)
        program = programs / str(len(list(programs.iterdir())))
        program.write_text(f"{first}\n{script}\n")
        program.chmod(0o755)
        return self.submit(f'&(executable="{program}"){"".join(f"({wish})" for wish in wishes)}')

    def supervisor(self, job: JobId) -> int:
        """Wait until the job script has come to the payload; the pid of the supervisor."""
        wait_for(lambda: self._began(job) and self.localid(job) != "", 90, lambda: self.tell(job))
        return int(self.localid(job))

    def _began(self, job: JobId) -> bool:
        return any(path.read_text().startswith("payload") for path in self.sessions.glob(f"{job}.lrms/*/started"))

    def localid(self, job: JobId) -> str:
        found = re.search(r"^localid=(\d+)$", self.path(job, "local").read_text(), re.MULTILINE)
        return "" if found is None else found[1]

    def rundir(self, job: JobId) -> Path:
        [found] = self.sessions.glob(f"{job}.lrms/{job}-*")
        return found

    def cause(self, job: JobId) -> str:
        """What is on record once it has ended."""
        self.reaches(job, "FINISHED", limit_s=240)
        found = re.search(r"^cause=(.*)$", (self.sessions / f"{job}.lrms" / "evidence").read_text(), re.MULTILINE)
        return "" if found is None else found[1]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.start()
    yield site
    assert 0 == site.stop(), site.said()


def test_exit_code(site: Site) -> None:
    job = site.run("exit 3")

    assert "exit code" == site.cause(job)
    assert "LRMS error: (3) Job finished with wrong exit code - 3 != 0" in site.store.failure(job)


def test_signal(site: Site) -> None:
    job = site.run("kill -SEGV $$")

    assert "signal" == site.cause(job)
    assert "139 != 0: signal 11" in site.store.failure(job)


@pytest.mark.parametrize(
    ("script", "wish", "cause"),
    [
        (WAIT, 'walltime="8 seconds"', "walltime"),  # the payload must have begun by then
        ("while :; do :; done", 'cputime="1 second"', "cputime"),
        ("x=$(head -c 90000000 /dev/zero | tr '\\0' x); sleep 60; echo ${#x}", "memory=30", "memory"),
    ],
)
def test_a_limit_of_the_job(site: Site, script: str, wish: str, cause: str) -> None:
    job = site.run(script, wish)

    assert cause == site.cause(job)
    assert f"137 != 0: {cause}" in site.store.failure(job)


def test_cancelled_by_its_owner(site: Site) -> None:
    job = site.run(WAIT)
    site.supervisor(job)
    site.mark(job, Mark.CANCEL)

    assert "cancelled" == site.cause(job)
    assert "Job is canceled by external request" in site.store.failure(job)


def test_cancelled_by_an_admin(site: Site) -> None:
    """Another process has ended its supervisor."""
    job = site.run(WAIT)
    os.kill(site.supervisor(job), signal.SIGTERM)

    assert "cancelled by admin" == site.cause(job)
    assert "143 != 0: cancelled by admin" in site.store.failure(job)


@pytest.mark.parametrize("first", ["#!/nowhere/python", "#!/nowhere/python -E"])
def test_never_started_for_want_of_an_interpreter(site: Site, first: str) -> None:
    job = site.run("exit 0", first=first)

    assert "never started" == site.cause(job)
    assert "LRMS error: (-1) " in site.store.failure(job)


def test_never_started_for_want_of_a_program(site: Site) -> None:
    job = site.submit('&(executable="/nowhere/program")')

    assert "never started" == site.cause(job)


def test_a_job_without_its_session_directory_is_refused(tmp_path: Path) -> None:
    """It was taken away before the service came up; nothing is started."""
    site = Site(tmp_path)
    job = site.run("exit 0")
    shutil.rmtree(site.sessions / job)
    site.start()

    failure = site.fails(job)

    assert 0 == site.stop()
    assert "session" in failure
    assert not (site.sessions / f"{job}.lrms" / "evidence").exists()


def test_lost(site: Site) -> None:
    """Its supervisor was killed, and so no one has seen its end."""
    job = site.run(WAIT)
    os.kill(site.supervisor(job), signal.SIGKILL)

    assert "lost" == site.cause(job)
    assert "LRMS error: (-1) Job died unexpectedly" in site.store.failure(job)


def test_node_failure(site: Site) -> None:
    """The host was restarted: processes are gone, and another boot has begun since the supervisor took the job."""
    job = site.run(WAIT)
    supervisor = site.supervisor(job)
    site.stop()
    lose_power(supervisor)
    claim = site.rundir(job) / "pid"
    claim.write_text(claim.read_text().replace(processes.boot_id(), "11111111-2222-3333-4444-555555555555"))
    site.start()

    assert "node failure" == site.cause(job)
    assert "LRMS error: (-1) Node fail: this host was restarted while the job ran" in site.store.failure(job)


def test_a_record_from_before_the_restart_still_counts(site: Site) -> None:
    job = site.run("until [ -e go ]; do sleep 0.02; done; exit 3")
    site.supervisor(job)
    site.stop()
    (site.sessions / job / "go").touch()
    wait_for((site.rundir(job) / "done").exists, 90, "no record")
    claim = site.rundir(job) / "pid"
    claim.write_text(claim.read_text().replace(processes.boot_id(), "11111111-2222-3333-4444-555555555555"))
    site.start()

    assert "exit code" == site.cause(job)


def lose_power(supervisor: int) -> None:
    """All processes of a job at once; none sees the end of another."""
    family = [supervisor, *processes.descendants(supervisor)]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    wait_for(lambda: not any(processes.identify(pid, "") for pid in family), 90, "processes are left")
