"""
HTCondor's log of one attempt. The submit host writes it, so it replaces markers that a job cannot write from its node.

If a submission was uncertain, the log of an attempt may have several jobs.
Source: job event log codes in the manual of HTCondor 23, and logs of 23.9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from arex.model.ids import LocalId

_EVENT: Final = re.compile(r"(\d{3}) \((\d{1,12})\.(\d{1,12})\.\d+\) ", re.ASCII)
_SUBMITTED, _EXECUTING, _TERMINATED, _ABORTED, _HELD = "000", "001", "005", "009", "012"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSummary:
    """The content of a log."""

    taken: LocalId | None = None  #: the job of the attempt; None: there is none, or it left without having started
    began: LocalId | None = None  #: the job that a node has started last
    returned: bool = False  #: that job has ended, and its files have arrived
    over: bool = False  #: the last entry about any of them: ended, removed, held


def parse_log(text: str) -> EventSummary:
    """Parse a log. Entries end with a line of three dots; unfinished entries and quoted text do not count."""
    seen: dict[LocalId, set[str]] = {}
    began: LocalId | None = None
    returned = over = False
    *entries, _ = f"\n{text}".split("\n...\n")
    for entry in entries:
        found = _EVENT.match(entry.removeprefix("\n"))
        if found is None:
            continue
        code, localid = found[1], LocalId(f"{int(found[2])}.{int(found[3])}")
        seen.setdefault(localid, set()).add(code)
        if code == _EXECUTING:
            began, returned = localid, False
        elif code == _TERMINATED:
            returned = localid == began
        over = code in {_TERMINATED, _ABORTED, _HELD}
    alive = [localid for localid, codes in seen.items() if _ABORTED not in codes and _SUBMITTED in codes]
    return EventSummary(taken=began or next(iter(alive), None), began=began, returned=returned, over=over)
