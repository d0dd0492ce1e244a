"""What is done to jobs of PBS, and what it writes into their output."""

from __future__ import annotations

import re

import pytest

from arex.errors import BatchUnavailable
from arex.model.ids import LocalId
from arex.model.report import EndCause
from lrms.pbs.dialect import (
    PbsDialect,
)
from tests.unit.lrms.pbs.speech import dialect
from tests.unit.lrms.samples import said

pytestmark = pytest.mark.usefixtures("utc")


def test_jobs_are_cancelled_held_and_released_together() -> None:
    ids = [LocalId("1.pbs"), LocalId("2[3].pbs")]
    spoken = dialect()

    assert [call.argv for call in (spoken.cancel(ids), spoken.hold(ids), spoken.release(ids))] == [
        ("qdel", *ids),
        ("qhold", *ids),
        ("qrls", *ids),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "qdel: Unknown Job Id 1.pbs",
        "qdel: Unknown Job Id Error 1.pbs",
        "qdel: Job has finished 1.pbs",
        "qdel: Request invalid for state of job MSG=invalid state for job - COMPLETE 1.pbs",
        "qdel: Request invalid for state of job 1.pbs",
        "qdel: Request invalid for finished array subjob 1[3].pbs",
    ],
)
def test_a_missing_job_is_no_refusal(line: str) -> None:
    assert dialect().refused(said(err=f"{line}\n", code=1, argv="qdel 1.pbs"), [LocalId("1.pbs")]) == {}


def test_a_refusal_is_about_the_job_that_it_names() -> None:
    err = "qhold: Request invalid for state of job 2.pbs\nqhold: Unauthorized Request  3.pbs\n"
    ids = [LocalId(f"{n}.pbs") for n in (1, 2, 3)]

    assert dialect().refused(said(err=err, code=1, argv="qhold 1.pbs 2.pbs 3.pbs"), ids) == {
        "2.pbs": "qhold: Request invalid for state of job 2.pbs",
        "3.pbs": "qhold: Unauthorized Request  3.pbs",
    }


def test_silence_is_no_refusal() -> None:
    with pytest.raises(BatchUnavailable):
        dialect().refused(
            said(err="qdel: cannot connect to server pbs (errno=111)", code=1, argv="qdel"), [LocalId("1.p")]
        )


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("=>> PBS: job killed: walltime 152 exceeded limit 120", EndCause.WALLTIME),
        ("=>> PBS: job killed: cput 62 exceeded limit 60", EndCause.CPUTIME),
        ("=>> PBS: job killed: pcput exceeded limit 60", EndCause.CPUTIME),
        ("=>> PBS: job killed: mem 61440kb exceeded limit 30720kb", EndCause.MEMORY),
        ("=>> PBS: job killed: vmem 61440kb exceeded limit 30720kb", EndCause.MEMORY),
        ("=>> PBS: job killed: pvmem exceeded limit 30720", EndCause.MEMORY),
        ("=>> PBS: job killed: ncpus 2.1 exceeded limit 1 (sum)", EndCause.CANCELLED_BY_LIMIT),
        ("the job says =>> and PBS", None),
    ],
)
def test_what_pbs_writes_into_the_output_tells_the_cause(line: str, cause: EndCause | None) -> None:
    """Sentences of mom_main.c and mom_mach.c."""
    assert cause is next((cause for pattern, cause in PbsDialect.said if re.search(pattern, line)), None)
