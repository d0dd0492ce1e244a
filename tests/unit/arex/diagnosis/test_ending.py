from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from arex.diagnosis.ending import EndedJob, shown_seconds, why_ended
from arex.model.arc import CANCELLED
from arex.model.grami import Grami
from arex.model.ids import JobId
from arex.model.reason import ReasonKind
from arex.model.report import EndCause, Phase, Report, lrms_done

LIMITS = Grami(
    gridid=JobId("j"), directory=Path("/s/j"), controldir=Path("/c"), args=("./run.sh",), walltime_s=3, cputime_s=5400,
    memory_mb=100,
)  # fmt: skip

WINDOWS = (
    "exit code 127: run.sh has Windows line ends, so its interpreter '/bin/bash\\r' does not exist; convert it, "
    "for example with: sed -i 's/\\r$//' run.sh"
)


def ended(failure: str, **facts: object) -> tuple[ReasonKind, str]:
    reason = why_ended(replace(EndedJob(failure=failure, batch_system="slurm", limits=LIMITS), **facts))  # type: ignore[arg-type]
    assert reason is not None
    return reason.kind, reason.text


def lrms_error(report: Report) -> str:
    code, message = lrms_done(report)
    return f"LRMS error: ({code}) {message}"


@pytest.mark.parametrize(
    ("report", "facts", "kind", "text"),
    [
        (Report(phase=Phase.ENDED, exit_code=137, cause=EndCause.WALLTIME), {"wall_s": 4},
         ReasonKind.WALLTIME, "ended: it ran longer than its wall time limit of 3 s (it used 4 s)"),
        (Report(phase=Phase.ENDED, exit_code=137, cause=EndCause.WALLTIME), {"limits": None},
         ReasonKind.WALLTIME, "ended: it ran longer than its wall time limit"),
        (Report(phase=Phase.ENDED, exit_code=137, cause=EndCause.CPUTIME), {"cpu_s": 5460},
         ReasonKind.CPUTIME, "ended: it used more CPU time than its limit of 1 h 30 min (it used 1 h 31 min)"),
        (Report(phase=Phase.ENDED, exit_code=137, cause=EndCause.MEMORY), {"memory_kb": 158 * 1024},
         ReasonKind.MEMORY, "ended: it used 158 MB of memory, its limit is 100 MB"),
        (Report(phase=Phase.ENDED, exit_code=137, cause=EndCause.MEMORY), {"memory_kb": 50 * 1024},
         ReasonKind.MEMORY, "ended: it used more memory than its limit of 100 MB"),
        (Report(phase=Phase.ENDED, exit_code=137, cause=EndCause.MEMORY), {"limits": replace(LIMITS, count=4)},
         ReasonKind.MEMORY, "ended: it used more memory than its limit of 400 MB"),
        (Report(phase=Phase.ENDED, exit_code=139, signal=11, cause=EndCause.SIGNAL), {},
         ReasonKind.SIGNAL, "ended by signal 11 (segmentation fault)"),
        (Report(phase=Phase.ENDED, exit_code=9, cause=EndCause.EXIT_CODE), {}, ReasonKind.EXIT_CODE, "exit code 9"),
        (Report(phase=Phase.ENDED, exit_code=127, cause=EndCause.EXIT_CODE), {},
         ReasonKind.EXIT_CODE, "exit code 127: a command was not found"),
        (Report(phase=Phase.ENDED, exit_code=127, cause=EndCause.EXIT_CODE),
         {"crlf": "run.sh", "interpreter": "/bin/bash"}, ReasonKind.EXIT_CODE,
         WINDOWS),
        (Report(phase=Phase.ENDED, cause=EndCause.NODE_FAILURE), {"evidence": {"cause": "node failure"}},
         ReasonKind.NODE_FAILURE, "ended: its node failed"),
        (Report(phase=Phase.ENDED, cause=EndCause.LOST), {"evidence": {"cause": "lost"}},
         ReasonKind.LOST, "lost: the batch system does not know it any more, and it left no exit code"),
        (Report(phase=Phase.ENDED, exit_code=0, signal=9, cause=EndCause.CANCELLED_BY_ADMIN),
         {"evidence": {"cause": "cancelled by admin"}},
         ReasonKind.CANCELED, "canceled by an administrator of the batch system"),
    ],
)  # fmt: skip
def test_what_the_batch_system_reports_is_said_in_plain_words(
    report: Report, facts: dict[str, object], kind: ReasonKind, text: str
) -> None:
    assert (kind, text) == ended(lrms_error(report), **facts)


