"""
Reading listings entry by entry: texts of other people's jobs are in them, so one bad entry must not spoil the others.

An entry whose id can be read is a job that is present, in an unknown state. One without an id is left out.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, TypeVar

from arex.model.ids import LocalId
from arex.model.report import Phase
from lrms.command.dialect import MOST_CHILDREN, Seen, is_array_tag

log = logging.getLogger(__name__)

Entry = TypeVar("Entry")

#: Present, and nothing else is known: neither does it run nor has it ended.
UNREADABLE: Final = Seen(phase=Phase.OTHER, word="an entry that cannot be parsed")
#: Several entries claim to be about this job, so one of them is text of another job.
TWICE: Final = Seen(phase=Phase.OTHER, word="listed twice, with different states")
#: Limit on the jobs of all entries about several jobs: of those that may be arrays of arex, and of the others.
_ALL_OURS, _ALL_OTHERS = 1_000_000, 100_000
#: Limit on the remembered complaints.
_MOST: Final = 1000
_logged: Final[set[tuple[str, str]]] = set()


def listed(
    system: str, entries: Iterable[Entry], names: Callable[[Entry], Iterable[LocalId]], read: Callable[[Entry], Seen]
) -> dict[LocalId, Seen]:
    """
    What each entry of a listing says, by local id; raises nothing.

    An array with more jobs than one of arex can have is one unreadable entry, under its first id. Its ids are not
    computed: there may be many millions of them.

    Args:
        system: name of the batch system, for the log.
        entries: the parts of the answer.
        names: the jobs that an entry is about; any exception means that it cannot be parsed.
        read: what the entry says; as above.
    """
    found: dict[LocalId, Seen] = {}
    spent: Counter[bool] = Counter()
    for entry in entries:
        try:
            ids = list(islice(names(entry), MOST_CHILDREN + 1))
        except Exception as exc:  # noqa: BLE001 - whatever one entry contains, the others count
            complain(system, "", exc)
            continue
        try:
            seen = read(entry)
        except Exception as exc:  # noqa: BLE001 - as above
            complain(system, " ".join(ids[:10]), exc)
            seen = UNREADABLE
        if len(ids) > 1 and (excess := _excess(ids, seen, spent)):
            complain(system, "", ValueError(excess))
            found.setdefault(ids[0], UNREADABLE)
            continue
        found.update(dict.fromkeys(ids, seen))
    return found


def _excess(ids: list[LocalId], seen: Seen, spent: Counter[bool]) -> str:
    """Why the entry of an array counts as unreadable; empty if its ids count. ``spent``: ids so far, ours or not."""
    if len(ids) > MOST_CHILDREN:
        return f"an array of more than {MOST_CHILDREN} jobs"
    ours = seen is UNREADABLE or is_array_tag(seen.tag)
    spent[ours] += len(ids)
    if spent[ours] > (_ALL_OURS if ours else _ALL_OTHERS):
        return "there are too many jobs in arrays"
    return ""


def complain(system: str, localid: str, exc: Exception) -> None:
    """Log an entry that cannot be parsed, once: it is in every answer."""
    about = (localid, f"{type(exc).__name__}: {exc}"[:200])
    if about in _logged:
        return
    if len(_logged) >= _MOST:
        _logged.clear()
    _logged.add(about)
    log.warning(
        "%s lists %s in an entry that cannot be parsed; the other entries count: %s",
        system,
        f"job {localid}" if localid else "something",
        about[1],
        extra={"event": "lrms.entry"},
    )
