"""Names with versions: how they compare, and which installed version a job gets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from arex.errors import JobRefused
from arex.jobdesc.model import JobDescription, Software
from arex.model.numbers import whole_number

#: The version starts behind the first dash that a digit follows.
_VERSION: Final = re.compile(r"-(?=[0-9])", re.ASCII)
_MARKS: Final = re.compile(r"[-.]+")


def software(full_name: str, relation: str = "=", options: Iterable[str] = ()) -> Software:
    """Split ``NAME-VERSION``; the version may be missing."""
    name, *version = _VERSION.split(full_name, maxsplit=1)
    return Software(name=name, version="".join(version), relation=relation, options=tuple(options))


def greater(left: Software, right: Software) -> bool:
    """
    Whether ``left`` is a later version of the same thing.

    Versions are compared number by number, between dots and dashes; any version is later than none. If both have
    different words in the place of a number, neither is later. Source: behaviour of ARC 6.17.
    """
    if (left.family, left.name) != (right.family, right.name) or not left.version or left.version == right.version:
        return False
    if not right.version:
        return True
    ours, theirs = (_parts(one.version) for one in (left, right))
    for one, other in zip(ours, theirs, strict=False):
        if one == other:
            continue
        numbers = _number(one), _number(other)
        if numbers[0] is None or numbers[1] is None:
            return False
        if numbers[0] != numbers[1]:
            return numbers[0] > numbers[1]
    for extra in ours[len(theirs) :]:
        number = _number(extra)
        if number != 0:
            return number is not None
    return False


def _parts(version: str) -> list[str]:
    return [part for part in _MARKS.split(version) if part]


def _number(text: str) -> int | None:
    try:
        return whole_number(text)
    except ValueError:
        return None


def _same(left: Software, right: Software) -> bool:
    return (left.family, left.name, left.version) == (right.family, right.name, right.version)


def satisfies(installed: Software, wanted: Software) -> bool:
    """Whether this version satisfies the requested relation."""
    match wanted.relation:
        case "=":
            return _same(installed, wanted)
        case "!=":
            return not _same(installed, wanted)
        case ">":
            return greater(installed, wanted)
        case "<":
            return greater(wanted, installed)
        case ">=":
            return _same(installed, wanted) or greater(installed, wanted)
        case _:
            return _same(installed, wanted) or greater(wanted, installed)


def resolve_runtimes(job: JobDescription, installed: Collection[str]) -> JobDescription:
    """
    The same job with exact names of its runtime environments: the latest that satisfies each relation.

    One that must not be there (``!=``) is not in the result.

    Raises:
        JobRefused: nothing that is installed satisfies a relation.
    """
    known = [software(name) for name in installed]
    chosen = [found for wanted in job.resources.runtimes if (found := _choose(wanted, known)) is not None]
    return replace(job, resources=replace(job.resources, runtimes=tuple(chosen)))


def _choose(wanted: Software, known: Iterable[Software]) -> Software | None:
    if wanted.relation == "!=":
        if any(_same(one, wanted) for one in known):
            raise JobRefused(
                f"Runtime environment {wanted.full_name} is installed here, but the job requires that it is not (!=)"
            )
        return None
    best: Software | None = None
    for one in known:
        if satisfies(one, wanted) and (best is None or greater(one, best)):
            best = one
    if best is None:
        relation = "" if wanted.relation == "=" else f"{wanted.relation} "
        others = sorted(one.full_name for one in known if one.name == wanted.name)
        there = f"; there is {', '.join(others[:10])}" if others else ""
        raise JobRefused(f"No runtime environment {relation}{wanted.full_name} is installed{there}")
    return replace(best, options=wanted.options)
