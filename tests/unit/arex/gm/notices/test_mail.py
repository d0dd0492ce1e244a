"""The text of mail, and the document of the command; both are pure functions of what is known about a job."""

from __future__ import annotations

import email
import json
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from arex.controldir.codec import parse_local
from arex.diagnosis.accounting import Accounting
from arex.gm.notices.document import document, variables
from arex.gm.notices.facts import Entered, JobFacts, one_line
from arex.gm.notices.mail import message
from arex.model.arc import CANCELLED
from arex.model.ids import JobId, LocalId
from arex.model.local import JobLocal
from arex.model.reason import Reason, ReasonKind
from arex.model.state import State

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
JOB = JobId("0123456789ab")
LOCAL = JobLocal(
    jobname="fit 7", lrms="slurm", queue="long", localid=LocalId("4711"), subject="/CN=me", starttime=AT,
    cleanuptime=AT + timedelta(days=7), extra=(("label", "run=7"),),
)  # fmt: skip
USED = Accounting(exit_code=9, wall_s=5400, cpu_s=60, memory_kb=2049, ended=AT)
FAILED = JobFacts(used=USED, reason=Reason(ReasonKind.EXIT_CODE, "exit code 9", AT))


def entered(state: State = State.FINISHED, local: JobLocal = LOCAL, failure: str = "") -> Entered:
    return Entered(job=JOB, state=state, at=AT, local=local, failure=failure, session=Path("/s") / JOB)


def parsed(what: Entered, facts: JobFacts | None = None) -> EmailMessage:
    data = message(what, facts or JobFacts(), "me@example.org", "front.example.org")
    data.decode("ascii")
    assert b"\r" not in data
    mail = email.message_from_bytes(data, policy=default)
    assert isinstance(mail, EmailMessage)
    assert [] == mail.defects
    return mail


def test_a_mail_about_a_failure_says_why_and_what_to_do() -> None:
    mail = parsed(entered(failure="LRMS error: (9) ..."), FAILED)

    assert "arex: fit 7 failed: exit code 9" == mail["Subject"]
    assert ("me@example.org", "auto-generated") == (mail["To"], mail["Auto-Submitted"])
    lines = mail.get_content().splitlines()
    assert "The job fit 7 failed: exit code 9." == lines[0]
    for line in (
        f"Job id:       {JOB}", "Batch system: slurm 4711", "Queue:        long", "Exit code:    9",
        "Wall time:    1 h 30 min", "CPU time:     1 min", "Memory:       3 MB",
        f"Results:      front.example.org:/s/{JOB}",
        f"Fetch the results:  arcget {JOB}", f"See what happened:  arcstat -l {JOB}",
    ):  # fmt: skip
        assert line in lines


def test_a_mail_about_a_success_needs_no_advice_about_failures() -> None:
    mail = parsed(entered())

    assert "arex: fit 7 finished" == mail["Subject"]
    assert "arcstat" not in mail.get_content()


def test_a_cancelled_job_was_killed_and_not_failed() -> None:
    by_owner = JobFacts(reason=Reason(ReasonKind.CANCELED, "canceled by its owner"))

    assert "arex: fit 7 killed: canceled by its owner" == parsed(entered(failure=CANCELLED), by_owner)["Subject"]


@pytest.mark.parametrize("state", [State.PREPARING, State.INLRMS, State.FINISHING, State.CANCELING, State.DELETED])
def test_a_mail_about_a_state_on_the_way_promises_no_results(state: State) -> None:
    mail = parsed(entered(state))

    assert mail["Subject"].startswith("arex: fit 7 ")
    assert "arcget" not in mail.get_content()


def test_a_job_without_a_name_is_named_by_its_id() -> None:
    assert f"arex: {JOB} finished" == parsed(entered(local=JobLocal()))["Subject"]


@pytest.mark.parametrize(
    "name",
    [
        "a\nBcc: victim@example.org", "a\r\n\r\nbody", "a\u2028Bcc: victim@example.org", "a\0b", "\x1b]0;title\x07",
        "a\x85b", "x" * 5000, "\udcff\udcfe", "=?utf-8?q?a=0ABcc=3A_v=40x?=",
    ],
)  # fmt: skip
def test_no_name_adds_a_header_or_a_control_character(name: str) -> None:
    mail = parsed(entered(local=JobLocal(jobname=name)))

    assert ["me@example.org"] == mail.get_all("To")
    assert {
        "Subject",
        "To",
        "Auto-Submitted",
        "X-Arex-Job",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    } == {*mail.keys()}
    assert not [each for each in mail.get_content() if not each.isprintable() and each != "\n"]
    assert f"arex: {one_line(name)[:200] or JOB} finished" == mail["Subject"]


def test_a_name_with_letters_beyond_ascii_arrives_as_it_is() -> None:
    name = "Straße 東京 " * 15
    mail = parsed(entered(local=JobLocal(jobname=name)))

    assert f"arex: {name}finished" == mail["Subject"]
    assert name in mail.get_content()


def test_a_reason_with_line_breaks_stays_one_line() -> None:
    facts = JobFacts(reason=Reason(ReasonKind.FAILURE, "first\nBcc: victim@example.org"))

    mail = parsed(entered(failure="first"), facts)

    assert "arex: fit 7 failed: first Bcc: victim@example.org" == mail["Subject"]
    assert mail["Bcc"] is None


def test_the_document_has_the_names_of_a_job_in_arcstat() -> None:
    data = document(entered(failure="LRMS error: (9) x"), FAILED)

    assert data.endswith(b"\n")
    assert json.loads(data) == {
        "id": JOB, "name": "fit 7", "state": "Failed",
        "reason": {
            "kind": "exit_code", "text": "exit code 9", "since": "2026-11-20T09:30:00Z", "next_try": None, "place": None
        },
        "failure": "LRMS error: (9) x", "exit_code": 9, "submitted": "2026-11-20T09:30:00Z", "started": None,
        "ended": "2026-11-20T09:30:00Z", "erased": "2026-11-27T09:30:00Z", "wall_s": 5400, "cpu_s": 60,
        "memory_kb": 2049, "lrms": "slurm", "queue": "long", "localid": "4711", "sessiondir": f"/s/{JOB}",
        "owner": "/CN=me", "labels": {"run": "7"},
    }  # fmt: skip


def test_bytes_that_are_no_text_harm_neither_the_document_nor_the_variables() -> None:
    local = parse_local(b"jobname=a\xff\x1bb\nsubject=/CN=\xfe\n")

    assert json.loads(document(entered(local=local), JobFacts()))["name"] == "a b"
    assert {
        "AREX_JOB_ID": JOB, "AREX_JOB_NAME": "a b", "AREX_JOB_STATE": "Finished", "AREX_JOB_SESSION": f"/s/{JOB}"
    } == variables(entered(local=local))  # fmt: skip
