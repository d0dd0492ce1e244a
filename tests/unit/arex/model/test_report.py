"""What a report becomes in ``lrms_done``."""

from __future__ import annotations

import pytest

from arex.model.report import EndCause, Phase, Report, lrms_done


def of(code: int | None, cause: EndCause = EndCause.EXIT_CODE, message: str = "", signal: int | None = None) -> Report:
    return Report(phase=Phase.ENDED, exit_code=code, cause=cause, message=message, signal=signal)


@pytest.mark.parametrize(
    ("report", "expected", "done"),
    [
        (of(0), 0, (0, "")),
        (of(3), 0, (3, "Job finished with wrong exit code - 3 != 0")),
        (of(None, EndCause.LOST), 0, (-1, "Job died unexpectedly")),
        (of(None, EndCause.NEVER_STARTED), 0, (-1, "Job died unexpectedly")),
        (of(4), 4, (4, "")),
        (of(0), 4, (0, "Job finished with wrong exit code - 0 != 4")),
        (of(None, EndCause.LOST, "Job missing from SLURM"), 0, (-1, "Job missing from SLURM")),
        (of(3, message="Job failed"), 0, (3, "Job failed")),
    ],
)
def test_lrms_done_says_what_arc_says(report: Report, expected: int, done: tuple[int, str]) -> None:
    """Each pair is one that a real A-REX 6.17 was seen to write."""
    assert done == lrms_done(report, expected)


@pytest.mark.parametrize(
    ("report", "more"),
    [
        (of(137, EndCause.CPUTIME, signal=9), "cputime"),
        (of(137, EndCause.SIGNAL, signal=9), "signal 9"),
        (of(143, EndCause.CANCELLED, signal=15), "cancelled"),
    ],
)
def test_the_cause_comes_after_the_words_of_arc(report: Report, more: str) -> None:
    code = report.exit_code

    assert (code, f"Job finished with wrong exit code - {code} != 0: {more}") == lrms_done(report)


def test_a_job_that_was_stopped_never_has_the_code_of_success() -> None:
    """A-REX compares codes and nothing else."""
    stopped = of(137, EndCause.WALLTIME, signal=9)

    assert (265, "Job finished with wrong exit code - 265 != 137: walltime") == lrms_done(stopped, 137)
