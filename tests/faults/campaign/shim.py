"""The preloaded library that makes calls of arex fail: built, and controlled through a file that both sides map."""

from __future__ import annotations

import mmap
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SOURCE: Final = Path(__file__).with_name("shim.c")
#: In the order of their bits, see ``errors`` in shim.c.
ERRORS: Final = ("ENOSPC", "EIO", "EMFILE", "ENOMEM")
ALL_KINDS: Final = (1 << len(ERRORS)) - 1
ARMS: Final = 16
_SITES: Final = 4096
# struct control: its head, the arms, the sites
_HEAD: Final = struct.Struct("II4IQ512s")
_ARM: Final = struct.Struct("iiiI")
_SITE: Final = struct.Struct("QIIII112s")
_ARMS_AT: Final = _HEAD.size
_SITES_AT: Final = _ARMS_AT + ARMS * _ARM.size


@dataclass(frozen=True, slots=True)
class CallSite:
    """A role, a function and a kind of path: ``supervisor link session/@.lrms/@-@/pid``."""

    number: int
    name: str
    calls: int
    failures: int
    errors: tuple[int, ...]  #: bits of what it may fail with


class Shim:
    """One service's."""

    def __init__(self, place: Path, root: Path, seed: int = 0) -> None:
        self._library, self._file = place / "shim.so", place / "shim.control"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", self._library, _SOURCE], check=True)
        self._file.write_bytes(bytes(_SITES_AT + _SITES * _SITE.size))
        with self._file.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        _HEAD.pack_into(self._map, 0, 0, ALL_KINDS, 0, 0, 0, 0, seed, str(root).encode())
        for number in range(ARMS):
            self.disarm(number)

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command line."""
        return ("env", f"LD_PRELOAD={self._library}", f"AREX_SHIM={self._file}")

    def fail(self, per_million: int, kinds: int = ALL_KINDS) -> None:
        """Let a share of all calls fail; 0: none."""
        struct.pack_into("II", self._map, 0, per_million, kinds)

    @property
    def failures(self) -> dict[str, int]:
        """How many calls have failed, by error."""
        return dict(zip(ERRORS, struct.unpack_from("4I", self._map, 8), strict=True))

    # --- one call ---

    def arm(self, number: int, site: int, skip: int, bit: int) -> None:
        """Let the next call of this site fail, after ``skip`` that do not."""
        _ARM.pack_into(self._map, _ARMS_AT + number * _ARM.size, -1, skip, bit, 0)
        struct.pack_into("i", self._map, _ARMS_AT + number * _ARM.size, site)

    def disarm(self, number: int) -> None:
        self.arm(number, -1, 0, 0)

    def fired(self, number: int) -> bool:
        return bool(_ARM.unpack_from(self._map, _ARMS_AT + number * _ARM.size)[3])

    def sites(self) -> list[CallSite]:
        """All that were called so far."""
        found = []
        for number in range(_SITES):
            hashed, calls, failures, kinds, _, name = _SITE.unpack_from(self._map, _SITES_AT + number * _SITE.size)
            if hashed:
                bits = tuple(bit for bit in range(len(ERRORS)) if kinds & 1 << bit)
                found.append(CallSite(number, name.rstrip(b"\0").decode(errors="replace"), calls, failures, bits))
        return sorted(found, key=lambda site: site.name)
