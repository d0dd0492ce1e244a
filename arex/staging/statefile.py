"""
ARC's list of transfers: one line each, ``UUID STATE PRIORITY SHARE [DESTINATION]``.

Source: ``dtr.state`` of ARC 6.17.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from arex.controldir import atomic, codec
from arex.errors import CorruptFile
from arex.staging.batch import Stage
from arex.staging.transfer import Transfer

#: Longest list of transfers; a longer one is of no use for monitoring.
_MOST: Final = 5000
_MOVING: Final = "TRANSFERRING"
#: Largest file that is read, bytes.
_LARGEST: Final = 16 * 1024 * 1024


def lines(stages: Iterable[Stage]) -> str:
    """The content of the file: active transfers first, then waiting ones, up to a limit."""
    waiting: list[tuple[Stage, Transfer]] = []
    moving: list[tuple[Stage, Transfer]] = []
    for stage, transfer in islice(_alive(stages), _MOST):
        (moving if transfer.state == _MOVING else waiting).append((stage, transfer))
    return "".join(_line(*each) for each in (*moving, *waiting))


def _alive(stages: Iterable[Stage]) -> Iterator[tuple[Stage, Transfer]]:
    for stage in stages:
        for transfer in stage.transfers:
            if transfer.state != "DONE":
                yield stage, transfer


def _line(stage: Stage, transfer: Transfer) -> str:
    words = [transfer.name, transfer.state, str(transfer.ticket.priority), transfer.ticket.share]
    if transfer.state == _MOVING:
        inside = f"file:{stage.staging.session}{transfer.entry.pfn}"
        words.append(transfer.replicas[0].shown if stage.out else inside)
    return " ".join("".join(c if c.isprintable() else "?" for c in word) for word in words) + "\n"


def interrupted(path: Path) -> set[str]:
    """
    The destinations that an A-REX was writing when it was killed; it leaves no other record of them.

    Empty if the file is missing or cannot be read, as after a regular stop.
    """
    try:
        text = codec.decode(atomic.read(str(path), limit=_LARGEST) or b"")
    except (OSError, CorruptFile):
        return set()
    # A-REX adds the service that delivers, which is empty for the usual one
    return {words[4] for line in text.splitlines() if len(words := line.split(" ")) >= 5 and words[1] == _MOVING}
