"""Logging, as text or JSON: one line per record, with the id of the job if the record is about one."""

from __future__ import annotations

import contextvars
import json
import logging
import logging.handlers
import os
import sys
import time
from io import TextIOWrapper
from pathlib import Path
from typing import Final

#: Id of the job that the current task handles.
job_context: contextvars.ContextVar[str] = contextvars.ContextVar("job", default="")

#: Python's levels by ARC's ``loglevel``, from 0 (fatal) to 5 (debug).
LEVELS: Final = (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, logging.DEBUG)


#: Escapes line breaks, so that texts of users or batch systems cannot imitate a log line.
_BREAKS: Final = str.maketrans({"\n": "\\n", "\r": "\\r"})


class _Text(logging.Formatter):
    """``2026-11-20T08:49:00Z INFO arex.gm.manager [job] message event=...``."""

    @staticmethod
    def converter(seconds: float | None) -> time.struct_time:
        return time.gmtime(seconds)

    def format(self, record: logging.LogRecord) -> str:
        job = getattr(record, "job", "") or job_context.get()
        event = getattr(record, "event", "")
        stamp = self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ")
        said = record.getMessage().translate(_BREAKS)
        line = f"{stamp} {record.levelname} {record.name}{f' [{job}]' if job else ''} {said}"
        line += f" event={event}" if event else ""
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _Json(logging.Formatter):
    @staticmethod
    def converter(seconds: float | None) -> time.struct_time:
        return time.gmtime(seconds)

    def format(self, record: logging.LogRecord) -> str:
        facts = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname,
            "logger": record.name,
            "job": getattr(record, "job", "") or job_context.get(),
            "event": getattr(record, "event", ""),
            "message": record.getMessage(),
        }
        if record.exc_info:
            facts["trace"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in facts.items() if value}, ensure_ascii=False)


class _File(logging.handlers.WatchedFileHandler):
    """Reopens the file after a rotation; only its owner can read it."""

    def _open(self) -> TextIOWrapper:
        raw = open(self.baseFilename, "ab", opener=_private)  # noqa: SIM115 - the handler closes it
        return TextIOWrapper(raw, encoding=self.encoding, errors=self.errors)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def set_up(level: int, file: Path | None, *, as_json: bool = False) -> None:
    """
    Write all records to ``file``, which has mode 0600 and is reopened after a rotation, or to stderr.

    ``level`` is a log level of ARC, 0 to 5.
    """
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _File(file, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(_Json() if as_json else _Text())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(LEVELS[max(0, min(level, 5))])
    logging.getLogger("watchdog").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
