"""The nested layout of A-REX 7: clients of ARC 7 against our daemon, and our clients against A-REX 7."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.grid import Account, Job, Site, has, site, until
from tests.interop.jobs import FAIL3, HELLO, LATER, PUSH, SLEEP, shell

pytestmark = pytest.mark.timeout(600)

CANCEL = "Job is canceled by external request\n"
#: A-REX 7 needs about 20 s for any job of its fork backend.
LONG = 180


@pytest.fixture(scope="module")
def nested(account: Account, arc7: str, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Our daemon, and clients of ARC 7."""
    assert arc7.startswith("7.")
    with site(account, "nested", lambda: bool(request.session.testsfailed), version=7) as here:
        here.start_ours()
        yield here


@pytest.fixture(scope="module")
def seven(account: Account, arc7: str, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A-REX 7."""
    assert arc7.startswith("7.")
    with site(account, "seven", lambda: bool(request.session.testsfailed), version=7, wakeup=2) as here:
        here.start_real()
        yield here


# --- clients of ARC 7, and our daemon -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hello(nested: Site) -> Job:
    """Finished, and no one takes it away."""
    [job] = nested.arc_submit(HELLO, name="hello")
    nested.wait(job, "FINISHED")
    return job


def test_a_job_runs(nested: Site, hello: Job) -> None:
    assert "hello world\n" == nested.output(hello, "out.txt")
    assert "" == nested.text(hello, "failed")


def test_a_job_is_brokered_on_our_information_document(nested: Site) -> None:
    [job] = nested.arc_submit(HELLO, more=[])

    nested.wait(job, "FINISHED")


def test_arcstat_shows_the_states(nested: Site, hello: Job) -> None:
    asleep, later, push = nested.arc_submit(SLEEP, LATER, PUSH)
    nested.wait(asleep, "INLRMS")
    nested.wait(later, "ACCEPTED")
    nested.wait(push, "PREPARING")

    words = {}
    for name, job in {"hello": hello, "asleep": asleep, "later": later, "push": push}.items():
        out = nested.arc("arcstat", job.url).good().out
        [words[name]] = [line.split(": ")[1] for line in out.splitlines() if line.startswith(" State: ")]

    assert {"hello": "Finished", "asleep": "Queuing", "later": "Accepted", "push": "Preparing"} == words


def test_arccat_and_arcls_show_output(nested: Site) -> None:
    [job] = nested.arc_submit(FAIL3)
    nested.wait(job, "FINISHED")

    assert "out\n" == nested.arc("arccat", "-o", job.url).good().out
    assert "err\n" == nested.arc("arccat", "-e", job.url).good().out
    assert {"out", "err"} <= set(nested.arc("arcls", job.url).good().out.split())


def test_arckill_acts_in_every_state(nested: Site) -> None:
    running, later, push = nested.arc_submit(shell("echo $$ >pid; exec sleep 300"), LATER, PUSH)
    nested.wait(running, "INLRMS")
    nested.wait(later, "ACCEPTED")
    nested.wait(push, "PREPARING")
    has(nested.session / running.id / "pid", "\n")
    pid = int(nested.output(running, "pid"))

    done = nested.arc("arckill", "-k", running.url, later.url, push.url).good()

    assert "successfully killed: 3" in done.out
    nested.wait([running, later, push], "FINISHED")
    assert [CANCEL] * 3 == [nested.text(job, "failed") for job in (running, later, push)]
    assert pid not in nested.processes()


def test_arckill_without_keep_makes_the_job_vanish(nested: Site) -> None:
    [job] = nested.arc_submit(SLEEP)
    nested.wait(job, "INLRMS")

    done = nested.arc("arckill", job.url).good()

    assert "successfully killed: 1, successfully cleaned: 1" in done.out
    nested.gone(job)


def test_arcget_fetches_and_the_job_leaves_nothing_behind(nested: Site) -> None:
    [job] = nested.arc_submit(HELLO)
    nested.wait(job, "FINISHED")

    done = nested.arc("arcget", "-D", nested.home / "taken", job.url).good()

    assert "successfully retrieved: 1, successfully cleaned: 1" in done.out
    assert "hello world\n" == (nested.home / "taken" / job.id / "out.txt").read_text()
    nested.gone(job)


def test_arcclean_removes_a_finished_job(nested: Site) -> None:
    [job] = nested.arc_submit(FAIL3)
    nested.wait(job, "FINISHED")

    assert "deleted: 1" in nested.arc("arcclean", job.url).good().out
    nested.gone(job)


# --- our clients, and A-REX 7 ---------------------------------------------------------------------------------------


def test_our_arckill_and_arcclean_act_on_jobs_of_a_rex_7(seven: Site) -> None:
    hello, push, running, vanishing = seven.submit(HELLO, PUSH, SLEEP, SLEEP)
    seven.wait(push, "PREPARING", within=LONG)
    seven.wait([running, vanishing], "INLRMS", within=LONG)

    done = seven.arex("arckill", "-k", push.url, running.url).good()
    assert "successfully killed: 2" in done.out
    assert "successfully cleaned: 1" in seven.arex("arckill", vanishing.url).good().out

    seven.wait([hello, push, running], "FINISHED", within=LONG)
    assert [CANCEL] * 2 == [seven.text(job, "failed") for job in (push, running)]
    assert "hello world\n" == seven.arex("arccat", hello.url).good().out
    assert "deleted: 2" in seven.arex("arcclean", push.url, running.url).good().out
    assert "cleaned: 1" in seven.arex("arcget", "-D", seven.home / "got", hello.url).good().out
    until(
        lambda: not any(seven.leftovers(job) for job in (hello, push, running, vanishing)),
        LONG,
        lambda: "\n".join(seven.tell(job) for job in (hello, push, running, vanishing)),
    )
