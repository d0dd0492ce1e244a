"""
A control directory goes from our daemon to A-REX 6.17 and back, with transfers half done.

The daemons stop or are killed, and the next finds jobs in every state: waiting for their start time, in a stalled
download into the cache, running, in a stalled upload, finished, failed with reruns left. No byte is wrong, each payload
runs once, and in the end nothing is left behind.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import pytest

from tests.interop.grid import Account, Job, Site, has, site, until
from tests.interop.jobs import LATER, tally
from tests.interop.web import Web, web

pytestmark = pytest.mark.timeout(600)

Make = Literal["ours", "theirs"]
LONG: Final = 180
DATA: Final = random.Random(1).randbytes(200_000)
#: A status file that A-REX or one of its clients was writing.
UNFINISHED: Final = re.compile(r"\.status\.\w{6}$")
#: All that should succeed, once.
GOOD: Final = ("ok", "soon", "down", "up", "run", "ends")


class Change:
    """One change of hands, and its jobs by name."""

    def __init__(self, here: Site, served: Web, first: Make, second: Make) -> None:
        self.site, self.web = here, served
        self.first: Make = first
        self.second: Make = second
        self.tally = here.home / f"tally.{first}"
        self.jobs: dict[str, Job] = {}

    def start(self, make: Make) -> None:
        {"ours": self.site.start_ours, "theirs": self.site.start_real}[make]()

    def path(self, name: str) -> str:
        return f"held/{self.first}/{name}"

    def gate(self, name: str) -> Path:
        """While this file exists, the payload goes on."""
        return self.site.home / f"gate.{self.first}.{name}"

    def waiting(self, name: str) -> str:
        self.site.write(self.gate(name).name, "")
        return tally(self.tally, name, f"while test -e {self.gate(name)}; do sleep 0.2; done")

    def submit(self, **descriptions: str) -> None:
        jobs = self.site.arc_submit(*descriptions.values(), name="-".join(descriptions))
        self.jobs |= dict(zip(descriptions, jobs, strict=True))

    def wait(self, *names: str, state: str = "FINISHED") -> None:
        self.site.wait([self.jobs[name] for name in names], state, within=LONG)

    def runs(self) -> Counter[str]:
        return Counter(self.tally.read_text().split())

    def failed(self, name: str) -> str:
        return self.site.text(self.jobs[name], "failed")


def build(change: Change) -> None:
    """Bring jobs into all states under the first daemon."""
    change.web.released.clear()
    change.web.files[change.path("in")] = DATA
    source, target = (change.web.url(change.path(name)) for name in ("in", "x"))
    change.submit(
        ok=tally(change.tally, "ok"),
        rerun=tally(change.tally, "rerun", f"test -e {change.site.home}/again.{change.first}", '(rerun="2")'),
        up=tally(change.tally, "up", "echo result >x", f'(outputFiles=("x" "{target}"))'),
        down=tally(change.tally, "down", "cat in", f'(inputFiles=("in" "{source}"))'),
        later=LATER,
        **{name: change.waiting(name) for name in ("run", "ends")},
    )
    change.wait("run", "ends", state="INLRMS")
    change.wait("up", state="FINISHING")
    change.wait("down", state="PREPARING")
    change.wait("later", state="ACCEPTED")
    change.wait("ok", "rerun")
    paths = {change.path("in"), change.path("x")}
    until(lambda: paths <= set(change.web.stalled), LONG, lambda: str(change.web.asked))
    has(change.site.control / "dtr.state", target)
    until(lambda: {"run", "ends"} <= set(change.runs()), LONG, lambda: str(change.runs()))
    soon = datetime.now(UTC) + timedelta(seconds=10)
    change.submit(soon=tally(change.tally, "soon", more=f'(starttime="{soon:%Y-%m-%d %H:%M:%S}")'))


def interlude(change: Change) -> None:
    """No one serves, and one job ends."""
    change.gate("ends").unlink()
    session = change.site.session / change.jobs["ends"].id
    here = change.site
    until(
        lambda: not any(_cwd(pid) == session for pid in here.processes()),
        LONG,
        lambda: f"{session}: {here.processes()}",
    )


def _cwd(pid: int) -> Path | None:
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return None


def go_on(change: Change) -> None:
    """Everything comes to its end under the second daemon."""
    here = change.site
    (here.home / f"again.{change.first}").touch()
    here.adopted(change.jobs["run"])
    change.web.released.set()
    change.gate("run").unlink()
    done = here.arex("arcresume", change.jobs["rerun"].url)
    assert "resumed: 1" in done.out, done.text
    change.wait(*GOOD)
    rerun = change.jobs["rerun"]
    until(lambda: "FINISHED -> PREPARING" in here.moves(rerun), LONG, lambda: here.tell(rerun))
    change.wait("rerun")
    change.wait("later", state="ACCEPTED")


def clean(change: Change) -> None:
    """With clients of ARC, under the second daemon."""
    here = change.site
    here.adopted(change.jobs["later"], within=LONG)
    here.arc("arckill", "-k", change.jobs["later"].url).good()
    change.wait("later")
    here.arc("arcclean", *(job.url for job in change.jobs.values())).good()


def age(here: Site, before: Collection[Make]) -> None:
    """What is left of jobs of the change before, and in the cache, becomes so old that our daemon removes it."""
    if not before:
        return
    old = time.time() - 2 * 86400
    parts = [*here.run.glob("cache/data/??/*.part"), *here.run.glob("cache/data/??/*.begun")]
    for path in (*here.session.glob("*.lrms"), *here.session.glob("*.staging"), *parts):
        os.utime(path, (old, old))


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of the jobs of one change of hands, before they were cleaned."""

    runs: Mapping[str, int]
    failed: Mapping[str, str]
    fetched: bytes  #: the input as its job has read it
    requests: int  #: for that input
    delivered: bytes

    @classmethod
    def of(cls, change: Change) -> Seen:
        return cls(
            change.runs(),
            {name: change.failed(name) for name in change.jobs},
            (change.site.session / change.jobs["down"].id / "out.txt").read_bytes(),
            change.web.asked[f"GET {change.path('in')}"],
            change.web.given.get(change.path("x"), b""),
        )


