"""Submissions that are interrupted, or whose list of jobs cannot be used."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from arex.cli import progress, submitting
from arex.model.state import State
from arex.userjobs.joblist import JobList
from plugins.local import LocalPlugin
from plugins.local.creation import Outcome
from tests.shell import User

TRUE = "&(executable=/bin/true)"


def listed(user: User) -> set[str]:
    return {row["idfromendpoint"] for row in JobList(user.home / ".arc" / "jobs.dat").all()}


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> int:
    """The user presses Ctrl-C while this number of jobs exist, and one more is being written."""
    after = 53
    real = LocalPlugin.submitting

    def submitting(self: LocalPlugin, *args: object, **options: object) -> Iterator[Outcome]:
        for number, outcome in enumerate(real(self, *args, **options), 1):  # type: ignore[arg-type]
            if number == after:
                os.kill(os.getpid(), signal.SIGINT)
            yield outcome

    monkeypatch.setattr(LocalPlugin, "submitting", submitting)
    return after


def test_after_an_interrupt_the_list_has_exactly_the_jobs_that_exist(user: User, interrupted: int) -> None:
    said = user.run("arcsub", "-o", "ids", *(["-e", TRUE] * 100))

    assert said.code == 130
    assert f"interrupted: {interrupted} of 100 jobs submitted; 'arcstat -a' shows them\n" in said.err
    assert listed(user) == set(user.plugin.jobs())
    assert len(listed(user)) == interrupted
    assert (user.home / "ids").read_text().count("\n") == interrupted


@pytest.mark.usefixtures("interrupted")
def test_a_repeated_submission_is_completed(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    args = ["arcsub", "--array", "1-60", "--submission-id", "mine", "--", "/bin/true"]
    first = user.run(*args)
    monkeypatch.undo()
    monkeypatch.setenv("HOME", str(user.home))
    monkeypatch.setenv("ARC_CONFIG", str(user.home / "arc.conf"))
    monkeypatch.chdir(user.home)

    second = user.run(*args)

    assert "interrupted: 53 of 60 jobs submitted; repeat the command for the rest" in first.err
    assert second.out.endswith("(60 jobs)\n")
    assert len(user.plugin.jobs()) == 60


def test_jobs_are_listed_in_pieces(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the command is killed, at most this number of jobs is missing from the list."""
    sizes = []
    real = JobList.add

    def add(self: JobList, rows: Iterator[dict[str, str]]) -> None:
        found = list(rows)
        sizes.append(len(found))
        real(self, found)

    monkeypatch.setattr(JobList, "add", add)

    user.run("arcsub", *(["-e", TRUE] * 120))

    assert sizes == [50, 50, 20]
    assert len(listed(user)) == 120


def test_a_second_interrupt_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt), submitting.deferred_interrupt():  # noqa: PT012 - the second one raises
        os.kill(os.getpid(), signal.SIGINT)
        first_waits = True
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second interrupt waits, too")
    assert first_waits


def test_an_interrupt_of_the_last_job_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt), submitting.deferred_interrupt():
        os.kill(os.getpid(), signal.SIGINT)


def test_an_ignored_interrupt_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with submitting.deferred_interrupt() as check:
            os.kill(os.getpid(), signal.SIGINT)
            check()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def broken(list_: Path) -> str:
    list_.parent.mkdir()
    list_.write_text("this is not a database, but a text of some length\n" * 100)
    return "file is not a database; 'arcsync -T' moves the file aside and makes a new list"


def directory(list_: Path) -> str:
    list_.mkdir(parents=True)
    return "Is a directory"


@pytest.mark.parametrize("spoil", [broken, directory])
def test_nothing_is_submitted_if_the_list_cannot_be_used(user: User, spoil: object) -> None:
    why = spoil(user.home / ".arc" / "jobs.dat")  # type: ignore[operator]

    said = user.run("arcsub", "-e", TRUE)

    assert said.code == 1
    assert why in said.err
    assert f"the list of jobs {user.home}/.arc/jobs.dat can't be used" in said.err
    assert not (user.home / "ctl").exists()


def test_nothing_is_submitted_if_the_ids_cannot_be_written(user: User) -> None:
    said = user.run("arcsub", "-o", "nowhere/ids", "-e", TRUE)

    assert said.code == 1
    assert "nowhere/ids cannot be written, so nothing was submitted; name another file with -o" in said.err
    assert not (user.home / "ctl").exists()


def test_a_check_leaves_no_list_behind(user: User) -> None:
    user.run("arcsub", "-e", "&(executable")

    assert not (user.home / ".arc").exists()


def test_a_wait_prints_all_lines_of_a_failure(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object, jobs: list[str], timeout_s: float | None) -> bool:
        del timeout_s
        (user.home / "ctl" / f"job.{jobs[0]}.failed").write_text("first line\nsecond \x1b[2J line\nthird line\n")
        user.move(jobs[0], State.FINISHED)
        return False

    monkeypatch.setattr(progress, "wait_for", fails)

    said = user.run("arcsub", "--wait", "-e", TRUE)

    [job] = user.plugin.jobs()
    assert said.code == 1
    assert f"{job}: second ?[2J line\n{job}: third line\n" in said.err


def test_people_learn_that_output_is_discarded(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    what = "the output of the program is discarded: the description has no stdout=FILE"
    script = user.run("arcsub", "-e", TRUE)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    silent = user.run("arcsub", "-e", TRUE, "-e", TRUE)
    kept = [user.run("arcsub", "-e", f"{TRUE}{more}") for more in ("(stdout=o)", '(outputfiles=("/" ""))')]

    assert what not in script.err
    assert silent.err.count(what) == 1
    assert [what in said.err for said in kept] == [False, False]


@pytest.mark.parametrize("program", ["arcsub", "arcrun"])
def test_people_are_told_how_to_be_lenient(user: User, program: str) -> None:
    said = user.run(program, "-e", "&(executable=/bin/true)(wlltime=5)")

    assert said.code == 1
    assert "line 1, column 25: Unknown attribute 'wlltime'\n" in said.err
    assert "did you mean 'walltime'?\n--lenient submits it nevertheless\n" in said.err
    assert user.plugin.jobs() == []


def test_a_lenient_submission_is_arc_s(user: User) -> None:
    said = user.run("arcsub", "--lenient", "-e", "&(executable=/bin/true)(wlltime=5)(walltime=abc)(count=9999)")

    assert said.code == 0
    assert said.err.count("WARNING: -e: line 1, column ") == 3


def test_a_dump_is_as_strict_as_a_submission(user: User) -> None:
    strict = user.run("arcsub", "-x", "-e", "&(executable=/bin/true)(wlltime=5)")
    lenient = user.run("arcsub", "-x", "--lenient", "-e", "&(executable=/bin/true)(wlltime=5)")

    assert (strict.code, strict.out, strict.err.count("Unknown attribute")) == (1, "", 1)
    assert (lenient.code, lenient.err.count("Unknown attribute")) == (0, 1)


def test_a_test_job_of_no_time_is_not_refused(user: User) -> None:
    """Its limit is longer than its run time."""
    assert user.run("arctest", "-J", "1", "-r", "0").code == 0


def test_help_separates_what_is_only_for_arc(user: User) -> None:
    said = user.run("arcsub", "--help")

    ours, _, arcs = said.out.partition("Accepted for compatibility with ARC:\n")
    arcs, _, examples = arcs.partition("Examples:\n")
    assert "--walltime" in ours
    assert all(option in arcs and option not in ours for option in ("--conffile", "--direct", "--listplugins", "-Q"))
    assert "  arcsub --array 1-100 -- ./simulate.py --seed {index}\n" in examples
