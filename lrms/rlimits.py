"""
The resource limits of this process. Any process of the same account can change them with prlimit(2), which cannot be
prevented; so they are compared with what they were. Standard library only, for the forkserver imports it.
"""

from __future__ import annotations

import resource
from typing import Final

#: RLIMIT_OFILE is another name of RLIMIT_NOFILE.
_NAMES: Final = {
    getattr(resource, name): name for name in dir(resource) if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"
}
_ALL: Final = tuple(_NAMES)

#: Soft and hard limit of each resource.
Limits = list[tuple[int, int]]


def limits() -> Limits:
    """The limits of this process; a call takes a few microseconds."""
    return [resource.getrlimit(each) for each in _ALL]


def restore(wanted: Limits) -> str:
    """Undo changes of the limits; returns what cannot be undone, because a hard limit was lowered; empty if nothing."""
    if limits() == wanted:
        return ""
    return ", ".join(_NAMES[each] for each, limit in zip(_ALL, wanted, strict=True) if not _restored(each, limit))


def _restored(which: int, limit: tuple[int, int]) -> bool:
    if resource.getrlimit(which) != limit:
        try:
            resource.setrlimit(which, limit)
        except (OSError, ValueError):  # ValueError: it is not allowed
            return False
    return True
