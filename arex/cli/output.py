"""Output of the commands: text or a JSON document on stdout, messages on stderr."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

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


def document(value: object) -> None:
    """Print a JSON document on stdout."""
    import json  # noqa: PLC0415 - only with --json

    say(json.dumps(plain(value), indent=2))


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
    """A time for people, in the local time zone."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
