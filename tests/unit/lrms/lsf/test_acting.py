"""What is done to jobs of LSF, and what it writes into their output."""

from __future__ import annotations

import re

import pytest

from arex.errors import BatchUnavailable
from arex.model.ids import LocalId
from arex.model.report import EndCause
from lrms.lsf.dialect import LsfDialect
from tests.unit.lrms.lsf.speech import dialect
from tests.unit.lrms.samples import said

pytestmark = pytest.mark.usefixtures("utc")


def test_jobs_are_cancelled_held_and_released_together() -> None:
    ids = [LocalId("1"), LocalId("2[3]")]
    spoken = dialect()

    assert [call.argv for call in (spoken.cancel(ids), spoken.hold(ids), spoken.release(ids))] == [
        ("bkill", *ids),
        ("bstop", *ids),
        ("bresume", *ids),
    ]


def test_a_refusal_is_about_the_job_that_it_names() -> None:
    ids = [LocalId("1"), LocalId("2[3]"), LocalId("4"), LocalId("5")]
    out = "Job <1> is being terminated\n"
    err = "Job <2[3]>: User permission denied\nJob <4>: Job has already finished\nJob <5>: No matching job found\n"

    assert dialect().refused(said(out, err, 255, "bkill"), ids) == {"2[3]": "Job <2[3]>: User permission denied"}


@pytest.mark.parametrize("err", ["LSF is down. Please wait ...", "Cannot connect to LSF. Please wait ...", "what?"])
def test_silence_is_no_refusal(err: str) -> None:
    with pytest.raises(BatchUnavailable):
        dialect().refused(said(err=err, code=255, argv="bkill"), [LocalId("1")])


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("TERM_RUNLIMIT: job killed after reaching LSF run time limit.", EndCause.WALLTIME),
        ("TERM_MEMLIMIT: job killed after reaching LSF memory usage limit.", EndCause.MEMORY),
        ("TERM_OWNER: job killed by owner.", EndCause.CANCELLED),
        ("Exited with exit code 140.", None),
    ],
)
def test_what_lsf_writes_into_the_output_tells_the_cause(line: str, cause: EndCause | None) -> None:
    """As in the reports that people publish."""
    assert cause is next((cause for pattern, cause in LsfDialect.said if re.search(pattern, line)), None)
