"""
The exceptions of arex as a tree; the class decides what happens next.

ArexError
+ ConfigError                  the configuration is invalid; lists all faults, before the service starts
+ JobDescriptionError          the job description is invalid; has line and column
+ JobRefused                   valid, but cannot run here: queue, limit, runtime environment
+ ControlDirError              the control directory
|  - NoSuchJob                 the id is unknown here
|  - NotYourJob                the job belongs to another subject
|  - CorruptFile               has path and line; the job fails, the service continues
|  - AlreadyRunning            another daemon uses this control directory
|  - UnsafePath                a name that leads out of its directory
+ BatchError                   the batch system
|  - BatchUnavailable          no answer: wait and retry; no job fails
|     - UnreadableOutput       output that cannot be parsed, a bug of arex; counts as no answer
|  - SubmitRejected            the batch system refuses the job; the owner gets the text
|  - SubmitLimited             the batch system refuses the job for now; retry later
+ StagingError                 files of a job
|  - CacheUnavailable          the file can still be downloaded without the cache
+ CredentialError              expired or unreadable; the job can be renewed and restarted
+ ServiceError                 the daemon itself: start, stop, install
|  - ServiceLost               the running service cannot continue without its control directory or lock
+ NotServed                    no service is running, and a wait for it might have no end
+ IllegalMove                  a bug of arex
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


def _one_line(text: str) -> str:
    """Escape line breaks and control characters in a user's text, so that they cannot control a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ArexError(Exception):
    """Base class of all exceptions of arex; the message is one sentence for users."""

    #: exit code of a command; ARC's clients use 1 for any failure
    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a configuration, and how to correct it."""

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
    """The configuration is invalid; lists all faults."""

    exit_code = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class JobDescriptionError(ArexError):
    """
    A job description cannot be parsed; line and column count from 1.

    ``excerpt`` is the line with the error, ``suggestion`` a similar name that is valid.
    """

    #: Maximum number of characters shown of a line, since a line can have megabytes.
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
        """The message with more lines: the line of the description, a caret under the error, and the suggestion."""
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
    """A valid description that cannot run here; the message has ARC's wording."""

    def __init__(self, why: str) -> None:
        super().__init__(_one_line(why))


class ControlDirError(ArexError):
    """An operation on the control directory is not possible."""


class NoSuchJob(ControlDirError):
    """No such job is known here."""


class NotYourJob(ControlDirError):
    """The job belongs to another user."""


class CorruptFile(ControlDirError):
    """A control file cannot be parsed; the job fails, the service continues."""

    def __init__(self, path: Path | str, what: str, line: int | None = None) -> None:
        self.path, self.what, self.line = Path(path), what, line
        super().__init__(f"{path}{f':{line}' if line else ''}: {what}")


class AlreadyRunning(ControlDirError):
    """Another daemon uses this control directory."""


class UnsafePath(ControlDirError):
    """A name that leads out of the directory it belongs to."""


class BatchError(ArexError):
    """Base class of the batch system errors."""


class BatchUnavailable(BatchError):
    """No answer from the batch system: nothing is known, so retry."""


class SubmitRejected(BatchError):
    """The batch system refuses the submission."""


class SubmitLimited(BatchError):
    """The batch system refuses the submission because of a limit; a later retry can succeed."""


class UnreadableOutput(BatchUnavailable):
    """The output of a batch command cannot be parsed; this counts as no answer."""

    def __init__(self, argv: Sequence[str], code: int, output: str) -> None:
        self.argv, self.code, self.output = tuple(argv), code, output[:1024]
        super().__init__(f"cannot parse the output of {' '.join(argv[:1])} (exit code {code}): {self.output!r}")


class StagingError(ArexError):
    """Files of a job could not be transferred."""


class CacheUnavailable(StagingError):
    """No cache directory is usable; the file can still be downloaded without the cache."""


class CredentialError(ArexError):
    """A credential is missing, expired or unreadable."""


class ServiceError(ArexError):
    """The daemon cannot be started, stopped, queried or installed."""


class NotServed(ArexError):
    """No service is running, and what was asked for might never happen without one."""


class ServiceLost(ServiceError):
    """The service cannot continue: its control directory is gone, or its lock was taken from it."""


class IllegalMove(ArexError):
    """A change of state that the table of states does not allow: a bug of arex."""

    exit_code = 70
