"""``--array``: many jobs from one command or description, which differ by an index or an item."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from arex.model.labels import INDEX, PARENT

if TYPE_CHECKING:
    from arex.cli.jobcommand import Wanted
    from arex.jobdesc import JobDescription

_F = TypeVar("_F", bound=Callable[..., Any])
MOST: Final = 10_000
_RANGE: Final = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?", re.ASCII)
_PLACEHOLDER: Final = re.compile(r"\{(index|item)\}")
_INDEX: Final = "AREX_ARRAY_INDEX"
_ITEM: Final = "AREX_ARRAY_ITEM"


@dataclass(frozen=True, slots=True)
class Task:
    """One job of an array."""

    index: int
    item: str = ""

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        return ((_INDEX, str(self.index)), (_ITEM, self.item or str(self.index)))

    def filled(self, text: str) -> str:
        """The text with ``{index}`` and ``{item}`` replaced."""
        values = {"index": str(self.index), "item": self.item or str(self.index)}
        return _PLACEHOLDER.sub(lambda match: values[match[1]], text)

    def of_command(self, words: list[str], wanted: Wanted) -> tuple[list[str], Wanted]:
        """The command of this task, and what is wanted for it."""
        return [self.filled(word) for word in words], replace(
            wanted,
            name=self.filled(wanted.name),
            inputs=tuple(map(self.filled, wanted.inputs)),
            outputs=tuple(map(self.filled, wanted.outputs)),
        )

    def member(self, job: JobDescription, parent: str) -> JobDescription:
        """The job as a member of an array: with its variables and labels."""
        labels = dict(job.labels) | {PARENT: parent, INDEX: str(self.index)}
        return replace(
            job,
            environment=(*job.environment, *self.variables),
            labels=tuple(labels.items()),
            alternatives=tuple(self.member(other, parent) for other in job.alternatives),
        )


def indices(text: str) -> tuple[int, ...]:
    """
    The indices in ``1-100``, ``1-10:2`` or ``1,5,9``, in their order, each once.

    Raises:
        ValueError: it is something else, or there are too many.
    """
    if "%" in text:
        raise ValueError("a limit of running jobs (%N) is not supported: the queue limits them; leave it out")
    found: dict[int, None] = {}
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part[:80]!r} is not an index or a range; write 1-100, 1-10:2 or 1,5,9")
        first = int(match[1])
        last, step = int(match[2] or first), int(match[3] or 1)
        if last < first or step < 1:
            raise ValueError(f"{part[:80]!r} is an empty range")
        if (last - first) // step >= MOST - len(found):
            raise ValueError(f"more than {MOST} jobs")
        found |= dict.fromkeys(range(first, last + 1, step))
    return tuple(found)


def items(path: Path) -> Iterator[Task]:
    """
    A task for each line of a file, with indices from 1; empty lines are skipped.

    Raises:
        ValueError: there is none, or there are too many.
    """
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise ValueError(f"{path} has no lines")
    if len(found) > MOST:
        raise ValueError(f"{path} has more than {MOST} lines")
    return (Task(index, item) for index, item in enumerate(found, 1))


def _array(ctx: click.Context, param: click.Parameter, value: str | None) -> list[Task]:
    try:
        return [] if value is None else [Task(index) for index in indices(value)]
    except ValueError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc


def _file(ctx: click.Context, param: click.Parameter, value: Path | None) -> list[Task]:
    try:
        return [] if value is None else list(items(value))
    except ValueError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc


def array_options(function: _F) -> _F:
    """Add ``--array`` and ``--array-file``, whose values are lists of tasks."""
    for option in reversed((
        click.option("--array", callback=_array, metavar="INDICES", help="Submit a job for each index: 1-100, 1-10:2 "
            "or 1,5,9. {index} in the command, and AREX_ARRAY_INDEX in the job, are its index."),
        click.option("--array-file", callback=_file, type=click.Path(path_type=Path), metavar="FILE", help="Submit a "
            "job for each line of a file. {item} in the command, and AREX_ARRAY_ITEM in the job, are the line."),
    )):  # fmt: skip
        function = option(function)
    return function