def test_a_program_that_does_not_exist_is_named() -> None:
    failure = 'LRMS error: (-1) Job failed: never started (Path "/bin/treu" does not seem to exist)'

    assert (ReasonKind.NEVER_STARTED, "it never started: there is no /bin/treu") == ended(failure)


def test_a_script_with_windows_line_ends_has_its_cure() -> None:
    detail = "Cannot run ./win.sh: /bin/sh^M: not found (^M is a carriage return: the script has Windows line ends)"

    kind, text = ended(f"LRMS error: (-1) Job failed: never started ({detail})")

    assert ReasonKind.NEVER_STARTED is kind
    assert "it never started: win.sh has Windows line ends; convert it with: sed -i 's/\\r$//' win.sh" == text


@pytest.mark.parametrize(
    ("failure", "kind", "text"),
    [
        (CANCELLED, ReasonKind.CANCELED, "canceled by its owner"),
        (f"The session directory takes 9 MB; this service allows 5 MB per job\n{CANCELLED}", ReasonKind.QUOTA,
         "canceled by the service: The session directory takes 9 MB; this service allows 5 MB per job"),
        ("Job submission to LRMS failed\nBatch system refused the job: Invalid qos", ReasonKind.REFUSED,
         "refused by slurm: Invalid qos"),
        ("Job submission to LRMS failed\nlinks are not followed", ReasonKind.FAILURE, "links are not followed"),
        ("Failed in data staging: http://x/y: gone", ReasonKind.STAGING, "a transfer failed: http://x/y: gone"),
        ("User file: in.txt - Timeout waiting", ReasonKind.STAGING,
         "the client did not upload the input file in.txt in time"),
        ("Job has dryrun requested. Job skipped.", ReasonKind.DRY_RUN,
         "dry run: the description is valid, and the job was not run"),
        ("Could not process job description: line 1: no", ReasonKind.DESCRIPTION,
         "the description cannot be used: line 1: no"),
        ("something of another A-REX", ReasonKind.FAILURE, "something of another A-REX"),
        ("LRMS error: (271) Job was killed by PBS", ReasonKind.EXIT_CODE, "exit code 271: Job was killed by PBS"),
        ("LRMS error: (-1) Job was lost with unknown exit code", ReasonKind.FAILURE,
         "Job was lost with unknown exit code"),
    ],
)  # fmt: skip
def test_other_failures_keep_what_matters(failure: str, kind: ReasonKind, text: str) -> None:
    assert (kind, text) == ended(failure)


def test_a_job_without_a_failure_has_no_reason() -> None:
    assert why_ended(EndedJob(failure="\n")) is None


@pytest.mark.parametrize("kind", list(EndCause))
def test_every_cause_of_an_end_has_its_own_kind(kind: EndCause) -> None:
    report = Report(phase=Phase.ENDED, cause=kind, exit_code=None if kind is EndCause.LOST else 1, signal=9)

    found, text = ended(lrms_error(report), evidence={"cause": str(kind)})

    assert found.is_end
    assert found is not ReasonKind.FAILURE
    assert "LRMS error" not in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (5400, "1 h 30 min"), (86400 * 2 + 3 * 3600 + 5, "2 d 3 h")],
)
def test_periods_have_at_most_two_units(seconds: int, text: str) -> None:
    assert text == shown_seconds(seconds)
