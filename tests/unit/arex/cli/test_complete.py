"""What the Tab key offers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.shell_completion import ShellComplete

from arex.cli.entry import COMMANDS, load
from arex.config.explain import explain
from tests.shell import User

Offered = Callable[..., list[tuple[str, str | None]]]


@pytest.fixture
def offered(user: User) -> Offered:
    """Values and descriptions for the last word of a command line."""
    del user  # its home and its configuration

    def offered(program: str, *words: str) -> list[tuple[str, str | None]]:
        shell = ShellComplete(load(COMMANDS[program]), {}, program, "_COMPLETE")
        return [(each.value, each.help) for each in shell.get_completions([*words[:-1]], words[-1])]

    return offered


def named(user: User, name: str) -> str:
    return user.submit(f'&(executable=/bin/true)(jobname="{name}")')


@pytest.mark.parametrize("program", ["arcstat", "arcget", "arckill", "arccat", "arcls", "arcclean", "archold"])
def test_a_job_is_offered_by_its_name(user: User, offered: Offered, program: str) -> None:
    job = named(user, "longname1")

    assert [("longname1", job)] == offered(program, "")
    assert [("longname1", job)] == offered(program, "long")
    assert [] == offered(program, "lung")


def test_a_job_is_offered_by_its_id_once_the_id_is_begun(user: User, offered: Offered) -> None:
    job = named(user, "longname1")

    assert [(job, "longname1")] == offered("arcstat", job[:3])


def test_jobs_that_share_a_name_are_offered_by_their_ids(user: User, offered: Offered) -> None:
    jobs = {named(user, "twin"), named(user, "twin")}

    assert {(job, "twin") for job in jobs} == set(offered("arcstat", ""))
    assert [] == offered("arcstat", "tw")


@pytest.mark.parametrize("name", ["two words", "a:b", "$HOME", "-x", "a'b", "a;b", "a\tb"])
def test_a_name_that_is_not_one_plain_word_is_not_offered(user: User, offered: Offered, name: str) -> None:
    job = named(user, name)

    assert [job] == [value for value, _ in offered("arcstat", "")]
    assert all(about is None or about.isprintable() for _, about in offered("arcstat", ""))


def test_the_list_that_the_option_names_is_used(user: User, offered: Offered) -> None:
    named(user, "here")

    assert [] == offered("arcstat", "-j", str(user.home / "other.dat"), "")


def test_a_list_that_cannot_be_read_offers_nothing(user: User, offered: Offered) -> None:
    (user.home / ".arc").mkdir()
    (user.home / ".arc/jobs.dat").write_text("no database")

    assert [] == offered("arcstat", "")


def test_states_are_offered_in_any_case(offered: Offered) -> None:
    assert ["Finishing", "Finished"] == [value for value, _ in offered("arcstat", "-s", "fin")]
    assert "Hold" in [value for value, _ in offered("arckill", "--status", "")]


@pytest.mark.parametrize("program", ["arcsub", "arcrun"])
def test_queues_of_the_configuration_are_offered(offered: Offered, program: str) -> None:
    assert ["q1", "q2"] == [value for value, _ in offered(program, "-q", "")]
    assert ["q2"] == [value for value, _ in offered(program, "--queue", "q2")]
    assert ["q2"] == [value for value, _ in offered("arcresub", "--to-queue", "q2")]
    assert ["q2"] == [value for value, _ in offered("arcstat", "--queue", "q2")]


def test_queues_of_the_file_that_the_option_names_are_offered(user: User, offered: Offered) -> None:
    (user.home / "x.conf").write_text("[common]\n[lrms]\nlrms=fork\n[arex]\n[queue:long]\n")

    assert ["long"] == [value for value, _ in offered("arcsub", "--config", str(user.home / "x.conf"), "-q", "")]


def test_an_invalid_configuration_offers_no_queue(user: User, offered: Offered) -> None:
    (user.home / "arc.conf").write_text("[arex]\nmaxjobs=many\n")

    assert [] == offered("arcsub", "-q", "")


def test_levels_and_languages_are_offered(offered: Offered) -> None:
    assert ["DEBUG"] == [value for value, _ in offered("arcstat", "-d", "de")]
    assert ["xrsl", "adl", "jdl"] == [value for value, _ in offered("arcsub", "--dump-format", "")]


def test_options_of_the_configuration_are_offered_with_their_explanation(offered: Offered) -> None:
    found = dict(offered("arex", "config", "explain", "maxj"))

    assert {"maxjobs", "maxjobdesc"} == set(found)
    assert (found["maxjobs"] or "") in explain("maxjobs")


def test_options_of_a_block_are_offered_after_its_dot(offered: Offered) -> None:
    assert ["arex.maxjobs"] == [value for value, _ in offered("arex", "config", "explain", "arex.maxj")]
    assert [] == offered("arex", "config", "explain", "nosuch.")


def test_every_offered_option_can_be_explained(offered: Offered) -> None:
    found = [value for value, _ in offered("arex", "config", "explain", "")]

    assert len(found) == len(set(found)) > 100
    assert all(explain(value) for value in found)
