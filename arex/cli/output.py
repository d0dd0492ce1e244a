"""Output of the commands: text or a JSON document on stdout, messages on stderr."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

import click

from arex.model.reason import Reason

#: Version of the JSON documents; it changes when a name gets another meaning or is removed.
SCHEMA: Final = 1
#: The command whose user has asked for a document, while none has been printed.
document_due: ContextVar[str] = ContextVar("document_due", default="")
#: Control characters, which can change the state of a terminal, except the tab.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Replace control characters, including line breaks: a user can put any character into a job's name."""
    return _CONTROL.sub("?", text)


def say(text: str = "") -> None:
    """Print one line on stdout."""
    sys.stdout.write(f"{text}\n")


def remark(text: str) -> None:
    """Print one line on stderr; it is not part of the result."""
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def document(*, errors: Iterable[Mapping[str, object]] = (), **facts: object) -> None:
    """
    Print the JSON document of a command on stdout; ``docs/users/json.md`` describes it.

    Args:
        errors: what failed, see ``failure``.
        facts: the results, by name; a name has the same meaning in all commands.
    """
    context = click.get_current_context(silent=True)
    _print(context.command_path if context else "", errors, facts)


def error_document(what: str) -> None:
    """Print the document of a command that ends with an error, if it is due."""
    if command := document_due.get():
        _print(command, [failure(what)], {})


def _print(command: str, errors: Iterable[Mapping[str, object]], facts: Mapping[str, object]) -> None:
    import json  # noqa: PLC0415 - only with --json

    document_due.set("")
    say(json.dumps(plain({"schema": SCHEMA, "command": command, **facts, "errors": list(errors)}), indent=2))


def failure(message: object, *, job: str = "", name: str = "", source: str = "") -> dict[str, object]:
    """One of the ``errors`` of a document: about a job, or about what ``source`` names."""
    return {"job": job or None, "name": name or None, "source": source or None, "message": str(message)}


def plain(value: object) -> Any:  # noqa: ANN401 - what JSON can hold
    """Convert records, times and paths to types that JSON supports; times are in UTC."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str | int | float) or value is None:
        return value
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)


def moment(value: datetime) -> str:
    """``2026-11-20T08:49:00Z``."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local_time(value: datetime) -> str:
    """A time for people, in the local time zone, as ARC prints it."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def zoned_time(value: datetime) -> str:
    """A time for people, in the local time zone, which it names."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z").rstrip()


def counted(number: int, what: str) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size_words(size: float) -> str:
    """Format a size for people, in powers of 1000: ``1.5 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def clock_time(seconds: float) -> str:
    """A duration as SLURM prints it: ``0:12``, ``1:02:03``, ``2-03:04:05``."""
    minutes, second = divmod(int(max(seconds, 0)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}-{hour:02}:{minute:02}:{second:02}"
    return f"{hour}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


#: The next try is shown in seconds if it is not later.
_SOON_S: Final = 600


def shown_reason(reason: Reason, now: datetime | None = None) -> str:
    """The reason with its times, those of today without a date."""
    now = now or datetime.now(UTC)  # noqa: TID251 - a command for people
    more = []
    if reason.since is not None and not reason.kind.is_end:
        more.append(f"since {_short_time(reason.since, now)}")
    if reason.next_try is not None:
        left = (reason.next_try - now).total_seconds()
        if left > 0:
            when = f"in {left:.0f} s" if left < _SOON_S else f"at {_short_time(reason.next_try, now)}"
            more.append(f"next try {when}")
    return reason.text + (f" ({', '.join(more)})" if more else "")


def _short_time(moment: datetime, now: datetime) -> str:
    here, today = moment.astimezone(), now.astimezone()
    return here.strftime("%H:%M:%S" if here.date() == today.date() else "%Y-%m-%d %H:%M")


def terminal_width() -> int:
    """Columns of the terminal, 80 if unknown; ``COLUMNS`` overrides it."""
    text = os.environ.get("COLUMNS", "")
    if text.isdecimal() and int(text):
        return int(text)
    for stream in (1, 2):
        try:
            return os.get_terminal_size(stream).columns or _WIDTH
        except OSError:
            continue
    return _WIDTH


_WIDTH: Final = 80


#: Erases the rest of a line. Source: ECMA-48.
_ERASE: Final = "\x1b[K"
_BAR: Final = 20


class ProgressLine:
    """A line that replaces itself on a terminal; nothing is printed elsewhere, and without ``shown``."""

    def __init__(self, *, shown: bool = True) -> None:
        self._shown = shown and sys.stderr.isatty()
        self._text = ""

    def show(self, text: str) -> None:
        if self._shown and text != self._text:
            self._text = text
            sys.stderr.write(f"\r{text[: terminal_width() - 1]}{_ERASE}")
            sys.stderr.flush()

    def show_part(self, what: str, done: int, total: int) -> None:
        """``fetching [#####     ] 12 of 40``."""
        filled = _BAR * done // max(total, 1)
        self.show(f"{what} [{'#' * filled}{' ' * (_BAR - filled)}] {done} of {total}")

    def clear(self) -> None:
        """Remove the line, so that something else can be printed."""
        if self._text:
            self._text = ""
            sys.stderr.write(f"\r{_ERASE}")
            sys.stderr.flush()
