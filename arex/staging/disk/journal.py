"""
What is known of a job's transfers after a crash: ``SESSION.staging/journal``, one JSON line for each fact.

Lines are only added; the last one may be incomplete. URLs are written as digests, because some contain secrets.
A file that was not flushed to disk is trusted until the machine restarts: a power failure may have emptied it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from arex.controldir import atomic, confined_fs
from arex.staging.movers.base import FileInfo

_NAME: Final = "journal"
_LARGEST: Final = 256 * 1024 * 1024
Fact = Mapping[str, object]


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


#: Changes with each restart of the machine.
_BOOT: Final = _boot()


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that is complete and verified, under its final name or as a part file."""

    url: str  #: digest
    size: int
    mtime_ns: int | None  #: None: not checked, as for small files

    def is_of(self, info: os.stat_result) -> bool:
        return info.st_size == self.size and self.mtime_ns in {None, info.st_mtime_ns}


def url_digest(url: str) -> str:
    """A URL as it is written in the journal."""
    return hashlib.sha256(os.fsencode(url)).hexdigest()[:32]


def part_name(pfn: str) -> str:
    """Name of the part file of a file of the job: unique, and never too long."""
    return hashlib.sha256(os.fsencode(pfn)).hexdigest()[:32] + ".part"


def begun(pfn: str, url: str, facts: FileInfo) -> Fact:
    """A download to a part file has begun, from this version of the source."""
    return {"fact": "begin", "pfn": pfn, **half(url, facts)}


def half(url: str, facts: FileInfo) -> Fact:
    """The version of the source that a part file is from."""
    modified = None if facts.modified is None else facts.modified.isoformat()
    return {"url": url_digest(url), "size": facts.size, "etag": facts.etag, "modified": modified, "boot": _BOOT}


def half_of(fact: Fact) -> FileInfo | None:
    """
    The version of the source that ``half`` wrote down; None after a restart of the machine, as bytes may be lost.

    Raises:
        KeyError, ValueError: it cannot be parsed.
    """
    size, modified = fact["size"], fact["modified"]
    if fact["boot"] != _BOOT:
        return None
    return FileInfo(
        size=size if isinstance(size, int) else None,
        etag=str(fact["etag"]),
        modified=datetime.fromisoformat(modified) if isinstance(modified, str) else None,
    )


def whole(pfn: str, url: str, size: int, mtime_ns: int | None, *, durable: bool) -> Fact:
    boot = "" if durable else _BOOT
    return {"fact": "whole", "pfn": pfn, "url": url_digest(url), "size": size, "mtime_ns": mtime_ns, "boot": boot}


def sending(pfn: str, url: str) -> Fact:
    """An upload has begun: from now on, a file at the target may be from this job."""
    return {"fact": "sending", "pfn": pfn, "url": url_digest(url)}


def sent(pfn: str, url: str) -> Fact:
    return {"fact": "sent", "pfn": pfn, "url": url_digest(url)}


class Journal:
    """
    The facts about one job. Every method accesses the disk.

    The directory is open from the start to ``close``, and ``workdir`` leads to it whatever the payload puts in its
    place meanwhile.
    """

    def __init__(self, workdir: Path) -> None:
        """
        Raises:
            UnsafePath: the directory is a link, not a directory, or owned by another account.
            CorruptFile, OSError: the journal cannot be read.
        """
        self._directory = confined_fs.open_own_directory(workdir)
        self.workdir = Path(f"/proc/self/fd/{self._directory}")
        self.begun: dict[str, tuple[str, FileInfo]] = {}  #: what the part file is of: digest of the URL, and its state
        self.whole: dict[str, Whole] = {}
        self.sending: set[tuple[str, str]] = set()
        self.sent: set[tuple[str, str]] = set()
        self._fd = -1
        self._torn = False
        self._lock = threading.Lock()
        try:
            self._load()
        except BaseException:
            os.close(self._directory)
            raise

    def add(self, facts: Iterable[Fact], *, durable: bool) -> None:
        """
        Write facts with one call.

        Raises:
            OSError: they could not be written.
        """
        facts = list(facts)
        lines = "".join(json.dumps(fact, ensure_ascii=True) + "\n" for fact in facts)
        with self._lock:
            if self._fd < 0:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                self._fd = os.open(self.workdir / _NAME, flags, 0o600)
            atomic.write_all(self._fd, ("\n" + lines if self._torn else lines).encode())
            self._torn = False
            if durable:
                os.fsync(self._fd)
        for fact in facts:
            self._learn(fact)

    def part_of(self, pfn: str) -> str:
        """
        Path of the part file of a file of the job; a string, because thousands of these paths are
        never used on disk.
        """
        return f"{self.workdir}/{part_name(pfn)}"

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def drop_parts(self) -> None:
        """Remove all part files; no download may be active."""
        for name in os.listdir(self._directory):  # noqa: PTH208 - a descriptor, not a path
            if name.endswith(".part"):
                os.unlink(name, dir_fd=self._directory)

    def _load(self) -> None:
        data = atomic.read(str(self.workdir / _NAME), limit=_LARGEST) or b""
        self._torn = bool(data) and not data.endswith(b"\n")
        for line in data.splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError):  # ignore an incomplete line
                self._learn(json.loads(line))

    def _learn(self, fact: Fact) -> None:
        pfn, url = str(fact["pfn"]), str(fact["url"])
        match fact["fact"]:
            case "begin" if (facts := half_of(fact)) is not None:
                self.begun[pfn] = (url, facts)
            case "whole" if fact["boot"] in {"", _BOOT}:
                size, mtime_ns = fact["size"], fact["mtime_ns"]
                assert isinstance(size, int)
                self.whole[pfn] = Whole(url, size, mtime_ns if isinstance(mtime_ns, int) else None)
            case "sending":
                self.sending.add((pfn, url))
            case "sent":
                self.sent.add((pfn, url))
            case _:
                return
