"""
ARC's list of transfers: one line each, ``UUID STATE PRIORITY SHARE [DESTINATION]``.

Source: ``dtr.state`` of ARC 6.17.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from arex.staging.batch import Stage
from arex.staging.transfer import Transfer

#: Longest list of transfers; a longer one is of no use for monitoring.
_MOST: Final = 5000
_MOVING: Final = "TRANSFERRING"


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
