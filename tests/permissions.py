"""Directories that can't be looked into, also for root."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

#: Version 3 of the interface, for this thread. Source: capget(2).
_HEADER: Final = (0x20080522, 0)
#: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, for which modes do not count. Source: capabilities(7).
_OVERRIDES: Final = 1 << 1 | 1 << 2

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def closed(directory: Path) -> Iterator[Path]:
    """A directory of mode 0; the modes count for this thread meanwhile, whoever runs the tests."""
    mode = directory.stat().st_mode
    directory.chmod(0)
    before = _capabilities()
    _set_effective(before, before[0] & ~_OVERRIDES)
    try:
        yield directory
    finally:
        _set_effective(before, before[0])
        directory.chmod(mode)


def _capabilities() -> list[int]:
    """Effective, permitted and inheritable, twice: of the first 32 capabilities and of the others."""
    sets = (ctypes.c_uint32 * 6)()
    _call(_libc.capget(_header(), sets))
    return list(sets)


def _set_effective(sets: list[int], effective: int) -> None:
    _call(_libc.capset(_header(), (ctypes.c_uint32 * 6)(effective, *sets[1:])))


def _header() -> ctypes.Array[ctypes.c_uint32]:
    return (ctypes.c_uint32 * 2)(*_HEADER)


def _call(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
