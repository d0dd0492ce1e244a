"""
A site with jobs in every state that changes hands between our daemon and an A-REX.

Each payload leaves a line in a file when it runs. States too short to be met are written as a daemon leaves them that
dies in the middle.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from tests.interop.grid import Job, Site, until
from tests.interop.jobs import LATER, PUSH, shell

Make = Literal["ours", "theirs"]

#: In the batch system as the hands change; as many as there are slots.
RUNNING: Final = ("long", "tokill", "downend", "finishing", "canceling")
#: Seconds for what A-REX has to do.
LONG: Final = 180


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
        path = self.site.status_file(self.jobs[name])
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
    until(lambda: all(world.runs()[name] == 1 for name in RUNNING), LONG, lambda: str(world.runs()))
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
            LONG,
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
    if here.version == 6:  # A-REX 7.0.0 does not wait for the start time of a job
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
