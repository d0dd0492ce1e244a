"""Which jobs a command takes: beginnings of ids, filters, and what it says about others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from arex.controldir import codec
from arex.model.local import JobLocal
from arex.model.state import State
from tests.shell import User


def ids(user: User, *arguments: str) -> set[str]:
    return {line.rpartition("/")[2] for line in user.run("arcstat", "-p", *arguments).out.splitlines()}


def change(user: User, job: str, **facts: object) -> None:
    path = user.home / "ctl" / f"job.{job}.local"
    local: JobLocal = codec.parse_local(path.read_bytes())
    path.write_bytes(codec.dump_local(replace(local, **facts)))  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [4, 10])
def test_the_beginning_of_an_id_is_enough(user: User, length: int) -> None:
    job = user.submit()

    assert {job} == ids(user, job[:length])


def test_three_characters_are_not(user: User) -> None:
    job = user.submit()

    assert 1 == user.run("arcstat", job[:3]).code


def test_an_ambiguous_beginning_is_an_error_that_names_the_jobs(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(["SameStart1aaaa", "SameStart2bbbb"])
    monkeypatch.setattr("plugins.local.submission.new_job_id", lambda: next(numbers))
    user.submit()
    user.submit()

    said = user.run("arckill", "SameStart")

    assert 1 == said.code
    assert "SameStart is the beginning of 2 job ids: " in said.err
    assert "use more characters" in said.err
    assert not list((user.home / "ctl" / "accepting").glob("*.cancel"))


def test_a_name_wins_over_the_beginning_of_an_id(user: User) -> None:
    other = user.submit()
    named = user.submit(f'&(executable=/bin/true)(jobname="{other[:6]}")')

    assert {named} == ids(user, other[:6])


@pytest.mark.parametrize("program", ["arckill", "arccat", "arcls", "archold", "arcrelease"])
def test_every_command_takes_beginnings(user: User, program: str) -> None:
    job = user.submit()
    (user.home / "session" / job / "out.txt").write_text("x")

    assert 0 == user.run(program, job[:6]).code


def test_jobs_are_selected_by_name_queue_and_state(user: User) -> None:
    sim1 = user.submit('&(executable=/bin/true)(jobname="sim1")(queue=q1)')
    sim2 = user.submit('&(executable=/bin/true)(jobname="sim2")(queue=q2)')
    user.submit('&(executable=/bin/true)(jobname="other")(queue=q2)')
    user.move(sim2, State.PREPARING)

    assert {sim1, sim2} == ids(user, "--name", "sim*")
    assert {sim2} == ids(user, "--name", "sim*", "--queue", "q2")
    assert {sim2} == ids(user, "-a", "-s", "preparing")
    assert {sim2} == ids(user, "-a", "-s", "PREPARING")


def test_jobs_are_selected_by_age(user: User) -> None:
    old, new = user.submit(), user.submit()
    change(user, old, starttime=datetime.now(UTC) - timedelta(hours=3))

    assert {old} == ids(user, "--older", "2h")
    assert {new} == ids(user, "--newer", "120s")


def test_jobs_are_selected_by_label(user: User) -> None:
    job, other = user.submit(), user.submit()
    change(user, job, extra=(("label", "run=7"),))
    change(user, other, extra=(("label", "run=8"),))

    assert {job} == ids(user, "--label", "run=7")
    assert {job, other} == ids(user, "--label", "run")
    assert set() == ids(user, "--label", "color")


def test_filters_select_for_other_commands_too(user: User) -> None:
    job = user.submit('&(executable=/bin/true)(jobname="sim1")')
    user.submit('&(executable=/bin/true)(jobname="other")')

    user.run("arckill", "-k", "--name", "sim*")

    assert [f"job.{job}.cancel"] == [path.name for path in (user.home / "ctl" / "accepting").glob("*.cancel")]


@pytest.mark.parametrize("age", ["-5", "soon", "2x", "-5m"])
def test_an_age_that_is_none_is_an_error(user: User, age: str) -> None:
    said = user.run("arcstat", f"--older={age}")

    assert 2 == said.code
    assert "is not a period of time, such as 90s, 2h or 1d" in said.err


def test_an_age_without_a_unit_is_refused(user: User) -> None:
    said = user.run("arckill", "--older", "3")

    assert 2 == said.code
    assert "3 of what? Write 3s, 3m, 3h or 3d" in said.err


def test_states_select_by_themselves(user: User) -> None:
    job = user.submit()

    assert {job} == ids(user, "-s", "Accepted")


def test_a_word_that_is_no_state_is_an_error_that_names_them(user: User) -> None:
    user.submit()

    said = user.run("arcstat", "-a", "-s", "Rnning")

    assert 2 == said.code
    assert "'Rnning' is not a state (did you mean Running?); the states are Accepted, Preparing" in said.err


def test_an_unknown_name_does_not_advise_to_try_later(user: User) -> None:
    user.submit()

    said = user.run("arcstat", "nosuch")

    assert 1 == said.code
    assert "there is no job nosuch here" in said.err
    assert "later" not in said.err


def test_before_the_first_job_there_are_no_jobs(user: User) -> None:
    said = user.run("arcstat", "-a", "--table")

    assert (0, "no jobs\n") == (said.code, said.out)


def test_a_document_about_unknown_jobs_is_a_document(user: User) -> None:
    user.submit()

    said = user.run("arcstat", "--json", "nosuch")

    assert 1 == said.code
    assert {
        "schema": 1, "command": "arcstat",
        "errors": [{"job": None, "name": None, "source": None, "message": "there is no job nosuch here"}],
    } == said.json  # fmt: skip
