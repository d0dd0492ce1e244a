"""Remarks on a description while it is parsed: where they are in the text, and how many of them are kept."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import Final, NoReturn

from arex.errors import JobDescriptionError
from arex.jobdesc.model import Remark

#: Of one text, which may hold thousands of jobs: more are of no use, and each may cost a search for a suggestion.
MAX_REMARKS: Final = 50


class Remarks:
    """
    The remarks on the job that is being parsed.

    The same remark at the same place is kept once for a job and counts once for the text, although several jobs may
    have it: those of a collection share attributes.
    """

    def __init__(self) -> None:
        self._of_text: dict[tuple[str, int, int | None], Remark] = {}
        self._of_job: dict[Remark, None] = {}

    @property
    def full(self) -> bool:
        """Whether new remarks are dropped, so that there is no need to look for a suggestion."""
        return len(self._of_text) >= MAX_REMARKS

    def start_job(self) -> None:
        """The next remarks are on another job of the text."""
        self._of_job.clear()

    def add(self, what: str, line: int, column: int | None = None, suggestion: str = "", error: str = "") -> None:
        """Note what has no effect, or another effect than was meant; ``error`` is the text of a mistake."""
        key = (what, line, column)
        if key not in self._of_text:
            # warnings must not hide the mistakes behind them
            if len(self._of_text) >= (2 * MAX_REMARKS if error else MAX_REMARKS):
                return
            self._of_text[key] = Remark(what=what, line=line, column=column, suggestion=suggestion, error=error)
        self._of_job[self._of_text[key]] = None

    def of_job(self) -> tuple[Remark, ...]:
        """In the order in which they were added."""
        return tuple(self._of_job)


class SourceText:
    """A description as text, in which a place is an offset in characters; remarks and errors have line and column."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.remarks = Remarks()

    def fail(self, what: str, at: int, suggestion: str = "") -> NoReturn:
        """Raise JobDescriptionError for an offset in the text."""
        raise JobDescriptionError(what, *self.place(at), suggestion=suggestion)

    def remark(self, what: str, at: int, suggestion: str = "", error: str = "") -> None:
        self.remarks.add(what, *self.place(at), suggestion, error)

    def place(self, at: int) -> tuple[int, int]:
        """Line and column, which count from 1; an offset past the end counts as the end."""
        at = min(at, len(self.text))
        line = bisect_right(self._line_starts, at)
        return line, at - self._line_starts[line - 1] + 1

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]
