"""The effect of attributes of xRSL that depend on each other, once all have been read."""

from __future__ import annotations

from dataclasses import replace

from arex.jobdesc.model import DescriptionDialect
from arex.jobdesc.xrsl.draft import Draft
from arex.jobdesc.xrsl.files import with_option
from arex.model.numbers import whole_number, wrap


def finish(draft: Draft) -> None:
    """
    Apply the postponed attributes, in ARC's order.

    Raises:
        JobDescriptionError: they contradict each other.
    """
    _mark_executables(draft)
    _set_threads(draft)
    _set_cache(draft)
    _set_slots_per_host(draft)
    _join(draft)
    _grid_time(draft)


def _mark_executables(draft: Draft) -> None:
    if (a := draft.late.get("executables")) is None:
        return
    names = a.texts()
    known = {file.name for file in draft.inputs}
    for name in names:
        if name not in known:
            a.fail(f"File '{name}' in the 'executables' attribute is not present in the 'inputfiles' attribute")
    marked = set(names)
    draft.inputs = [replace(file, executable=file.executable or file.name in marked) for file in draft.inputs]


def _set_threads(draft: Draft) -> None:
    if (a := draft.late.get("ftpthreads")) is None:
        return
    text = a.text()
    try:
        number = whole_number(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 10:
        a.fail("The value of the ftpthreads attribute must be a number from 1 to 10")
    draft.inputs = [
        replace(file, sources=tuple(with_option(one, "threads", text) for one in file.sources)) for file in draft.inputs
    ]
    draft.outputs = [
        replace(file, targets=tuple(with_option(target, "threads", text) for target in file.targets))
        for file in draft.outputs
    ]


def _set_cache(draft: Draft) -> None:
    """Set the cache option of inputs that are downloaded and not executable."""
    if (a := draft.late.get("cache")) is None:
        return
    text = a.text()
    draft.inputs = [
        file
        if file.executable
        else replace(file, sources=tuple(with_option(one, "cache", text) for one in file.sources))
        for file in draft.inputs
    ]


def _set_slots_per_host(draft: Draft) -> None:
    if (a := draft.late.get("countpernode")) is None:
        return
    if draft.slots is None:
        a.fail("When specifying 'countpernode' attribute, 'count' attribute must also be specified")
    number = a.integer()
    draft.slots_per_host = None if number == -1 else number


def _join(draft: Draft) -> None:
    if (a := draft.late.get("join")) is None:
        return
    if (text := a.text()) not in {"yes", "true"}:
        if a.by_user and text not in {"no", "false"}:
            a.remark(f"Value of 'join' attribute counts as 'no': {text[:80]!r}", error="join: write yes or no")
        return
    if not draft.stdout:
        a.fail("'stdout' attribute must be specified when 'join' attribute is specified")
    if draft.stderr and draft.stderr != draft.stdout:
        a.fail("Attribute 'join' cannot be specified when both 'stdout' and 'stderr' attributes is specified")
    draft.stderr = draft.stdout


def _grid_time(draft: Draft) -> None:
    if (a := draft.late.get("gridtime")) is None or a.dialect is DescriptionDialect.GRIDMANAGER:
        return
    for other, value in (("cputime", draft.cputime_s), ("walltime", draft.walltime_s)):
        if value is not None:
            a.fail(f"Attributes 'gridtime' and '{other}' cannot be specified together")
    seconds = a.period()
    slots = draft.slots if draft.slots is not None and draft.slots > 0 else 1
    draft.cputime_s, draft.walltime_s = wrap(seconds), wrap(seconds * slots)
