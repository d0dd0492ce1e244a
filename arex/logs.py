"""Logging, as text or JSON: one line per record, with the id of the job if the record is about one."""

from __future__ import annotations

import contextvars
import errno
import json
import logging
import os
import stat
import sys
import time
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


class LogFile(logging.Handler):
    """
    Writes to a file that only its owner can read, and opens it again after a rotation.

    If it cannot be opened then, records go to the old file. A record that cannot be written is lost: it never stops the
    service or a job.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            OSError: the file cannot be opened.
        """
        super().__init__()
        self._path = path
        self._fd = -1
        self._seen: tuple[int, int] | None = None  #: device and inode of the open file
        self.trouble = ""  #: why the file cannot be opened or written at present
        self.lost = 0  #: records that could not be written
        self._open()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
            trouble = self._follow_rotation()
            while line:
                line = line[os.write(self._fd, line) :]
        except Exception as exc:  # noqa: BLE001 - there is no other place for it than the status of the service
            self.lost += 1
            trouble = str(exc) or type(exc).__name__
        self.trouble = trouble

    def _follow_rotation(self) -> str:
        """Open the file again if its path leads to another one; returns why that is not possible."""
        try:
            info = self._path.stat()
            if (info.st_dev, info.st_ino) == self._seen:
                return ""
        except FileNotFoundError:
            pass
        except OSError as exc:
            return str(exc)
        try:
            self._open()
        except OSError as exc:
            return str(exc)
        return ""

    def _open(self) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        info = os.fstat(fd)
        if not (stat.S_ISREG(info.st_mode) or stat.S_ISCHR(info.st_mode)):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", str(self._path))
        os.set_blocking(fd, True)
        self._seen = (info.st_dev, info.st_ino)
        old, self._fd = self._fd, fd
        if old >= 0:
            os.close(old)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        super().close()


def trouble() -> str:
    """Why the log cannot be written at present; empty if it can."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile) and handler.trouble:
            return f"{handler.trouble} ({handler.lost} lines lost)"
    return ""


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
        handler = LogFile(file)
    handler.setFormatter(_Json() if as_json else _Text())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(LEVELS[max(0, min(level, 5))])
    logging.getLogger("watchdog").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
