"""
A control directory in the nested layout goes from our daemon to A-REX 7 and back, with jobs in every state.

See ``test_handover`` for the same with A-REX 6.17.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.grid import Account, site
from tests.interop.hands import RUNNING, World, build, go_on, interlude
from tests.interop.jobs import PUSH

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def world(account: Account, arc7: str, request: pytest.FixtureRequest) -> Iterator[World]:
    """Under A-REX 7, after ours."""
    assert arc7.startswith("7.")
    maxjobs, failed = f"-1 {len(RUNNING)} -1 -1 -1", lambda: bool(request.session.testsfailed)
    with site(account, "hands7", failed, wakeup=2, maxjobs=maxjobs, version=7) as here:
        made = World(here, "ours")
        build(made)
        made.stop("ours")
        interlude(made)
        made.start("theirs")
        go_on(made)
        yield made


def test_each_payload_has_run_once_and_those_that_should_have_succeeded(world: World) -> None:
    assert dict.fromkeys((*RUNNING, "ok", "fail", "gone", "pending", "submit"), 1) == dict(world.runs())
    good = ("ok", "downend", "finishing", "long", "pending", "submit", "push")
    assert dict.fromkeys(good, "") == {name: world.failed(name) for name in good}
    assert "LRMS error: (3) Job finished with wrong exit code - 3 != 0\n" == world.failed("fail")


def test_killed_jobs_are_known_as_killed_and_held_ones_still_wait(world: World) -> None:
    assert ["Job is canceled by external request\n"] * 2 == [world.failed(name) for name in ("killed", "tokill")]
    assert "pushed\n" == world.site.output(world.jobs["push"], "out.txt")
    assert "PREPARING" == world.site.status(world.jobs["waiting"])


def test_back_with_ours_everything_can_be_fetched_and_cleaned(world: World) -> None:
    """By clients of ARC 7; also a job that runs as the hands change, and those that are held."""
    here = world.site
    world.site.write(world.gate("back").name, "")
    back, held = here.arc_submit(world.payload("back"), PUSH, name="back")
    here.wait(back, "INLRMS", within=180)
    here.wait(held, "PREPARING", within=180)
    world.stop("theirs")
    world.start("ours")
    world.gate("back").unlink()
    here.wait(back, "FINISHED")

    assert "successfully cleaned: 1" in here.arc("arcget", "-D", here.home / "got", back.url).out
    waiting = world.jobs["waiting"]
    assert "successfully cleaned: 2" in here.arc("arckill", held.url, waiting.url).out
    ended = [world.jobs[name] for name in ("ok", "fail", "long", "tokill", "push")]
    assert "deleted: 5" in here.arc("arcclean", *(job.url for job in ended)).out

    for job in (back, held, waiting, *ended):
        here.gone(job)
    assert {1} == set(world.runs().values())