@pytest.fixture(scope="module", params=[signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def served(account: Account, request: pytest.FixtureRequest) -> Iterator[tuple[Site, Mapping[Make, Seen]]]:
    """By who served first: ours and then A-REX, A-REX and then ours."""
    blocks = "[arex/cache]\ncachedir = {run}/cache"
    failed = lambda: bool(request.session.testsfailed)  # noqa: E731
    seen: dict[Make, Seen] = {}
    with web() as server, site(account, "staged", failed, wakeup=2, blocks=blocks) as here:
        server.keeps_halves = request.param is signal.SIGKILL  # a daemon that is stopped does not expect any
        orders: tuple[tuple[Make, Make], ...] = (("ours", "theirs"), ("theirs", "ours"))
        for first, second in orders:
            change = Change(here, server, first, second)
            if first == "ours":
                change.start(first)
            build(change)
            here.end(request.param)
            interlude(change)
            age(here, seen.keys())
            change.start(second)
            go_on(change)
            seen[first] = Seen.of(change)
            clean(change)
        yield here, seen


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_each_payload_has_run_once(served: tuple[Site, Mapping[Make, Seen]], first: Make) -> None:
    assert {**dict.fromkeys(GOOD, 1), "rerun": 2} == dict(served[1][first].runs)


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_all_that_should_succeed_has(served: tuple[Site, Mapping[Make, Seen]], first: Make) -> None:
    good = (*GOOD, "rerun")

    assert dict.fromkeys(good, "") == {name: served[1][first].failed[name] for name in good}


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_the_input_that_was_half_in_the_cache_has_no_wrong_byte(
    served: tuple[Site, Mapping[Make, Seen]], first: Make
) -> None:
    seen = served[1][first]

    assert len(DATA) == len(seen.fetched)
    assert 0 == sum(one != other for one, other in zip(DATA, seen.fetched, strict=True))
    assert seen.requests >= 2


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_the_output_that_was_half_delivered_is_whole(served: tuple[Site, Mapping[Make, Seen]], first: Make) -> None:
    assert b"result\n" == served[1][first].delivered


def test_nothing_is_left_behind(served: tuple[Site, Mapping[Make, Seen]]) -> None:
    """
    Neither of jobs that A-REX has cleaned, nor in the cache.

    A killed A-REX can leave the file that it was writing in the place of a status file.
    """
    here, _ = served
    cache = here.run / "cache/data"

    def left() -> list[str]:
        paths = [*here.session.iterdir(), *here.control.rglob("job.*"), *here.run.glob("cache/joblinks/*")]
        paths += [path for path in cache.glob("??/*") if path.suffix in {".part", ".begun", ".lock"}]
        return [str(path) for path in paths if path.name != ".arex" and not UNFINISHED.search(path.name)]

    until(lambda: not left(), LONG, lambda: "\n".join(left()))
