"""
The ``.meta`` file beside a cached file: the URL, the owners with access, and a line with the facts that were checked.

Source: the cache of ARC 6.17; the line that begins with ``#arex`` is added by arex.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from arex.controldir import atomic, codec
from arex.errors import CorruptFile

#: The beginning of the line with the facts.
OURS: Final = "#arex "


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRecord:
    """The facts about a cached file that show whether the source is newer."""

    size: int
    modified: datetime | None = None
    etag: str = ""
    checked: datetime  #: when source and copy were last found to agree


def read_lines(path: Path) -> list[str]:
    """The lines about a cached file, the URL first; none if they cannot be read."""
    try:
        return codec.decode(atomic.read(f"{path}.meta") or b"").splitlines()
    except CorruptFile:
        return []


def permits_in(lines: Sequence[str]) -> list[tuple[str, datetime]]:
    """Owners and the end of their permissions; lines that cannot be parsed give no permission."""
    found = []
    for line in lines[1:]:
        name, _, until = line.rpartition(" ")
        if not line.startswith(OURS):
            with contextlib.suppress(ValueError):
                found.append((name, codec.parse_mds(until)))
    return found


def facts_in(lines: Sequence[str]) -> list[str]:
    """For ``record_in``; none if a real A-REX cached the file."""
    return [line.removeprefix(OURS) for line in lines if line.startswith(OURS)]


def line_of(record: CacheRecord, checked: datetime, inode: int) -> str:
    """The line with the facts about the file of this inode."""
    facts = {
        "inode": inode,
        "size": record.size,
        "modified": None if record.modified is None else record.modified.timestamp(),
        "etag": record.etag,
        "checked": checked.timestamp(),
    }
    return OURS + json.dumps(facts)


def record_in(facts: str, info: os.stat_result) -> CacheRecord | None:
    """None if it cannot be parsed or belongs to another version of the file."""
    try:
        values = json.loads(facts)
        if values["inode"] != info.st_ino:
            return None
        modified = values["modified"]
        record = CacheRecord(
            size=int(values["size"]),
            modified=None if modified is None else datetime.fromtimestamp(modified, UTC),
            etag=str(values["etag"]),
            checked=datetime.fromtimestamp(values["checked"], UTC),
        )
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None
    return record if record.size == info.st_size else None


def record_of_arc(info: os.stat_result) -> CacheRecord:
    """A file that a real A-REX cached: its time is that of the download."""
    made = datetime.fromtimestamp(info.st_mtime, UTC)
    return CacheRecord(size=info.st_size, modified=made, checked=made)
