"""
Arrays that are invisible to users: several attempts of the same shape as one job of the batch system.

Each child keeps its own run directory, script and output. The files of the array are in
``SESSIONROOT/.arex/arrays/TAG``: the launcher, and for each child a link to the output file of its script, because the
name of an output file can only contain an index. The links also record which child of which array an attempt is. They
are on disk before the batch system is called, so that a submission without an answer can be looked up.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from arex.model.ids import Tag
from arex.ports import Submission
from lrms.command.dialect import ArrayForm, Dialect, Work, job_name
from lrms.jobscript.template import part

log = logging.getLogger(__name__)

ARRAYS: Final = ".arex/arrays"
#: The shell of the launcher, which reads the script of the child itself: another shell would cost as much as a job.
_SHELL: Final = "/bin/sh"


@dataclass(frozen=True, slots=True)
class Member:
    """Which child of which array an attempt is."""

    tag: str
    index: int


def groups(dialect: Dialect, batch: Iterable[Submission], most: int) -> Iterator[tuple[Submission, ...]]:
    """Submissions that may go into one array: same shape, same session root, ``most`` at a time."""
    shapes: dict[tuple[object, ...], list[Submission]] = {}
    for each in batch:
        unnamed = replace(each, grami=replace(each.grami, jobname=""))
        key = (each.grami.directory.parent, *dialect.shape(unnamed))
        shapes.setdefault(key, []).append(each)
    for alike in shapes.values():
        for first in range(0, len(alike), most):
            yield tuple(alike[first : first + most])


def lay_out(dialect: Dialect, submissions: Sequence[Submission], shell: str) -> Work:
    """Write the files of the array; raises OSError."""
    form = dialect.array
    assert form is not None
    tag = f"arex-{secrets.token_hex(8)}"
    root = submissions[0].grami.directory.parent
    directory = root / ARRAYS / tag
    directory.mkdir(mode=0o700, parents=True)
    for index, each in enumerate(submissions, 1):
        (directory / form.link.format(index)).symlink_to(each.comment)
    script = directory / "launcher"
    script.write_bytes(os.fsencode(_launcher(dialect, submissions, root, shell)))
    return Work(
        submissions=tuple(submissions), script=script, output=f"{dialect.output(directory)}/{form.placeholder}", tag=tag
    )


def _launcher(dialect: Dialect, submissions: Sequence[Submission], root: Path, shell: str) -> str:
    """A script that starts the child of an index. The batch system keeps a copy of it, so it names all children."""
    assert dialect.array is not None
    children = (f"{n}) arex_child={shlex.quote(_below(each, root))} ;;" for n, each in enumerate(submissions, 1))
    text = part(
        "array",
        DIRECTIVES="\n".join(dialect.directives(named(submissions))),
        ROOT=shlex.quote(str(root)),
        INDEX=f"${dialect.array.variable}",
        CHILDREN="\n".join(children),
        START="." if shell == _SHELL else f"exec {shell}",
    )
    return f"{text}\n"


def _below(submission: Submission, root: Path) -> str:
    return str(submission.rundir.relative_to(root))


def named(submissions: Sequence[Submission]) -> Submission:
    """The first submission, renamed to the beginning that all names share."""
    first = submissions[0]
    names = [each.grami.jobname for each in submissions]
    low, high = min(names), max(names)  # the first and the last in order share what all share
    common = low[: next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))].rstrip(
        "_-. "
    )
    return replace(first, grami=replace(first.grami, jobname=job_name(common)))


def memberships(dialect: Dialect, submissions: Iterable[Submission]) -> dict[Tag, list[Member]]:
    """The children of these attempts; an uncertain attempt may be in several arrays."""
    if dialect.array is None:
        return {}
    wanted = {str(each.comment): each for each in submissions}
    found: dict[Tag, list[Member]] = {}
    for root in {each.grami.directory.parent for each in wanted.values()}:
        for tag, index, link in _links(dialect.array, root):
            each = wanted.get(str(link.readlink()))
            # a link that is older than the script is from a run before a restart
            if each is not None and _made(link) >= _made(each.rundir / "script"):
                found.setdefault(each.tag, []).append(Member(tag, index))
    return found


def _made(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _links(form: ArrayForm, root: Path) -> Iterator[tuple[str, int, Path]]:
    """Tag, index and link of each child of each array below a session root."""
    pattern = re.compile(re.escape(form.link).replace(r"\{\}", "([0-9]+)"))
    for directory in _directories(root):
        for path in directory.iterdir():
            if (index := pattern.fullmatch(path.name)) and path.is_symlink():
                yield directory.name, int(index[1]), path


def owner(roots: Iterable[Path], form: ArrayForm | None, tag: str, index: int | None) -> str:
    """The job that is a child of an array; empty if none of these session roots has it."""
    if form is None or index is None or "/" in tag:
        return ""
    for root in roots:
        try:
            return (root / ARRAYS / tag / form.link.format(index)).readlink().name.removesuffix(".comment")
        except OSError:
            continue
    return ""


def sweep(root: Path) -> int:
    """Remove the directories of arrays whose jobs have all been cleaned away; returns how many."""
    swept = 0
    for directory in _directories(root):
        try:
            swept += _swept(directory)
        except OSError as exc:
            log.warning("cannot remove the files of an old array: %s", exc, extra={"event": "array.sweep"})
    return swept


def _swept(directory: Path) -> bool:
    paths = list(directory.iterdir())
    if any(path.exists() for path in paths if path.name != "launcher"):
        return False
    for path in paths:
        path.unlink()
    directory.rmdir()
    return True


def _directories(root: Path) -> list[Path]:
    """The directories of arrays; other files there are not ours."""
    try:
        return [Path(each.path) for each in os.scandir(root / ARRAYS) if each.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
