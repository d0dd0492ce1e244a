"""
What happens around a service: its log, lock and pipe disappear, resources are short, clients are killed.

Each test has a separate daemon, since most of them damage it for good.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from arex.controldir.layout import Mark
from arex.controldir.temporary import writer_of
from arex.model.ids import JobId
from tests.faults.service import CHECKOUT, Service, modes_count, serving, wait_for
from tests.faults.strange import TRUE, Held, program, sh
from tests.trees import everything_below

pytestmark = pytest.mark.timeout(600)

#: A namespace in which the account has no inotify instance. Source: user_namespaces(7), namespaces(7).
WITHOUT_INOTIFY: Final = (
    *("unshare", "--user", "--map-root-user"),
    *("sh", "-c", 'echo 0 >/proc/sys/user/max_inotify_instances; exec "$@"', "sh"),
)
SILENT: Final = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")


@pytest.fixture
def client_environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir(mode=0o755)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("X509", "ARC_"))}
    config = str(tmp_path / "arc.conf")
    return {**plain, "HOME": str(tmp_path / "home"), "ARC_CONFIG": config, "PYTHONPATH": str(CHECKOUT)}


def command(name: str, *args: str) -> list[str]:
    return [sys.executable, "-c", f"from arex.cli import entry; entry.{name}()", *args]


class LoggingToFile(Service):
    """A service in the background: its messages are in the log file."""

    def launch(self, prefix: tuple[str, ...] = ()) -> None:
        super().launch((*prefix, *SILENT))

    def said(self) -> str:
        path = self.root / "log" / "arex.log"
        return path.read_text(errors="replace")[-4000:] if path.is_file() else ""


@pytest.fixture
def logging_to_file(tmp_path: Path) -> Iterator[LoggingToFile]:
    service = LoggingToFile(tmp_path)
    text = service.conf.read_text().replace(f"{tmp_path}/arex.log", f"{tmp_path}/log/arex.log")
    service.conf.write_text(text.replace("[arex]\n", "[arex]\nloglevel=5\n"))
    service.start(modes_count())
    try:
        yield service
    finally:
        code = service.stop()
    assert 0 == code


@pytest.mark.parametrize("how", ["closed", "gone", "a file"])
def test_a_log_that_cannot_be_written_after_its_rotation_does_not_end_the_service(
    logging_to_file: LoggingToFile, how: str
) -> None:
    service = logging_to_file
    directory = service.root / "log"
    (directory / "arex.log").rename(service.root / "arex.log.1")
    if how == "closed":
        directory.chmod(0o500)
    else:
        directory.rmdir()
    if how == "a file":
        directory.touch()

    assert "exit code" in service.fails(service.submit(program(service, "exit 1")))
    service.unharmed()

    if how == "a file":
        directory.unlink()
    directory.mkdir(exist_ok=True)
    directory.chmod(0o700)
    service.finishes(service.submit(TRUE))
    wait_for(lambda: bool(service.said()), 90, "the log is written again")


def test_a_service_with_closed_streams_serves(tmp_path: Path) -> None:
    with serving(tmp_path, prefix=SILENT) as service:
        service.unharmed()


@pytest.mark.parametrize("mode", ["auto", "poll", "events"])
def test_a_service_without_inotify_polls(tmp_path: Path, mode: str) -> None:
    with serving(tmp_path, f"watch={mode}\n", WITHOUT_INOTIFY) as service:
        service.unharmed()
        held = Held(service, "inlrms")
        service.store.set_mark(held.job, Mark.CANCEL)  # without a message to the service
        assert "Job is canceled by external request\n" == service.fails(held.job)


@pytest.mark.parametrize("number", [24, 40])
def test_jobs_go_on_with_few_descriptors_while_supervisors_die(tmp_path: Path, number: int) -> None:
    with serving(tmp_path, "fork_slots=30\n", ("prlimit", f"--nofile={number}")) as service:
        killed = [service.submit(program(service, "kill -9 $PPID; sleep 300")) for _ in range(6)]
        others = [service.submit(program(service, "sleep 0.1")) for _ in range(20)]
        for job in killed:
            assert "LRMS error: (-1) Job died unexpectedly\n" == service.fails(job, limit_s=120)
        for job in others:
            service.finishes(job, limit_s=120)
        service.unharmed()


def test_a_removed_lock_and_pipe_do_not_let_a_second_daemon_in(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        first = service.process
        assert first is not None
        for name in ("arex.lock", "gm.fifo"):
            (service.ctl / name).unlink()
        service.launch()
        assert service.ends() != 0
        service.process = first

        said = service.said()  # the pid was in the lock file, which the first one makes again
        assert re.search(rf"another arex \(pid ({first.pid}|unknown)\) serves {re.escape(str(service.ctl))}", said)
        wait_for((service.ctl / "arex.lock").exists, 60, service.said)
        service.unharmed()


def test_a_directory_in_place_of_the_pipe_keeps_no_job_from_its_owner(
    tmp_path: Path, client_environment: dict[str, str]
) -> None:
    """The message to the service is lost; it finds the job by itself, and the client prints its URL."""
    with serving(tmp_path) as service:
        (service.ctl / "gm.fifo").unlink()
        (service.ctl / "gm.fifo").mkdir()
        done = subprocess.run(
            command("arcsub", "-S", "local", "-e", TRUE), env=client_environment, capture_output=True, check=True
        )

        service.finishes(JobId(done.stdout.decode().strip().rpartition("/")[2]), limit_s=90)


def test_submissions_that_are_killed_are_complete_or_leave_no_temporary_files(
    tmp_path: Path, client_environment: dict[str, str]
) -> None:
    dice = random.Random(7)
    runs = tmp_path / "runs"
    with serving(tmp_path) as service, ExitStack() as clients:
        for _ in range(5):
            texts = [sh(f"echo {dice.randrange(10**9)} >>{runs}") for _ in range(12)]
            argv = command("arcsub", "-S", "local", *(word for text in texts for word in ("-e", text)))
            client = clients.enter_context(
                subprocess.Popen(argv, env=client_environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            _kill_after(dice.randrange(1, 40), client, service)

        jobs = {JobId(path.name.split(".")[1]) for path in service.ctl.glob("job.*")}
        complete = [job for job in jobs if service.state(job)]
        for job in complete:
            service.finishes(job, limit_s=120)
        assert len(complete) == len(Counter(runs.read_text().split()))
        wait_for(lambda: not _temporary(service), 90, lambda: _temporary(service))
        service.unharmed()


def _kill_after(files: int, client: subprocess.Popen[bytes], service: Service) -> None:
    """Kill a client once it has made so many control files, or if it has ended before."""
    enough = len(list(service.ctl.glob("job.*"))) + files
    wait_for(lambda: len(list(service.ctl.glob("job.*"))) >= enough or client.poll() is not None, 90, "control files")
    client.send_signal(signal.SIGKILL)
    client.wait()


def _temporary(service: Service) -> list[Path]:
    return [path for path in everything_below(service.ctl) if writer_of(path.name) is not None]


def test_a_session_root_that_is_closed_for_a_while_does_not_end_a_service_with_quotas(tmp_path: Path) -> None:
    with serving(tmp_path, "session_quota=5\nquota_period=1\n", modes_count()) as service:
        held = Held(service, "inlrms")
        service.sessions.chmod(0o000)
        wait_for(lambda: "Permission denied" in service.said(), 90, service.said)
        service.sessions.chmod(0o700)
        held.let_go()

        service.finishes(held.job, limit_s=120)
        assert service.alive
        service.finishes(service.submit(TRUE), limit_s=120)


def test_the_list_of_jobs_is_only_for_its_owner(tmp_path: Path, client_environment: dict[str, str]) -> None:
    """It contains the environment and the URLs of descriptions."""
    with serving(tmp_path) as service:
        text = '&(executable="/bin/true")(environment=("PASSWORD" "hunter2"))'
        argv = ["sh", "-c", 'umask 000; exec "$@"', "sh", *command("arcsub", "-S", "local", "-e", text)]
        subprocess.run(argv, env=client_environment, capture_output=True, check=True)
        service.unharmed()

    shown = [path for path in (tmp_path / "home").rglob("*") if path.stat().st_mode & 0o077]
    assert [] == shown
    assert any(b"hunter2" in path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
