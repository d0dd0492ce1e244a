"""
Everything that can go wrong, as a tree; the class says what to do.

ArexError
+ ConfigError                  the configuration; every fault at once, before start-up is over
+ JobDescriptionError          line, column; the user's text
+ JobRefused                   valid text, but not here: queue, limit, runtime environment
+ ControlDirError              the control directory
|  - NoSuchJob                 nobody knows this id (here)
|  - NotYourJob                it belongs to another subject
|  - CorruptFile               path, line; the job fails, the service lives
|  - AlreadyRunning            another daemon holds this control directory
|  - UnsafePath                a name that leads out of where it may go
+ BatchError                   the batch system
|  - BatchUnavailable          no answer: wait, ask again, blame nobody
|     - UnreadableOutput       argv, exit code, first kilobyte; ours to fix; counts as no answer
|  - SubmitRejected            an answer: no; the text goes to the user
|  - SubmitLimited             an answer: not now; certainly not taken, ask again later
+ StagingError                 files of a job
|  - CacheUnavailable          the file can still be fetched without
+ CredentialError              expired or unreadable; the job can be renewed and restarted
+ ServiceError                 the daemon itself: start, stop, install
+ IllegalMove                  a bug of ours
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


def _one_line(text: str) -> str:
    """A user's own words may hold line breaks and codes that a terminal acts on: they are shown, not sent."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ArexError(Exception):
    """Base of all our errors; the message is one sentence fit for a user."""

    #: what a command exits with; 1 is ARC's own habit for "it did not work"
    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a configuration, and what would mend it."""

    what: str
    file: Path | None = None
    line: int | None = None
    option: str | None = None  #: "[block] option"
    cure: str = ""

    def __str__(self) -> str:
        where = "" if self.file is None else f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        option = f"{self.option}: " if self.option else ""
        return f"{where}{option}{self.what}{f' ({self.cure})' if self.cure else ''}"


class ConfigError(ArexError):
    """The configuration can't be used; every fault is listed."""

    exit_code = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class JobDescriptionError(ArexError):
    """
    The text of a job description does not read; line and column count from 1.

    ``excerpt`` is the line in question, ``suggestion`` the name that the user meant, perhaps.
    """

    #: Characters of a line that are shown; a line may be megabytes.
    _WIDTH: ClassVar[int] = 100

    def __init__(
        self,
        what: str,
        line: int | None = None,
        column: int | None = None,
        source: str = "",
        *,
        excerpt: str = "",
        suggestion: str = "",
    ) -> None:
        self.what, self.line, self.column, self.source = what, line, column, source
        self.excerpt, self.suggestion = excerpt, suggestion
        super().__init__(_one_line(f"{self._where()}{what}{self._question('; ')}"))

    def explained(self) -> str:
        """The same on several lines: the place in the text under a caret, and what was meant."""
        lines = [_one_line(f"{self._where()}{self.what}")]
        if self.excerpt.strip():
            lines.extend(self._pointed())
        if self.suggestion:
            lines.append(_one_line(self._question("")))
        return "\n".join(lines)

    def _where(self) -> str:
        source = self.source + ": " if self.source else ""
        if self.line is None:
            return source
        return f"{source}line {self.line}{'' if self.column is None else f', column {self.column}'}: "

    def _question(self, before: str) -> str:
        return f"{before}did you mean '{self.suggestion}'?" if self.suggestion else ""

    def _pointed(self) -> list[str]:
        at = 0 if self.column is None else min(self.column - 1, len(self.excerpt))
        start = max(0, at - self._WIDTH // 2)
        before, behind = self.excerpt[start:at], self.excerpt[at : start + self._WIDTH]
        left = _one_line(before.replace("\t", " "))
        right = _one_line(behind.replace("\t", " "))
        shown = [f"  {left}{right}".rstrip()]
        return shown if self.column is None else [*shown, f"  {' ' * len(left)}^"]


class JobRefused(ArexError):
    """A valid description that can't run here; the message says why and keeps ARC's wording."""

    def __init__(self, why: str) -> None:
        super().__init__(_one_line(why))


class ControlDirError(ArexError):
    """The control directory can't be used as asked."""


class NoSuchJob(ControlDirError):
    """No such job is known here."""


class NotYourJob(ControlDirError):
    """The job belongs to somebody else."""


class CorruptFile(ControlDirError):
    """A control file does not read; the job fails, the service lives."""

    def __init__(self, path: Path | str, what: str, line: int | None = None) -> None:
        self.path, self.what, self.line = Path(path), what, line
        super().__init__(f"{path}{f':{line}' if line else ''}: {what}")


class AlreadyRunning(ControlDirError):
    """Another daemon holds this control directory."""


class UnsafePath(ControlDirError):
    """A name that leads out of the directory it belongs to."""


class BatchError(ArexError):
    """The batch system, in some way."""


class BatchUnavailable(BatchError):
    """No answer from the batch system: nothing was learned, ask again."""


class SubmitRejected(BatchError):
    """The batch system answered, and the answer is no."""


class SubmitLimited(BatchError):
    """The batch system took nothing because a limit is reached; it will when there is room again."""


class UnreadableOutput(BatchUnavailable):
    """A batch command said something we can't read; treated as no answer."""

    def __init__(self, argv: Sequence[str], code: int, output: str) -> None:
        self.argv, self.code, self.output = tuple(argv), code, output[:1024]
        super().__init__(f"can't read the answer of {' '.join(argv[:1])} (exit code {code}): {self.output!r}")


class StagingError(ArexError):
    """Files of a job could not be brought where they belong."""


class CacheUnavailable(StagingError):
    """No cache directory can be used; the file can still be fetched without."""


class CredentialError(ArexError):
    """A credential is missing, expired or unreadable."""


class ServiceError(ArexError):
    """The daemon can't be started, stopped, reached or installed."""


class IllegalMove(ArexError):
    """A move that the table of states does not have: a bug of ours."""

    exit_code = 70
