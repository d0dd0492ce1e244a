"""
A control directory changes hands: from our daemon to ARC's A-REX and the other way, with jobs in every state.

Nothing is lost and nothing runs twice: each payload leaves a line in a file when it runs. States too short to be met
are written as a daemon leaves them that dies in the middle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import pytest

from tests.interop.grid import Account, Job, Site, site, until
from tests.interop.jobs import LATER, PUSH, shell

pytestmark = pytest.mark.timeout(240)

Make = Literal["ours", "theirs"]

#: In the batch system as the hands change; as many as there are slots.
RUNNING: Final = ("long", "tokill", "downend", "finishing", "canceling")
LONG: Final = 90


class World:
    """One site with its jobs by name, and who serves it."""

    def __init__(self, here: Site, first: Make) -> None:
        self.site = here
        self.first: Make = first
        self.second: Make = "theirs" if first == "ours" else "ours"
        self.tally = here.home / "tally"
        self.jobs: dict[str, Job] = {}

    def start(self, make: Make) -> None:
        {"ours": self.site.start_ours, "theirs": self.site.start_real}[make]()

    def stop(self, make: Make) -> None:
        {"ours": self.site.stop_ours, "theirs": self.site.stop_real}[make]()

    def gate(self, name: str) -> Path:
        """While this file exists, the payload goes on."""
        return self.site.home / f"gate.{name}"

    def payload(self, name: str, end: str = "") -> str:
        return shell(f"echo {name} >>{self.tally}; while test -e {self.gate(name)}; do sleep 0.2; done; {end}")

    def submit(self, **descriptions: str) -> None:
        send = self.site.arc_submit if self.first == "theirs" else self.site.submit
        jobs = send(*descriptions.values(), name="-".join(descriptions))
        self.jobs |= dict(zip(descriptions, jobs, strict=True))

    def wait(self, *names: str, state: str = "FINISHED") -> None:
        self.site.wait([self.jobs[name] for name in names], state, within=LONG)

    def put_status(self, name: str, word: str) -> None:
        path = self.site.control / "processing" / f"job.{self.jobs[name].id}.status"
        assert path.exists(), self.site.tell(self.jobs[name])
        path.write_text(word)

    def runs(self) -> Counter[str]:
        return Counter(self.tally.read_text().split())

    def failed(self, name: str) -> str:
        return self.site.text(self.jobs[name], "failed")


def build(world: World) -> None:
    """Bring jobs into all states under the first daemon."""
    for name in RUNNING:
        world.gate(name).touch()
        world.site.account.own(world.gate(name))
    world.start(world.first)
    world.submit(ok=world.payload("ok"), fail=world.payload("fail", "exit 3"), gone=world.payload("gone"))
    world.submit(later=LATER, push=PUSH, killed=LATER, waiting=PUSH)
    world.wait("ok", "fail", "gone")
    world.wait("killed", "later", state="ACCEPTED")
    world.site.adopted(world.jobs["killed"])
    world.site.arc("arckill", "-k", world.jobs["killed"].url).good()
    world.wait("killed")
    make_deleted(world)
    world.submit(**{name: world.payload(name) for name in RUNNING})
    world.wait(*RUNNING, state="INLRMS")
    until(lambda: all(world.runs()[name] == 1 for name in RUNNING), 30, lambda: str(world.runs()))
    world.submit(pending=world.payload("pending"), submit=world.payload("submit"))
    world.wait("pending", "submit", state="PENDING:PREPARING")
    world.wait("push", "waiting", state="PREPARING")


def make_deleted(world: World) -> None:
    """Its time is over since yesterday, and a client rings."""
    job = world.jobs["gone"]
    path = world.site.file(job, "local")
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y%m%d%H%M%SZ}"
    path.write_text(path.read_text().replace(world.site.local(job)["cleanuptime"], yesterday))
    world.site.ring(job)
    world.wait("gone", state="DELETED")


def interlude(world: World) -> None:
    """No one serves: one job ends by itself, others are left as by a crash."""
    world.gate("downend").unlink()
    world.gate("finishing").unlink()
    for name in ("downend", "finishing"):
        diag = world.site.session / f"{world.jobs[name].id}.diag"
        record = world.site.file(world.jobs[name], "diag")
        until(
            lambda diag=diag, record=record: "exitcode=0" in f"{text(diag)}{text(record)}",  # type: ignore[misc]
            30,
            lambda name=name: f"{name} has not ended",  # type: ignore[misc]
        )
    world.put_status("finishing", "FINISHING")
    world.put_status("submit", "SUBMIT")
    world.put_status("canceling", "CANCELING")


def text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:  # not yet, or on its way to another place
        return ""


def go_on(world: World) -> None:
    """Everything comes to its end under the second daemon."""
    here = world.site
    world.wait("later", state="ACCEPTED")
    world.wait("long", "tokill", state="INLRMS")
    # 6.17 gives a job that it is asked to cancel before it has taken it up for cancelled, and leaves it running
    until(
        lambda: "UNDEFINED -> INLRMS" in here.moves(world.jobs["tokill"]), LONG, lambda: here.tell(world.jobs["tokill"])
    )
    world.gate("long").unlink()
    here.arc("arckill", "-k", world.jobs["tokill"].url).good()
    pushed = here.session / world.jobs["push"].id / "pushed.txt"
    pushed.write_text("pushed\n")
    here.account.own(pushed)
    with here.file(world.jobs["push"], "input_status").open("a") as stream:
        stream.write("/\n")
    here.ring(world.jobs["push"])
    world.wait("downend", "finishing", "canceling", "long", "tokill", "pending", "submit", "push")


@pytest.fixture(scope="module", params=["ours", "theirs"])
def world(account: Account, request: pytest.FixtureRequest) -> Iterator[World]:
    """Served by one, then by the other, then by the first again."""
    maxjobs = f"-1 {len(RUNNING)} -1 -1 -1"
    with site(account, "hands", lambda: bool(request.session.testsfailed), wakeup=2, maxjobs=maxjobs) as here:
        made = World(here, request.param)
        build(made)
        made.stop(made.first)
        interlude(made)
        made.start(made.second)
        go_on(made)
        yield made


def test_each_payload_has_run_once(world: World) -> None:
    assert {*RUNNING, "ok", "fail", "gone", "pending", "submit"} == set(world.runs())
    assert {1} == set(world.runs().values())


@pytest.mark.parametrize("name", ["ok", "downend", "finishing", "long", "pending", "submit", "push"])
def test_a_job_that_should_succeed_has(world: World, name: str) -> None:
    assert "" == world.failed(name)


def test_the_failed_job_is_still_known_as_failed(world: World) -> None:
    assert "LRMS error: (3) Job finished with wrong exit code - 3 != 0\n" == world.failed("fail")


@pytest.mark.parametrize(("name", "where"), [("killed", "ACCEPTED"), ("tokill", "INLRMS")])
def test_a_killed_job_is_known_as_killed(world: World, name: str, where: str) -> None:
    local = world.site.local(world.jobs[name])

    assert "Job is canceled by external request\n" == world.failed(name)
    assert (where, "client") == (local["failedstate"], local["failedcause"])


@pytest.mark.parametrize("name", ["tokill", "canceling"])
def test_the_process_of_a_killed_job_is_gone(world: World, name: str) -> None:
    session = world.site.session / world.jobs[name].id
    here = [Path(f"/proc/{pid}/cwd") for pid in world.site.processes()]

    assert [] == [link for link in here if link.exists() and link.readlink() == session]


def test_what_was_pushed_has_been_read(world: World) -> None:
    assert "pushed\n" == world.site.output(world.jobs["push"], "out.txt")


def test_jobs_that_wait_still_do(world: World) -> None:
    assert "ACCEPTED" == world.site.status(world.jobs["later"])
    assert "PREPARING" == world.site.status(world.jobs["waiting"])


def test_the_deleted_job_is_still_deleted(world: World) -> None:
    assert "DELETED" == world.site.status(world.jobs["gone"])


def test_the_second_daemon_says_that_it_took_the_job_up(world: World) -> None:
    assert "UNDEFINED -> INLRMS" in world.site.moves(world.jobs["long"])


def test_clients_of_both_makes_see_all_jobs(world: World) -> None:
    urls = [job.url for name, job in world.jobs.items() if name != "gone"]

    for call in (world.site.arc, world.site.arex):
        done = call("arcstat", *urls).good()
        assert f"Status of {len(urls)} jobs was queried, {len(urls)} jobs returned information" in done.out


def gone(here: Site, job: Job) -> None:
    """A-REX knows nothing of the run directory that our backend has beside the session."""

    def left() -> list[str]:
        return [path for path in here.leftovers(job) if not path.endswith(".lrms") and ".lrms/" not in path]

    until(lambda: not left(), LONG, lambda: str(left()))


def test_back_with_the_first_daemon_everything_can_be_fetched_and_cleaned(world: World) -> None:
    """Also jobs that the other daemon ran, by the clients of both; its own jobs, for tests come in any order."""
    here = world.site
    echo = '&(executable="/bin/echo")(arguments="fetched")(stdout="out.txt")'
    one, other, later = here.arc_submit(echo, echo, LATER, name="back")
    here.wait([one, other], "FINISHED", within=LONG)
    here.wait(later, "ACCEPTED")
    world.stop(world.second)
    world.start(world.first)

    assert "successfully cleaned: 1" in here.arc("arcget", "-D", here.home / "a", one.url).out
    assert "successfully cleaned: 1" in here.arex("arcget", "-D", here.home / "b", other.url).out
    assert "fetched\n" == (here.home / "a" / one.id / "out.txt").read_text()
    here.adopted(later)
    here.arex("arckill", later.url).good()
    for job in (one, other, later):
        gone(here, job)
    assert {1} == set(world.runs().values())
    world.stop(world.first)
    world.start(world.second)
