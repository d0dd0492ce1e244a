"""Jobs of a service by the states that ``arcstat`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from arex.daemon import Snapshot

#: State of clients by state of A-REX, without those in the batch system.
_NAMES: Final[Mapping[str, str]] = {
    "ACCEPTED": "Accepted",
    "PREPARING": "Preparing",
    "SUBMIT": "Submitting",
    "CANCELING": "Finishing",
    "FINISHING": "Finishing",
}
#: State of clients by the letter of the phase in the batch system; a job without a report counts as queued.
_PHASES: Final[Mapping[str, str]] = {"": "Queuing", "Q": "Queuing", "S": "Hold", "H": "Hold"}
_ORDER: Final = ("Accepted", "Preparing", "Submitting", "Queuing", "Hold", "Running", "Finishing")


def job_states(snapshot: Snapshot) -> dict[str, int]:
    """Number of unfinished jobs by state, in the order in which a job passes them; states without jobs are missing."""
    found: Counter[str] = Counter()
    for state, count in snapshot.states.items():
        if state == "INLRMS":
            phases = Counter({letter: int(number) for letter, number in snapshot.phases.items()})
            phases[""] += max(0, count - phases.total())
            for letter, number in phases.items():
                found[_PHASES.get(letter, "Running")] += number
        else:
            found[_NAMES.get(state, state)] += count
    return {state: found[state] for state in (*_ORDER, *sorted(found.keys() - set(_ORDER))) if found[state] > 0}
