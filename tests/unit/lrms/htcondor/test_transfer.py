"""HTCondor where nodes do not see the session directories."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.config.model import ArexBlock, Configuration, LrmsBlock
from arex.config.values import LrmsChoice
from arex.model.ids import LocalId
from arex.model.report import EndCause
from arex.ports import Submission
from lrms.command.dialect import Work
from lrms.command.transport import SharedFileSystem
from lrms.htcondor.dialect import CondorBackend, CondorOptions
from lrms.htcondor.eventlog import EventSummary, parse_log
from lrms.htcondor.transfer import FileTransfer
from lrms.jobscript.runtimes import RuntimeSettings
from lrms.jobscript.scratch import scratch_of
from tests.unit.lrms.htcondor.speech import description, seen, value
from tests.unit.lrms.samples import submission, work


def load(*submissions: Submission) -> Work:
    first = work(*submissions)
    return replace(first, keys=tuple(f"k{n}" for n, _ in enumerate(submissions)))


@pytest.mark.parametrize("jobs", [("abc",), ("a", "b")])
def test_htcondor_moves_one_directory_there_and_one_back(jobs: tuple[str, ...]) -> None:
    """No list holds a name that a job has chosen. Each submission has separate files and a separate log."""
    lines = description(load(*map(submission, jobs)), moves=True)
    rundir = "$(arex_session).lrms/$(arex_tag)" if len(jobs) > 1 else "/s/abc.lrms/abc-1f"

    assert {
        "should_transfer_files": "YES",
        "when_to_transfer_output": "ON_EXIT",
        "initialdir": rundir,
        "arguments": "script",
        "transfer_input_files": "script,in.$(arex_key)/",
        "transfer_output_files": "back",
        "log": f"{rundir}/log.$(arex_key)",
        "output": "$(arex_session).comment",
        "requirements": "((MY.NumJobStarts ?: 0) == 0)",
    }.items() <= {name: value(lines, name) for name in (line.partition(" = ")[0] for line in lines)}.items()
    rows = [f"{job}-1f k{n} /s/{job}" for n, job in enumerate(jobs)]
    assert ["queue arex_tag,arex_key,arex_session from (", *rows, ")"] == lines[-2 - len(jobs) :]


def test_a_script_that_has_to_send_files_back_has_the_time_for_it() -> None:
    """It ends the payload itself when the wall time is over."""
    policy = value(description(load(submission(walltime_s=60)), moves=True), "periodic_remove") or ""

    assert "JobStatus == 2 && time() - JobCurrentStartExecutingDate > 360" in policy


def test_the_configuration_says_whether_files_are_moved() -> None:
    """The directory of HTCondor on a node is the scratch directory then."""
    arex = ArexBlock(shared_filesystem=False, scratchdir=Path("/scratch"))
    config = Configuration(arex=arex, lrms=LrmsBlock(lrms=LrmsChoice(name="condor")))

    assert CondorOptions.of(config).moves
    assert isinstance(CondorBackend.from_config(config)._transport, FileTransfer)
    assert scratch_of(config) is None
    assert not RuntimeSettings.of(config).shared
    assert not CondorOptions.of(Configuration()).moves
    assert isinstance(CondorBackend.from_config(Configuration())._transport, SharedFileSystem)


@pytest.mark.parametrize("code", [12, 33])
def test_files_that_do_not_come_back_are_lost(code: int) -> None:
    held = seen(JobStatus=5, HoldReasonCode=code, NumJobStarts=1)
    removed = seen(JobStatus=3, RemoveReason="arex: why", LastHoldReasonCode=code, NumJobStarts=1)

    assert [EndCause.LOST] * 2 == [held.cause, removed.cause]
    assert "REMOVED (why)" == removed.word
    assert EndCause.NEVER_STARTED is seen(JobStatus=5, HoldReasonCode=code, NumJobStarts=0).cause


SUBMITTED: Final = "000 (7.001.000) 2030-01-01 00:00:00 Job submitted from host: <h>\n...\n"
BEGAN: Final = "001 (7.001.000) 2030-01-01 00:00:01 Job executing on host: <h>\n\tSlotName: s\n...\n"
ENDED: Final = "005 (7.001.000) 2030-01-01 00:00:02 Job terminated.\n\t(1) Normal termination (return value 0)\n...\n"
ABORTED: Final = "009 (7.001.000) 2030-01-01 00:00:02 Job was aborted.\n...\n"
HELD: Final = "012 (7.001.000) 2030-01-01 00:00:02 Job was held.\n\tit says\n005 (7.001.000) no\n\tCode 12\n...\n"
JOB: Final = LocalId("7.1")


@pytest.mark.parametrize(
    ("text", "story"),
    [
        ("", EventSummary()),
        (SUBMITTED, EventSummary(taken=JOB)),
        (SUBMITTED[:-2], EventSummary()),
        (SUBMITTED + BEGAN, EventSummary(taken=JOB, began=JOB)),
        (SUBMITTED + BEGAN + ENDED, EventSummary(taken=JOB, began=JOB, returned=True, over=True)),
        (SUBMITTED + BEGAN + ENDED[:-5], EventSummary(taken=JOB, began=JOB)),
        (SUBMITTED + BEGAN + HELD, EventSummary(taken=JOB, began=JOB, over=True)),
        (SUBMITTED + BEGAN + ABORTED, EventSummary(taken=JOB, began=JOB, over=True)),
        (SUBMITTED + ABORTED, EventSummary(over=True)),
        (SUBMITTED + BEGAN + ENDED + BEGAN, EventSummary(taken=JOB, began=JOB)),
        ("what is this\n...\n" + SUBMITTED, EventSummary(taken=JOB)),
    ],
)
def test_the_log_of_a_job_tells_its_story(text: str, story: EventSummary) -> None:
    assert story == parse_log(text)


@given(st.text())
def test_any_text_is_parsed_as_a_log(text: str) -> None:
    assert isinstance(parse_log(text), EventSummary)
