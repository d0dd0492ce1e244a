"""For every state of a job there is a reason, and the service's facts make it exact."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.controldir import codec
from arex.diagnosis.facts import BatchFacts, Outage, WaitingFacts
from arex.diagnosis.waiting import CREDENTIAL, OWNER_LIMIT, SLOTS, WaitingJob, why_waiting
from arex.model.ids import JobId, LocalId
from arex.model.local import JobLocal
from arex.model.reason import Reason, ReasonKind
from arex.model.state import State, Status

NOW = datetime(2026, 11, 20, 8, 49, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=5)
SOON = NOW + timedelta(seconds=32)
JOB = JobId("abcdefgh")
LOCAL = JobLocal(lrms="SLURM", queue="short", localid=LocalId("77"))


def job(state: State, *, pending: bool = False, why: str = "", **more: object) -> WaitingJob:
    line = codec.state_line(SINCE, Status(state), Status(state, pending), why) if why else ""
    plain = WaitingJob(
        id=JOB, status=Status(state, pending), changed=SINCE, local=LOCAL, controldir=Path("/ctl"), log=line
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def facts(**more: object) -> WaitingFacts:
    return replace(WaitingFacts(updated=NOW, pid=1), **more)  # type: ignore[arg-type]


def why(waiting: WaitingJob, known: WaitingFacts | None = None) -> Reason:
    reason = why_waiting(waiting, known, NOW)
    assert reason is not None
    return reason


UNFINISHED = [state for state in State if state not in {State.FINISHED, State.DELETED}]


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize("pending", [True, False])
@pytest.mark.parametrize("state", UNFINISHED)
def test_there_is_always_a_reason(state: State, pending: bool, served: bool) -> None:
    for known in (None, facts()):
        assert why(job(state, pending=pending, served=served), known).text
        assert not why(job(state, pending=pending, served=served), known).kind.is_end


@pytest.mark.parametrize("phase", ["R", "E", "O"])
def test_a_running_job_waits_for_nothing(phase: str) -> None:
    assert why_waiting(job(State.INLRMS, phase=phase), facts(), NOW) is None


def test_a_held_job_says_since_when_and_how_to_release_it() -> None:
    held = job(State.PREPARING, pending=True, why="Request to hold job", held_since=SINCE)

    assert held.is_held
    assert Reason(ReasonKind.HOLD, f"held with archold; to release it: arcrelease {JOB}", SINCE) == why(held)


def test_a_hold_wins_over_the_limit_that_the_log_names() -> None:
    assert ReasonKind.HOLD is why(job(State.PREPARING, pending=True, why=SLOTS, held_since=SINCE)).kind


def test_slots_are_counted_and_the_place_in_the_line_is_named() -> None:
    known = facts(slots=2, slots_used=2, limit="slots of fork", line={JobId("a"): 1, JobId("b"): 2, JOB: 3})

    reason = why(job(State.PREPARING, pending=True, why=SLOTS), known)

    assert Reason(ReasonKind.SLOTS, "place 3 in line: 2 of 2 slots of fork are in use", SINCE, None, 3) == reason


@pytest.mark.parametrize(("place", "text"), [(1, "next in line"), (2, "place 2 in line")])
def test_the_first_places_have_words(place: int, text: str) -> None:
    known = facts(slots=2, slots_used=2, limit="slots of fork", line={JOB: place})

    assert f"{text}: 2 of 2 slots of fork are in use" == why(job(State.PREPARING, pending=True, why=SLOTS), known).text


def test_the_limit_of_an_owner_is_named() -> None:
    known = facts(owner_limit=5, owner_line={JOB: 2})

    reason = why(job(State.ACCEPTED, pending=True, why=OWNER_LIMIT), known)

    assert "place 2 in line: the limit of 5 jobs for one owner (maxjobs) is reached" == reason.text
    assert (ReasonKind.JOB_LIMIT, 2) == (reason.kind, reason.place)


def test_new_jobs_beyond_the_first_limit_have_a_place() -> None:
    reason = why(job(State.ACCEPTED, place=4), facts(outside=9, most_jobs=100))

    assert "place 4 in line: the limit of 100 jobs (maxjobs) is reached" == reason.text


def test_a_later_start_is_the_next_try() -> None:
    reason = why(job(State.ACCEPTED, local=replace(LOCAL, processtime=SOON, starttime=SINCE)), facts())

    assert (ReasonKind.START_TIME, SINCE, SOON) == (reason.kind, reason.since, reason.next_try)


def test_a_parked_queue_says_why_since_when_and_until_when() -> None:
    paused = BatchFacts(paused={"short": Outage(why="the queue is closed", since=SINCE, next_try=SOON)})

    reason = why(job(State.SUBMIT), facts(batch={"slurm": paused}))

    text = "submissions to queue short of SLURM are paused: the queue is closed"
    assert Reason(ReasonKind.QUEUE, text, SINCE, SOON) == reason


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State.SUBMIT, "SLURM does not answer: no route"),
        (State.INLRMS, "it is in SLURM, which does not answer: no route"),
        (State.CANCELING, "it is canceled as soon as SLURM answers again: no route"),
    ],
)
def test_a_batch_system_that_is_down_is_the_reason(state: State, text: str) -> None:
    down = BatchFacts(down=Outage(why="no route", since=SINCE, next_try=SOON))

    assert Reason(ReasonKind.BATCH_SYSTEM, text, SINCE, SOON) == why(job(state), facts(batch={"slurm": down}))


def test_another_batch_system_that_is_down_is_not_the_reason() -> None:
    down = BatchFacts(down=Outage(why="no route", since=SINCE))

    assert ReasonKind.SUBMISSION is why(job(State.SUBMIT), facts(batch={"pbs": down})).kind


@pytest.mark.parametrize("state", [State.SUBMIT, State.INLRMS])
def test_a_backend_that_is_missing_is_the_reason(state: State) -> None:
    missing = Reason(ReasonKind.BACKEND, "its batch system 'slurm' is not configured here")

    assert missing == why(job(state), facts(jobs={JOB: missing}))


def test_a_transfer_that_is_tried_again_says_how_often_and_when() -> None:
    retry = Reason(ReasonKind.TRANSFER_RETRY, "http://x/y: no connection; try 6 of 10", SINCE, SOON)

    assert retry == why(job(State.PREPARING), facts(jobs={JOB: retry}))
    assert retry == why(job(State.FINISHING), facts(jobs={JOB: retry}))


def test_active_transfers_show_their_progress() -> None:
    assert "downloading input files: 3 of 12 files" == why(job(State.PREPARING, progress="3 of 12 files")).text
    assert "uploading output files: 3 of 12 files" == why(job(State.FINISHING, progress="3 of 12 files")).text


def test_missing_uploads_are_named() -> None:
    reason = why(job(State.PREPARING, missing=("a", "b", "c", "d")))

    assert (ReasonKind.UPLOAD, "the client has not uploaded a, b, c and 1 more yet") == (reason.kind, reason.text)


def test_an_expired_credential_keeps_its_cure_and_the_next_try() -> None:
    text = f"{CREDENTIAL}2026-11-20T08:00:00Z; renew it: arcrenew {JOB}"
    plan = Reason(ReasonKind.STEP, "", None, SOON)

    reason = why(job(State.PREPARING, pending=True, why=text), facts(jobs={JOB: plan}))

    assert Reason(ReasonKind.CREDENTIAL, text, SINCE, SOON) == reason


def test_a_quota_keeps_its_words() -> None:
    text = "/s has 3 MB left; new jobs wait until there are 100 MB"

    assert (ReasonKind.SPACE, text) == (why(job(State.PREPARING, pending=True, why=text)).kind, text)


@pytest.mark.parametrize(("phase", "word"), [("H", "held"), ("S", "suspended")])
def test_a_hold_in_the_batch_system_names_it(phase: str, word: str) -> None:
    reason = why(job(State.INLRMS, phase=phase))

    assert (ReasonKind.HOLD, f"{word} in SLURM as job 77") == (reason.kind, reason.text)


def test_a_queued_job_says_where_and_why() -> None:
    known = facts(jobs={JOB: Reason(ReasonKind.QUEUED, "Resources")})

    assert "queued in SLURM as job 77, queue short: Resources" == why(job(State.INLRMS, phase="Q"), known).text
    assert "queued in SLURM as job 77, queue short" == why(job(State.INLRMS, phase="Q"), facts()).text


def test_trouble_with_the_files_comes_first_even_for_a_running_job() -> None:
    line = codec.trouble_line(SINCE, "No space left on device: /ctl")
    troubled = job(State.INLRMS, phase="R", log=line)

    reason = why(troubled)

    text = "No space left on device: /ctl; arex tries again every minute"
    assert (ReasonKind.TROUBLE, text, SINCE) == (reason.kind, reason.text, reason.since)
    assert why_waiting(replace(troubled, log=line + codec.trouble_over(NOW)), None, NOW) is None


def test_without_a_service_that_is_the_reason() -> None:
    reason = why(job(State.PREPARING, pending=True, why=SLOTS, served=False), None)

    assert Reason(ReasonKind.SERVICE, "no service is running for /ctl; start it with 'arex start'") == reason


def test_without_a_service_a_running_job_is_shown_with_its_last_known_state() -> None:
    reason = why(job(State.INLRMS, phase="R", served=False), None)

    assert ReasonKind.SERVICE is reason.kind
    assert "this is its last known state" in reason.text
