"""HTCondor's queue: answers of condor_q, recorded from version 23.9."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.errors import BatchUnavailable, UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase, Usage
from arex.process import Completed
from tests.unit.lrms.htcondor.speech import ad, dialect, recorded, seen


def test_one_query_is_about_all_jobs_of_this_account() -> None:
    argv = dialect().listing([LocalId("1.0")]).argv

    assert ("condor_q", "-xml", "-attributes") == argv[:3]
    assert {"ClusterId", "ArexTag", "HoldReasonCode", "RemoveReason", "ExitCode"} <= set(argv[3].split(","))


MIXED: Final = [
    ("43.0", "exit0", Phase.ENDED, EndCause.EXIT_CODE, 0, None),
    ("43.1", "exit3", Phase.ENDED, EndCause.EXIT_CODE, 3, None),
    ("43.2", "sig9", Phase.ENDED, EndCause.SIGNAL, None, 9),
    ("43.3", "segv", Phase.ENDED, EndCause.SIGNAL, None, 11),
    ("43.4", "exit0rm", Phase.ENDED, EndCause.EXIT_CODE, 0, None),
    ("44.0", "wall", Phase.ENDED, EndCause.WALLTIME, None, 15),
    ("45.0", "mem", Phase.ENDED, EndCause.MEMORY, None, 15),
    ("46.0", "userrm", Phase.ENDED, EndCause.CANCELLED, None, 15),
    ("46.1", "vacate", Phase.RUNNING, None, None, None),
    ("46.2", "running", Phase.RUNNING, None, None, None),
    ("46.3", "userhold", Phase.HELD, None, None, None),
    ("46.4", "suspend", Phase.SUSPENDED, None, None, None),
    ("46.5", "sysrm", Phase.ENDED, EndCause.CANCELLED_BY_LIMIT, None, 15),
    ("46.6", "syshold", Phase.ENDED, EndCause.CANCELLED_BY_LIMIT, None, 15),
    ("47.0", "badout", Phase.ENDED, EndCause.NEVER_STARTED, None, None),
    ("48.0", "badexe", Phase.ENDED, EndCause.NEVER_STARTED, None, None),
    ("49.0", "idle", Phase.QUEUED, None, None, None),
    ("49.1", "heldidle", Phase.HELD, None, None, None),
    ("50.0", "policy", Phase.ENDED, EndCause.CANCELLED_BY_LIMIT, None, 15),
    ("51.0", "deaf", Phase.EXITING, None, None, None),
]


def test_a_listing_says_where_every_job_is_and_how_it_ended() -> None:
    found = dialect().listed(recorded("q-mixed"))

    assert MIXED == [
        (localid, each.tag.removesuffix("-1f"), each.phase, each.cause, each.exit_code, each.signal)
        for localid, each in found.items()
    ]


def test_a_listing_tells_what_else_it_knows() -> None:
    found = dialect().listed(recorded("q-mixed"))

    running, ended, held = (found[LocalId(each)] for each in ("46.2", "44.0", "49.1"))
    assert (("node1.site",), "RUNNING", datetime(2026, 11, 20, tzinfo=UTC).date()) == (
        running.nodes,
        running.word,
        (running.started or datetime.min.replace(tzinfo=UTC)).date(),
    )
    assert ended.started is not None
    assert ended.ended is not None
    assert (5.0, "REMOVED (walltime)") == ((ended.ended - ended.started).total_seconds(), ended.word)
    assert "waits: via condor_hold (by user grid)" == held.message


def test_what_a_job_used_is_in_seconds_and_kilobytes() -> None:
    found = seen(JobStatus=4, RemoteWallClockTime=9.5, RemoteUserCpu=1, RemoteSysCpu=2, ResidentSetSize_RAW=4512)

    assert Usage(wall_s=9.5, user_s=1.0, system_s=2.0, max_rss_kb=4512) == found.usage


@pytest.mark.parametrize(
    ("attributes", "phase", "cause"),
    [
        ({"JobStatus": 0}, Phase.QUEUED, None),
        ({"JobStatus": 1}, Phase.QUEUED, None),
        ({"JobStatus": 2}, Phase.RUNNING, None),
        ({"JobStatus": 6}, Phase.EXITING, None),
        ({"JobStatus": 7}, Phase.SUSPENDED, None),
        ({"JobStatus": 8}, Phase.EXITING, None),
        ({"JobStatus": 9}, Phase.QUEUED, None),
        ({"JobStatus": 77}, Phase.OTHER, None),
        ({"JobStatus": 5, "HoldReasonCode": 1}, Phase.HELD, None),
        ({"JobStatus": 5, "HoldReasonCode": 15}, Phase.HELD, None),
        ({"JobStatus": 5, "HoldReasonCode": 16}, Phase.HELD, None),
        ({"JobStatus": 5, "HoldReasonCode": 3}, Phase.ENDED, EndCause.CANCELLED_BY_LIMIT),
        ({"JobStatus": 5, "HoldReasonCode": 26}, Phase.ENDED, EndCause.CANCELLED_BY_LIMIT),
        ({"JobStatus": 5, "HoldReasonCode": 34}, Phase.ENDED, EndCause.MEMORY),
        ({"JobStatus": 5, "HoldReasonCode": 46}, Phase.ENDED, EndCause.WALLTIME),
        ({"JobStatus": 5, "HoldReasonCode": 47}, Phase.ENDED, EndCause.WALLTIME),
        ({"JobStatus": 5, "HoldReasonCode": 6}, Phase.ENDED, EndCause.NEVER_STARTED),
        ({"JobStatus": 5, "HoldReasonCode": 14}, Phase.ENDED, EndCause.NEVER_STARTED),
        ({"JobStatus": 5}, Phase.ENDED, EndCause.NEVER_STARTED),
        ({"JobStatus": 3, "RemoveReason": "via condor_rm (by user root)"}, Phase.ENDED, EndCause.CANCELLED_BY_ADMIN),
        ({"JobStatus": 3, "RemoveReason": "via condor_rm (by user grid)"}, Phase.ENDED, EndCause.CANCELLED),
        ({"JobStatus": 3, "RemoveReason": "via condor_rm (by user grid2)"}, Phase.ENDED, EndCause.CANCELLED_BY_ADMIN),
        ({"JobStatus": 3, "RemoveReason": "arex: preempted"}, Phase.ENDED, EndCause.PREEMPTED),
        ({"JobStatus": 3, "RemoveReason": "arex: cputime"}, Phase.ENDED, EndCause.CPUTIME),
        ({"JobStatus": 3, "RemoteHost": "slot1@n"}, Phase.EXITING, None),
        ({"JobStatus": 4, "NumJobStarts": 2, "ExitCode": 0}, Phase.ENDED, EndCause.PREEMPTED),
        ({"JobStatus": 4, "NumJobStarts": 1, "NumShadowStarts": 2, "ExitCode": 0}, Phase.ENDED, None),
    ],
)
def test_every_state_has_a_phase_and_every_end_a_cause(
    attributes: dict[str, Any], phase: Phase, cause: EndCause | None
) -> None:
    found = seen(Owner="grid", ExitBySignal=False, **attributes)

    assert (phase, cause) == (found.phase, found.cause)


def test_a_job_that_htcondor_holds_stays_until_it_is_taken_away() -> None:
    """Only what is held by hand may go on."""
    assert seen(JobStatus=5, HoldReasonCode=34).lingers
    assert not seen(JobStatus=5, HoldReasonCode=1).lingers
    assert not seen(JobStatus=4, ExitBySignal=False, ExitCode=0).lingers


def test_a_second_copy_s_exit_code_is_not_the_job_s() -> None:
    """It found the mark and ended at once."""
    for starts in ({"NumJobStarts": 2}, {"NumJobStarts": 1, "NumShadowStarts": 2}):
        assert seen(JobStatus=4, ExitBySignal=False, ExitCode=0, **starts).exit_code is None


def test_no_jobs_is_an_answer_and_silence_is_not() -> None:
    assert {} == dialect().listed(recorded("q-none"))
    with pytest.raises(UnreadableOutput):
        dialect().listed(Completed(("condor_q",), 0, "", ""))


def test_a_schedd_that_does_not_answer_is_no_answer() -> None:
    with pytest.raises(BatchUnavailable, match="condor_schedd is not running") as caught:
        dialect().listed(recorded("q-down"))
    assert not isinstance(caught.value, UnreadableOutput)


@pytest.mark.parametrize("part", [0.01, 0.2, 0.5, 0.9, 0.99])
def test_half_an_answer_is_no_answer(part: float) -> None:
    whole = recorded("q-mixed")

    with pytest.raises(UnreadableOutput):
        dialect().listed(replace(whole, out=whole.out[: int(len(whole.out) * part)]))


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "<jobs/>",
        "<classads><c/></classads>",
        '<classads><c><a n="ClusterId"><i>x</i></a></c></classads>',
        "<classads><c><a><i>1</i></a></c></classads>",
    ],
)
def test_invalid_output_is_no_answer(text: str) -> None:
    with pytest.raises(UnreadableOutput):
        dialect().listed(Completed(("condor_q",), 0, text, ""))


@given(st.text())
def test_any_text_is_an_answer_or_none(text: str) -> None:
    try:
        listed = dialect().listed(Completed(("condor_q",), 0, text, ""))
    except BatchUnavailable:
        return
    assert all(isinstance(seen.phase, Phase) for seen in listed.values())


@given(st.dictionaries(st.sampled_from(["ExitCode", "ExitSignal", "HoldReasonCode", "JobStatus"]), st.floats()))
def test_any_number_is_an_answer_or_none(numbers: dict[str, float]) -> None:
    try:
        found = seen(**numbers)
    except BatchUnavailable:
        return
    assert isinstance(found.phase, Phase)
    assert all(type(number) in {int, type(None)} for number in (found.exit_code, found.signal))


def test_expressions_are_no_values() -> None:
    text = ad().replace("</c>", '<a n="ExitCode"><e>1 + 1</e></a><a n="HoldReason"><un/></a></c>')

    assert dialect().listed(Completed(("condor_q",), 0, text, ""))[LocalId("7.0")].exit_code is None
