"""
Directories that can't be written, are full, or were damaged while no daemon ran.

The daemon here is an ordinary user's: root may write anywhere. As root, the tests run it as the account of the
interop tests; a full disk is a small tmpfs, which needs root or a user namespace of one's own.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from arex.controldir.layout import Mark
from arex.model.ids import JobId
from tests.disks import fill, small_disk
from tests.faults.service import Service, serving, wait_for
from tests.faults.strange import JUNK, Held
from tests.interop.grid import PLACE, Account
from tests.interop.preparation import prepare

pytestmark = pytest.mark.timeout(600)

TRUE: Final = '&(executable="/bin/true")'


class Ordinary(Service):
    """A service of an ordinary user, whose commands we only see from outside."""

    def __init__(self, root: Path, account: Account) -> None:
        super().__init__(root)
        self.account = account
        for path in [root, *root.rglob("*")]:
            account.own(path)

    def as_user(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.become, *map(str, argv)], capture_output=True, text=True, timeout=60, check=False, cwd=self.root,
            env={"PATH": os.environ["PATH"], "HOME": str(self.root), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip

    @property
    def become(self) -> tuple[str, ...]:
        if os.geteuid() != 0:
            return ()
        return ("setpriv", "--reuid", self.account.name, "--regid", self.account.name, "--clear-groups")

    def serve(self) -> None:
        with self.log.open("ab") as log:
            argv = [*self.become, str(PLACE / "venv/bin/arex"), "run", "-c", str(self.conf)]
            env = {"PATH": os.environ["PATH"], "HOME": str(self.root)}
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, cwd="/", env=env)

    def up(self) -> None:
        self.serve()
        wait_for(lambda: "event=service.up" in self.said() or not self.alive, 90, self.said)
        assert self.alive, self.said()

    def arcsub(self, text: str) -> subprocess.CompletedProcess[str]:
        return self.as_user(PLACE / "venv/bin/arcsub", "--config", self.conf, "-e", text)

    def sent(self, text: str = TRUE) -> JobId:
        said = self.arcsub(text)
        assert said.returncode == 0, said.stderr
        return JobId(said.stdout.strip().rpartition("/")[2])

    def seen(self, job: JobId) -> str:
        places = (self.ctl / place / f"job.{job}.status" for place in ("processing", "accepting", "finished"))
        for path in places:
            with suppress(FileNotFoundError):  # it moves on while we look
                return path.read_text()
        return ""

    def ends_well(self, job: JobId, limit_s: float = 90) -> None:
        wait_for(lambda: self.seen(job) == "FINISHED", limit_s, lambda: (self.seen(job), self.said()))
        assert not self.path(job, "failed").exists()


@pytest.fixture(scope="module")
def account() -> Account:
    return prepare()


@pytest.fixture
def ordinary(account: Account) -> Iterator[Ordinary]:
    root = Path(tempfile.mkdtemp(prefix="arex-places-", dir="/var/tmp"))
    service = Ordinary(root, account)
    try:
        yield service
    finally:
        if service.alive:
            service.stop()
        subprocess.run(["chmod", "-R", "u+rwX", str(root)], check=False)
        shutil.rmtree(root)


def test_a_control_directory_that_can_not_be_made_is_told_at_start_and_to_the_client(ordinary: Ordinary) -> None:
    (ordinary.root / ".arc").mkdir()
    ordinary.account.own(ordinary.root / ".arc")
    ordinary.root.chmod(0o500)
    said = ordinary.arcsub(TRUE)
    ordinary.serve()

    assert 0 != ordinary.ends()
    assert f"cannot prepare the control directory {ordinary.ctl}: Permission denied" in ordinary.said()
    assert "Traceback" not in ordinary.said()
    assert 0 != said.returncode
    assert str(ordinary.ctl) in said.stderr
    assert 1 == len(said.stderr.splitlines())


def test_a_control_directory_that_becomes_unwritable_holds_jobs_until_it_is_writable(ordinary: Ordinary) -> None:
    """The job that is under way waits, and ends when it can."""
    ordinary.up()
    held = ordinary.root / "held"
    os.mkfifo(held)
    ordinary.account.own(held)
    running = ordinary.sent(f'&(executable="/bin/sh")(arguments="-c" "read x <{held}")(stdout="out")')
    wait_for((ordinary.sessions / running / "out").exists, 90, ordinary.said)
    closed = [ordinary.ctl, *(ordinary.ctl / place for place in ("accepting", "processing", "finished"))]
    for path in closed:
        path.chmod(0o500)

    held.write_text("go\n")
    wait_for(lambda: "event=job.trouble" in ordinary.said(), 90, lambda: ordinary.tell(running))
    for path in closed:
        path.chmod(0o700)

    ordinary.ends_well(running, 90)
    ordinary.ends_well(ordinary.sent())
    assert "Traceback" not in ordinary.said()


@pytest.mark.parametrize("suffix", ["description", "local", "grami", "input_status"])
def test_a_control_file_without_read_permission_holds_its_job_only(ordinary: Ordinary, suffix: str) -> None:
    """It goes on by itself as soon as the file can be read."""
    job = ordinary.sent()
    ordinary.path(job, suffix).chmod(0)
    ordinary.up()

    wait_for(lambda: "Permission denied" in ordinary.said(), 90, ordinary.said)
    ordinary.ends_well(ordinary.sent())
    assert "FINISHED" != ordinary.seen(job)
    ordinary.path(job, suffix).chmod(0o600)
    ordinary.ends_well(job, 90)
    assert "Traceback" not in ordinary.said()


def test_a_session_directory_without_permissions_fails_its_job_only(ordinary: Ordinary) -> None:
    job = ordinary.sent()
    (ordinary.sessions / job).chmod(0)
    ordinary.up()

    wait_for(lambda: ordinary.seen(job) == "FINISHED" or "job.trouble" in ordinary.said(), 90, ordinary.said)
    ordinary.ends_well(ordinary.sent())
    (ordinary.sessions / job).chmod(0o700)
    wait_for(lambda: ordinary.seen(job) == "FINISHED", 90, ordinary.said)
    assert "Traceback" not in ordinary.said()


def test_a_session_root_that_can_not_be_written_is_told_to_the_client(ordinary: Ordinary) -> None:
    ordinary.up()
    ordinary.sessions.chmod(0o500)

    said = ordinary.arcsub(TRUE)

    assert 0 != said.returncode
    assert str(ordinary.sessions) in said.stderr
    assert 1 == len(said.stderr.splitlines())
    assert [] == list(ordinary.ctl.glob("job.*"))
    ordinary.sessions.chmod(0o700)
    ordinary.ends_well(ordinary.sent())


# --- full disks ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small") as place:
        yield place


def test_a_full_control_directory_holds_jobs_until_there_is_room(small: Path, tmp_path: Path) -> None:
    """Active and cancelled transfers; no client gets a success for a job that was not accepted."""
    (tmp_path / "ctl").symlink_to(small)
    with serving(tmp_path) as service:
        held = [Held(service, name) for name in ("inlrms", "inlrms", "preparing", "accepted")]
        ballast = fill(small)

        assert "No space left" in service.refusal(TRUE)
        for one in held:
            if one.gate.exists():
                one.open_gate()
            (service.sessions / one.job / "later").touch()
            service.store.set_mark(held[3].job, Mark.CANCEL)
            service.ring(one.job)
        wait_for(lambda: "event=job.trouble" in service.said(), 90, service.said)
        assert service.alive
        # what one job removes is room for others, which may all have ended since one has said that it can't
        before = {service.state(one.job) for one in held}
        assert before <= {"INLRMS", "PREPARING", "ACCEPTED", "FINISHING", "FINISHED"}
        ballast.unlink()

        for one in held[:3]:
            service.finishes(one.job, limit_s=120)
        assert "Job is canceled by external request\n" == service.fails(held[3].job, limit_s=120)
        service.unharmed()
        # the document of a job may be written just now
        wait_for(lambda: not [path for path in small.iterdir() if ".~" in path.name], 90, service.said)


def test_a_full_session_directory_fails_or_holds_the_job_and_not_the_service(small: Path, tmp_path: Path) -> None:
    (tmp_path / "session").symlink_to(small)
    with serving(tmp_path) as service:
        held = Held(service, "inlrms")
        ballast = fill(small)
        (tmp_path / "input").write_bytes(b"x" * 10000)

        refusal = service.refusal('&(executable="/bin/true")(inputfiles=("input" ""))')
        assert "No space left" in refusal
        assert str(service.sessions) in refusal
        held.let_go()
        late = service.by_hand(TRUE)
        wait_for(lambda: service.state(late) in {"FINISHED", "SUBMIT", "PREPARING"}, 90, lambda: service.tell(late))
        assert service.alive
        ballast.unlink()

        service.reaches(held.job, "FINISHED", limit_s=120)
        service.reaches(late, "FINISHED", limit_s=120)
        service.unharmed()


# --- what is found at a start ---------------------------------------------------------------------------------------


def test_a_start_over_junk_in_every_file_serves(tmp_path: Path) -> None:
    """Of the service itself, and of a job in every state."""
    with serving(tmp_path) as service:
        held = [Held(service, name) for name in ("accepted", "preparing", "inlrms", "finished")]
    for name in ("arex.status", "arex.lock", "gm-heartbeat", "info.xml", "joblog"):
        (service.ctl / name).write_bytes(JUNK)
    for path in sorted(service.ctl.glob("job.*")):
        path.write_bytes(JUNK)
    for path in sorted(service.ctl.glob("*/job.*.status")):
        path.write_bytes(JUNK)
    (tmp_path / "arex.pid").write_bytes(JUNK)
    (tmp_path / "arex.cfg").write_bytes(JUNK)
    held[2].open_gate()

    service.start()
    try:
        for one in held:
            service.ring(one.job)
            service.reaches(one.job, "FINISHED", limit_s=90)
            service.cleans(one.job)
        service.unharmed()
        wait_for(lambda: _is_json(service.ctl / "arex.status"), 90, "the status file is made anew")
    finally:
        assert 0 == service.stop()


def _is_json(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_bytes()))
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["gm.fifo", "arex.lock", "accepting", "ctl"])
@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_something_else_in_a_place_of_the_service_is_said_in_one_sentence(tmp_path: Path, name: str, kind: str) -> None:
    service = Service(tmp_path)
    path = service.ctl if name == "ctl" else service.ctl / name
    path.parent.mkdir(exist_ok=True)
    if kind == "file":
        path.write_bytes(JUNK)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(service.canary / "precious")
    fits = (name, kind) in {("accepting", "directory"), ("ctl", "directory"), ("arex.lock", "file")}

    service.launch()
    if fits:
        wait_for(lambda: "event=service.up" in service.said(), 90, service.said)
        assert 0 == service.stop()
    else:
        assert 0 != service.ends()
        last = service.said().splitlines()[-1]
        assert path.name in last
        assert "Traceback" not in service.said()
    assert service.untouched


def test_an_account_of_its_own_is_used(account: Account) -> None:
    """Guard: an ordinary user it is, or the tests above prove nothing."""
    assert 0 != pwd.getpwnam(account.name).pw_uid


def test_a_hangup_during_the_start_is_a_request_like_any_other(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.launch()
    wait_for(lambda: service.plugin.served or not service.alive, 90, service.said)
    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "event=config.reloaded" in service.said() or not service.alive, 90, service.said)

    service.unharmed()
    assert service.stop() == 0
