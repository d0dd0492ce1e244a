"""The verdict from all evidence: every combination that matters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.model.report import EndCause, Evidence, EvidenceSource, Phase, Report, Usage, lrms_done
from lrms.attempt.record import Done, StartMarker
from lrms.command.dialect import Seen
from lrms.command.verdict import SETTLE_S, Facts, Said, is_clear, report_of
from lrms.slurm.answers import STATES

START: Final = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
END: Final = START + timedelta(minutes=5)
MARK: Final = StartMarker("12")
LATER: Final = 10_000.0
NO_RECORD: Final = "the job left no completion record"


def done(code: int | None = 0, cause: EndCause = EndCause.EXIT_CODE, signal: int | None = None) -> Done:
    return Done(
        exit_code=code, signal=signal, cause=cause, start=START, end=END, nodes=("n1",), usage=Usage(wall_s=300.0)
    )


def seen(word: str, cause: EndCause | None = None, **more: Any) -> Seen:
    return Seen(**{"phase": Phase.ENDED, "word": word, "cause": cause, **more})


def facts(**more: Any) -> Facts:
    return Facts(**{"system": "SLURM", "mark": MARK, **more})


def reported(**more: Any) -> Report:
    report = report_of(facts(**more))
    assert report is not None
    return report


RUNNING: Final = Seen(phase=Phase.RUNNING, word="RUNNING", nodes=("n1",), started=START)
QUEUED: Final = Seen(phase=Phase.QUEUED, word="PENDING (Resources)")
COMPLETED: Final = seen("COMPLETED", EndCause.EXIT_CODE, exit_code=0)
FAILED: Final = seen("FAILED (NonZeroExitCode)", EndCause.EXIT_CODE, exit_code=3)
KILLED: Final = seen("FAILED (JobLaunchFailure)", EndCause.SIGNAL, signal=9)
UNCLEAR: Final = seen("FAILED (JobLaunchFailure)")
TIMEOUT: Final = seen("TIMEOUT (TimeLimit)", EndCause.WALLTIME)
OUT_OF_MEMORY: Final = seen("OUT_OF_MEMORY", EndCause.MEMORY, signal=9)
NODE_FAIL: Final = seen("NODE_FAIL (NodeDown)", EndCause.NODE_FAILURE)
PREEMPTED: Final = seen("PREEMPTED", EndCause.PREEMPTED)
SCANCEL: Final = seen("CANCELLED", EndCause.CANCELLED_BY_ADMIN, vague=True, signal=15)
DEADLINE: Final = seen("DEADLINE (DeadLine)", EndCause.CANCELLED_BY_LIMIT)
LAUNCH_FAILED: Final = seen("LAUNCH_FAILED", EndCause.NEVER_STARTED)
TERM: Final = done(143, EndCause.SIGNAL, 15)
OVER_MEMORY: Final = Said(EndCause.MEMORY, "slurmstepd: error: Exceeded job memory limit")

#: What is known, and what is concluded: exit code, signal, cause, whether there is doubt.
ENDS: Final[dict[str, tuple[dict[str, Any], tuple[int | None, int | None, EndCause, bool]]]] = {
    # a record alone
    "a record with a plain code settles it alone": (
        {"done": done(3)},
        (3, None, EndCause.EXIT_CODE, False),
    ),
    "even while the batch system still shows the job": (
        {"done": done(0), "seen": RUNNING},
        (0, None, EndCause.EXIT_CODE, False),
    ),
    "a record of a job that never started": (
        {"done": done(None, EndCause.NEVER_STARTED)},
        (None, None, EndCause.NEVER_STARTED, False),
    ),
    "a record that has counted kills of the kernel": (
        {"done": done(137, EndCause.MEMORY)},
        (137, None, EndCause.MEMORY, False),
    ),
    # a record with a signal, and why
    "a signal that no one explains": (
        {"done": TERM, "waited_s": SETTLE_S},
        (143, 15, EndCause.SIGNAL, False),
    ),
    "a signal because of our request": (
        {"done": TERM, "cancel_asked": True, "waited_s": SETTLE_S},
        (143, 15, EndCause.CANCELLED, False),
    ),
    "a signal because of the walltime": ({"done": TERM, "seen": TIMEOUT}, (143, 15, EndCause.WALLTIME, False)),
    "a signal because of memory": ({"done": TERM, "seen": OUT_OF_MEMORY}, (143, 15, EndCause.MEMORY, False)),
    "a signal because of the node": ({"done": TERM, "seen": NODE_FAIL}, (143, 15, EndCause.NODE_FAILURE, False)),
    "a signal because of a stronger job": ({"done": TERM, "seen": PREEMPTED}, (143, 15, EndCause.PREEMPTED, False)),
    "a signal because of a limit": ({"done": TERM, "seen": DEADLINE}, (143, 15, EndCause.CANCELLED_BY_LIMIT, False)),
    "a signal because of someone": ({"done": TERM, "seen": SCANCEL}, (143, 15, EndCause.CANCELLED_BY_ADMIN, False)),
    "a signal because of us": (
        {"done": TERM, "seen": SCANCEL, "cancel_asked": True},
        (143, 15, EndCause.CANCELLED, False),
    ),
    "the walltime goes before our request": (
        {"done": TERM, "seen": TIMEOUT, "cancel_asked": True},
        (143, 15, EndCause.WALLTIME, False),
    ),
    "a signal that the payload gave itself": ({"done": TERM, "seen": KILLED}, (143, 15, EndCause.SIGNAL, False)),
    "a signal for processor time, which SLURM knows nothing of": (
        {"done": done(152, EndCause.CPUTIME, 24), "seen": seen("FAILED", EndCause.EXIT_CODE, exit_code=152)},
        (152, 24, EndCause.CPUTIME, False),
    ),
    "a signal that SLURM has explained in the job's output": (
        {"done": TERM, "seen": KILLED, "said": OVER_MEMORY},
        (143, 15, EndCause.MEMORY, False),
    ),
    "a signal that the accounting explains": (
        {"done": TERM, "account": TIMEOUT},
        (143, 15, EndCause.WALLTIME, False),
    ),
    "the accounting knows who a vague scan means": (
        {"done": TERM, "seen": SCANCEL, "account": seen("CANCELLED by 1000", EndCause.CANCELLED)},
        (143, 15, EndCause.CANCELLED, False),
    ),
    "the accounting lags behind": (
        {"done": TERM, "seen": TIMEOUT, "account": RUNNING},
        (143, 15, EndCause.WALLTIME, False),
    ),
    # contradictions
    "the script says success, the batch system a failure": (
        {"done": done(0), "seen": FAILED},
        (0, None, EndCause.EXIT_CODE, True),
    ),
    "the script says success, the batch system a lost node": (
        {"done": done(0), "seen": NODE_FAIL},
        (0, None, EndCause.EXIT_CODE, True),
    ),
    "they agree": ({"done": done(3), "seen": FAILED}, (3, None, EndCause.EXIT_CODE, False)),
    # no record
    "no record and nothing imposed, after the wait": (
        {"seen": FAILED, "waited_s": 120.0},
        (3, None, EndCause.EXIT_CODE, True),
    ),
    "no record, and success": ({"seen": COMPLETED, "waited_s": 120.0}, (0, None, EndCause.EXIT_CODE, True)),
    "no record, and a signal": ({"seen": KILLED, "waited_s": 120.0}, (265, 9, EndCause.SIGNAL, True)),
    "no record, and the reason in the job's output": (
        {"seen": KILLED, "said": OVER_MEMORY, "waited_s": SETTLE_S},
        (265, 9, EndCause.MEMORY, False),
    ),
    "no record, and nothing is known": ({"seen": UNCLEAR, "waited_s": 120.0}, (None, None, EndCause.LOST, True)),
    "no record: the node took it along": (
        {"seen": NODE_FAIL, "waited_s": SETTLE_S},
        (None, None, EndCause.NODE_FAILURE, False),
    ),
    "no record: killed at the walltime": (
        {"seen": TIMEOUT, "waited_s": SETTLE_S},
        (None, None, EndCause.WALLTIME, False),
    ),
    "no record: cancelled by someone": (
        {"seen": SCANCEL, "waited_s": SETTLE_S},
        (271, 15, EndCause.CANCELLED_BY_ADMIN, False),
    ),
    "no record: cancelled by us": (
        {"seen": SCANCEL, "cancel_asked": True, "waited_s": SETTLE_S},
        (271, 15, EndCause.CANCELLED, False),
    ),
    "only the accounting still knows it": (
        {"account": FAILED, "waited_s": 120.0},
        (3, None, EndCause.EXIT_CODE, True),
    ),
    # no mark: it never ran
    "cancelled in the queue, at once": (
        {"mark": None, "seen": SCANCEL, "cancel_asked": True},
        (271, 15, EndCause.CANCELLED, False),
    ),
    "cancelled in the queue by someone": (
        {"mark": None, "seen": SCANCEL, "waited_s": SETTLE_S},
        (271, 15, EndCause.CANCELLED_BY_ADMIN, False),
    ),
    "cancelled in an array, and gone": (
        {"mark": None, "cancel_asked": True, "waited_s": 1.0},
        (None, None, EndCause.CANCELLED, False),
    ),
    "SLURM could not start it": (
        {"mark": None, "seen": LAUNCH_FAILED},
        (None, None, EndCause.NEVER_STARTED, False),
    ),
    "it ended and there is no trace of a start": (
        {"mark": None, "seen": FAILED, "waited_s": 120.0},
        (None, None, EndCause.NEVER_STARTED, True),
    ),
    "it has removed its run directory": (
        {"mark": None, "removed": True, "seen": FAILED, "waited_s": 120.0},
        (3, None, EndCause.EXIT_CODE, True),
    ),
    # jobs of another user's script
    "a forgotten job whose code is in its accounting lines": (
        {"mark": None, "diag_code": 4},
        (4, None, EndCause.EXIT_CODE, False),
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_end_is_concluded_from_all_that_is_known(name: str) -> None:
    known, expected = ENDS[name]

    report = reported(**known)

    assert (Phase.ENDED, *expected) == (
        report.phase,
        report.exit_code,
        report.signal,
        report.cause,
        report.doubt != "",
    ), report


#: What is known, and what it is waited for: a word of the doubt.
WAITS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "a signal, while the job is still listed": ({"done": TERM, "seen": RUNNING}, "has not reported the reason yet"),
    "a signal, while the job is not listed": ({"done": TERM}, "has not reported the reason yet"),
    "a signal, while the batch system says no more than that the job has gone": (
        {"done": TERM, "seen": Seen(phase=Phase.ENDED, word="z", vague=True)},
        "has not reported the reason yet",
    ),
    "the record of an end": ({"seen": FAILED}, "the completion record of the job is not there yet"),
    "still the record of an end": ({"seen": FAILED, "waited_s": 119.0}, "FAILED"),
    "the record of an end that was imposed": ({"seen": TIMEOUT, "waited_s": SETTLE_S - 1}, "TIMEOUT"),
    "the record of a running job that we have cancelled": ({"seen": SCANCEL, "cancel_asked": True}, "CANCELLED"),
    "a mark that may come late": ({"mark": None, "seen": FAILED, "waited_s": 60.0}, "FAILED"),
    "a record, of a job that only the accounting knows": ({"account": COMPLETED}, "COMPLETED"),
}


@pytest.mark.parametrize("name", WAITS)
def test_what_may_still_come_is_waited_for(name: str) -> None:
    known, word = WAITS[name]

    report = reported(**known)

    assert Phase.EXITING is report.phase
    assert report.cause is None
    assert word in report.doubt


def test_a_record_that_comes_late_is_believed() -> None:
    waiting = facts(seen=FAILED, waited_s=60.0)

    assert Phase.EXITING is getattr(report_of(waiting), "phase", None)
    report = report_of(replace(waiting, done=done(3)))

    assert report is not None
    assert (3, "") == (report.exit_code, report.doubt)


@pytest.mark.parametrize("seen", [RUNNING, QUEUED])
def test_a_living_job_is_what_the_scan_says(seen: Seen) -> None:
    report = reported(seen=seen, mark=None)

    assert (seen.phase, seen.nodes, seen.started, None) == (report.phase, report.nodes, report.started, report.cause)


@pytest.mark.parametrize("known", [{}, {"cancel_asked": True}, {"waited_s": 119.9}, {"mark": StartMarker("")}])
def test_a_job_without_evidence_has_no_report_yet(known: dict[str, Any]) -> None:
    assert report_of(facts(**known)) is None


def test_a_job_without_evidence_is_lost_after_the_waiting_time() -> None:
    report = reported(waited_s=120.0)

    assert (Phase.ENDED, EndCause.LOST, None) == (report.phase, report.cause, report.exit_code)
    assert (-1, "the batch system no longer knows the job") == lrms_done(report)
    assert [Evidence(EvidenceSource.SCAN, "not listed for 120 s")] == list(report.evidence)


@pytest.mark.parametrize(("code", "seen"), [(0, COMPLETED), (3, FAILED)])
def test_an_exit_code_without_the_files_of_the_job_is_a_loss(code: int, seen: Seen) -> None:
    """Where the batch system brings the files back, the record comes with them."""
    report = reported(seen=seen, sandbox=True, waited_s=LATER)

    assert code == reported(seen=seen, waited_s=LATER).exit_code
    assert (None, EndCause.LOST) == (report.exit_code, report.cause)
    assert (-1, "Job failed: lost (the files of the job were not returned)") == lrms_done(report)


@pytest.mark.parametrize("known", [{"seen": TIMEOUT}, {"done": done(0), "seen": COMPLETED}])
def test_other_ends_are_the_same_where_files_come_back(known: dict[str, Any]) -> None:
    assert reported(**known, waited_s=LATER) == reported(**known, waited_s=LATER, sandbox=True)


def test_a_job_that_was_cancelled_and_never_seen_is_missing_for_a_second_at_least() -> None:
    assert report_of(facts(mark=None, cancel_asked=True, waited_s=0.5)) is None


def test_usage_and_times_come_from_the_record() -> None:
    report = reported(done=done(0), seen=replace(COMPLETED, nodes=("n[1-2]",), started=END, usage=Usage(wall_s=1.0)))

    assert (START, END, ("n1",), 300.0) == (report.started, report.ended, report.nodes, report.usage.wall_s)


def test_without_a_record_they_come_from_the_batch_system() -> None:
    known = replace(FAILED, nodes=("n7",), started=START, ended=END, usage=Usage(wall_s=1.0))

    report = reported(seen=known, waited_s=LATER)

    assert (START, END, ("n7",), 1.0) == (report.started, report.ended, report.nodes, report.usage.wall_s)


def test_every_source_of_evidence_is_quoted() -> None:
    report = reported(done=TERM, seen=SCANCEL, account=TIMEOUT, said=OVER_MEMORY, diag_code=143)

    assert [
        Evidence(EvidenceSource.RECORD, "signal 15, ended 2026-11-20T09:05:00Z"),
        Evidence(EvidenceSource.MARK, "started as 12"),
        Evidence(EvidenceSource.SCAN, "CANCELLED"),
        Evidence(EvidenceSource.ACCOUNTING, "TIMEOUT (TimeLimit)"),
        Evidence(EvidenceSource.SESSION, "exitcode=143"),
        Evidence(EvidenceSource.SESSION, OVER_MEMORY.line),
    ] == list(report.evidence)


def test_silence_of_the_scan_is_quoted_too() -> None:
    report = reported(account=FAILED, mark=StartMarker(""))

    assert [EvidenceSource.MARK, EvidenceSource.SCAN, EvidenceSource.ACCOUNTING] == [
        each.source for each in report.evidence
    ]
    assert ["kept from starting", "not listed"] == [each.said for each in report.evidence[:2]]


def test_a_contradiction_names_both_sides() -> None:
    report = reported(done=done(0), seen=NODE_FAIL)

    assert (
        "the job script says exit code 0, ended 2026-11-20T09:05:00Z, SLURM says NODE_FAIL (NodeDown)" == report.doubt
    )


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"done": done(3)}, (3, "Job finished with wrong exit code - 3 != 0")),
        ({"done": done(0)}, (0, "")),
        ({"done": TERM, "seen": TIMEOUT}, (143, "Job timeout: walltime (SLURM: TIMEOUT (TimeLimit))")),
        ({"seen": NODE_FAIL, "waited_s": LATER}, (-1, "Node fail: node failure (SLURM: NODE_FAIL (NodeDown))")),
        ({"done": TERM, "seen": SCANCEL}, (143, "Job was cancelled: cancelled by admin (SLURM: CANCELLED)")),
        ({"done": TERM, "seen": OUT_OF_MEMORY}, (143, "Job failed: memory (SLURM: OUT_OF_MEMORY)")),
        ({"mark": None, "seen": LAUNCH_FAILED}, (-1, "Job failed: never started (SLURM: LAUNCH_FAILED)")),
        ({"seen": UNCLEAR, "waited_s": LATER}, (-1, "Job failed: lost (SLURM: FAILED (JobLaunchFailure))")),
        ({"mark": None, "diag_code": 4}, (4, "Job missing from SLURM, exitcode recovered from session directory")),
        ({"mark": None, "diag_code": 0}, (0, "")),
    ],
)
def test_the_owner_is_told_in_the_words_of_arc(known: dict[str, Any], told: tuple[int, str]) -> None:
    assert told == lrms_done(reported(**known))


def test_a_payload_that_ends_well_when_it_is_stopped_has_failed() -> None:
    """It catches TERM at the walltime and exits with 0."""
    report = reported(done=done(0, EndCause.SIGNAL, 15), seen=TIMEOUT)

    code, message = lrms_done(report)

    assert (271, True) == (code, "walltime" in message)


# --- whatever they say ------------------------------------------------------------------------------------------------

_SEEN = st.builds(
    Seen,
    phase=st.sampled_from(Phase),
    word=st.sampled_from(sorted(STATES)),
    cause=st.none() | st.sampled_from(EndCause),
    exit_code=st.none() | st.integers(0, 255),
    signal=st.none() | st.integers(1, 64),
    vague=st.booleans(),
)
_DONE = st.builds(done, st.none() | st.integers(0, 255), st.sampled_from(EndCause), st.none() | st.integers(1, 64))
_FACTS = st.builds(
    Facts,
    system=st.just("SLURM"),
    done=st.none() | _DONE,
    mark=st.none() | st.builds(StartMarker, st.sampled_from(["", "12"])),
    seen=st.none() | _SEEN,
    account=st.none() | _SEEN,
    said=st.none() | st.just(OVER_MEMORY),
    diag_code=st.none() | st.integers(0, 255),
    cancel_asked=st.booleans(),
    waited_s=st.sampled_from([0.0, 1.0, SETTLE_S, 120.0]),
)


@given(_FACTS)
def test_an_end_has_a_cause_and_nothing_else_has_one(facts: Facts) -> None:
    report = report_of(facts)

    assert report is None or (report.phase is Phase.ENDED) == (report.cause is not None)


@given(_FACTS)
def test_without_evidence_a_job_can_only_be_lost(facts: Facts) -> None:
    """And that takes its time: no answer alone ends a job at once."""
    report = report_of(replace(facts, done=None, account=None, diag_code=None, seen=None, cancel_asked=False))

    if facts.waited_s < facts.record_wait_s:
        assert report is None
    else:
        assert report is not None
        assert (EndCause.LOST, None) == (report.cause, report.exit_code)


@given(_FACTS)
def test_a_job_that_the_scan_shows_alive_ends_only_by_its_record(facts: Facts) -> None:
    report = report_of(replace(facts, done=None, seen=RUNNING))

    assert report is not None
    assert Phase.RUNNING is report.phase


@given(_FACTS)
def test_waiting_comes_to_an_end(facts: Facts) -> None:
    report = report_of(replace(facts, waited_s=LATER))

    if facts.alive and facts.done is None:
        assert report is not None
    else:
        assert report is None or Phase.ENDED is report.phase


_CLEAR = st.builds(
    done,
    st.none() | st.integers(0, 255),
    st.sampled_from([EndCause.EXIT_CODE, EndCause.NEVER_STARTED, EndCause.MEMORY]),
)


@given(_FACTS, _CLEAR)
def test_a_clear_record_has_the_last_word(facts: Facts, clear: Done) -> None:
    report = report_of(replace(facts, done=clear))

    assert is_clear(clear)
    assert report is not None
    assert (clear.exit_code, clear.cause) == (report.exit_code, report.cause)
