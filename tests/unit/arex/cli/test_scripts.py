"""Scripts that read the output of ARC's commands with regular expressions, as several frameworks do, read ours."""

from __future__ import annotations

import re

import pytest

from arex.model.state import State
from plugins.local.status import ClientState
from tests.permissions import closed
from tests.shell import Said, User

SUBMITTED = re.compile(r"^Job submitted with jobid: (.+)$")
FIELD = re.compile(r"\s*([^:]+): (.*)\n")
UNKNOWN = re.compile(r"^.+: Job not found in job list: (.+)$", re.MULTILINE)
NOT_SHOWN = re.compile(r"^.+: Job information not found in the information system: (.+)$", re.MULTILINE)
KILLED = re.compile(r"Jobs processed: (\d+), successfully killed: (\d+)")
FETCHED = re.compile(r"Results stored at: (\S+)")


def blocks(said: Said) -> dict[str, dict[str, str]]:
    """The jobs in the output of ``arcstat``, standard error merged into standard output."""
    text = (said.err + said.out).split("\nStatus of ", 1)[0]
    parts = text.split("Job: ")[1:]
    found = (dict(FIELD.findall(f"Job: {part}\n")) for part in parts)
    return {fields["Job"]: fields for fields in found}


def submitted(user: User) -> str:
    said = user.run("arcsub", "-e", '&(executable=/bin/true)(stdout=o)(jobname="a job")')
    match = SUBMITTED.match(said.out.strip())
    assert match is not None
    return match[1]


def test_states_exit_codes_and_errors_are_read(user: User) -> None:
    waiting, failed = submitted(user), submitted(user)
    job = failed.rpartition("/")[2]
    (user.home / "ctl" / f"job.{job}.failed").write_text("LRMS error: (9) Job finished with wrong exit code - 9 != 0\n")
    (user.home / "ctl" / f"job.{job}.diag").write_text("exitcode=9\n")
    user.move(job, State.FINISHED)

    found = blocks(user.run("arcstat", waiting, failed))

    assert {waiting, failed} == set(found)
    assert "Accepted" == found[waiting]["State"]
    assert ("Failed", "9") == (found[failed]["State"], found[failed]["Exit Code"])
    assert "LRMS error: (9) Job finished with wrong exit code - 9 != 0" == found[failed]["Job Error"]
    assert "a job" == found[failed]["Name"]


@pytest.mark.parametrize(
    "state", ["Queuing", "Accepted", "Preparing", "Submitting", "Running", "Finishing", "Finished"]
)
def test_states_are_those_that_scripts_compare(state: str) -> None:
    assert state in set(ClientState)


def test_a_job_that_never_was_is_reported_in_arcs_words(user: User) -> None:
    known = submitted(user)

    said = user.run("arcstat", known, "file:///nowhere/abcdef")

    assert ["file:///nowhere/abcdef"] == UNKNOWN.findall(said.err)
    assert {known} == set(blocks(said))


def test_a_job_that_cannot_be_read_now_is_reported_as_not_shown_yet(user: User) -> None:
    job = submitted(user)

    with closed(user.home / "ctl" / "accepting"):
        said = user.run("arcstat", job)

    assert [job] == NOT_SHOWN.findall(said.err), said
    assert 1 == said.code


def test_results_and_counts_are_read(user: User) -> None:
    one, other = submitted(user), submitted(user)
    user.move(other.rpartition("/")[2], State.FINISHED)

    killed, fetched = user.run("arckill", one), user.run("arcget", other)

    assert ("1", "1") == KILLED.findall(killed.out)[0]
    assert [other.rpartition("/")[2]] == FETCHED.findall(fetched.out)
