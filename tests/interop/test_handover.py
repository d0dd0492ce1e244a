"""
A control directory changes hands: from our daemon to ARC's A-REX and the other way, with jobs in every state.

Nothing is lost and nothing runs twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.grid import Account, Job, Site, site, until
from tests.interop.hands import LONG, RUNNING, World, build, go_on, interlude
from tests.interop.jobs import LATER

pytestmark = pytest.mark.timeout(600)


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
