"""The entry of a submitted job in the list of jobs, which the commands of arex and ARC share."""

from __future__ import annotations

from arex.jobdesc.xrsl.writer import write_xrsl
from arex.userjobs.joblist import Row, local_row
from plugins.local.submission import Submitted


def list_row(job: Submitted) -> Row:
    """The row of a new job."""
    return local_row(
        id_=job.id,
        session=str(job.session),
        name=job.name,
        document=write_xrsl(job.record),
        submitted=job.submitted_s,
        stdio=(job.record.stdin, job.record.stdout, job.record.stderr),
    )
