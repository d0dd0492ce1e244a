"""What a description says about its transfers beyond the lines of the file lists."""

from __future__ import annotations

from arex.jobdesc.control.filelists import is_fetched, pfn
from arex.jobdesc.locations import join_url
from arex.jobdesc.model import JobDescription


def changeable(job: JobDescription) -> frozenset[str]:
    """Inputs that the job may run or change, by ``pfn``: they can't be links to what other jobs read."""
    executables = {pfn(file.name) for file in job.inputs if file.executable}
    outputs = {pfn(file.name) for file in job.outputs}
    inputs = {pfn(file.name) for file in job.inputs}
    return frozenset(executables | (inputs & (outputs | {pfn(job.executable)})))


def replicas(job: JobDescription) -> dict[str, tuple[str, ...]]:
    """
    Further sources of inputs, by ``pfn``, in the order of the description.

    ARC 6.17 knows only the first; here the others are tried when that one fails.
    """
    return {
        pfn(file.name): tuple(join_url(source) for source in file.sources[1:] if ":" in source.url)
        for file in job.inputs
        if is_fetched(file) and len(file.sources) > 1
    }
