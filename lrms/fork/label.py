"""
The name of a supervisor's process (``comm``): which attempt it has, and what keeps it from writing its record.

Only a process itself can change its name, and every process can read it in ``/proc/PID/stat``. So a living supervisor
is recognized whatever has become of the files in its run directory. Standard library only.
"""

from __future__ import annotations

import binascii
import re
from typing import Final, NamedTuple

#: 15 bytes, the most that a name can have.
_LABEL: Final = re.compile(r"arex(\d{3})([0-9a-f]{8})", re.ASCII)


class Label(NamedTuple):
    """What the name of a supervisor says."""

    attempt: str  #: checksum of the tag
    trouble: int  #: the error number of the last try to write the completion record; 0: there was none


def attempt_of(tag: str) -> str:
    return f"{binascii.crc32(tag.encode()):08x}"


def label(tag: str, trouble: int = 0) -> str:
    return f"arex{min(trouble, 999):03d}{attempt_of(tag)}"


def parse_label(name: str) -> Label | None:
    """None: it is not the name of a supervisor."""
    found = _LABEL.fullmatch(name)
    return None if found is None else Label(found[2], int(found[1]))
