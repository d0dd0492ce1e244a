"""Job states, spelled as in the status file, and the allowed changes of state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """The state of a job, as in the status file; ``UNDEFINED`` only exists in memory and in ``.errors``."""

    UNDEFINED = "UNDEFINED"
    ACCEPTED = "ACCEPTED"
    PREPARING = "PREPARING"
    SUBMIT = "SUBMIT"
    INLRMS = "INLRMS"
    CANCELING = "CANCELING"
    FINISHING = "FINISHING"
    FINISHED = "FINISHED"
    DELETED = "DELETED"


_S = State

#: Every allowed change of state. Source: ``docs/developers/control-directory.md``.
EDGES: Final[Mapping[State, frozenset[State]]] = {
    _S.UNDEFINED: frozenset(set(State) - {_S.UNDEFINED}),  # adoption: the new state is the one in the status file
    _S.ACCEPTED: frozenset({_S.PREPARING, _S.FINISHING}),
    _S.PREPARING: frozenset({_S.SUBMIT, _S.FINISHING}),  # FINISHING: nothing to execute
    _S.SUBMIT: frozenset({_S.INLRMS, _S.FINISHING}),
    _S.INLRMS: frozenset({_S.FINISHING, _S.CANCELING}),
    _S.CANCELING: frozenset({_S.FINISHING}),
    _S.FINISHING: frozenset({_S.FINISHED}),
    _S.FINISHED: frozenset({_S.DELETED, _S.ACCEPTED, _S.PREPARING, _S.INLRMS}),  # the last three: restart
    _S.DELETED: frozenset(),
}

#: State after a failure. In other states, a failure changes nothing.
ON_FAILURE: Final[Mapping[State, State]] = {
    **dict.fromkeys((_S.UNDEFINED, _S.ACCEPTED, _S.PREPARING, _S.SUBMIT, _S.INLRMS, _S.CANCELING), _S.FINISHING),
    _S.FINISHING: _S.FINISHED,
}

#: States of jobs that the grid manager keeps in memory.
ACTIVE: Final = frozenset({_S.ACCEPTED, _S.PREPARING, _S.SUBMIT, _S.INLRMS, _S.CANCELING, _S.FINISHING})
#: States that count in the second limit of ``maxjobs``.
RUNNING: Final = frozenset({_S.SUBMIT, _S.INLRMS})
#: States in which a cancel mark has an effect; in others, it waits or is removed.
CANCELABLE: Final = frozenset({_S.ACCEPTED, _S.PREPARING, _S.INLRMS, _S.FINISHING})

PENDING_PREFIX: Final = "PENDING:"


@dataclass(frozen=True, slots=True)
class Status:
    """Content of a status file: a state, and whether the job is pending in it."""

    state: State
    pending: bool = False

    def __str__(self) -> str:
        return f"{PENDING_PREFIX}{self.state}" if self.pending else str(self.state)
