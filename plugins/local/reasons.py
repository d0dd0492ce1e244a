"""Why a job waits, from its files and from what the service has published; see ``arex.diagnosis``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Final

from arex.controldir.layout import Mark
from arex.controldir.store import ControlDir, Found
from arex.diagnosis import waiting
from arex.diagnosis.facts import WaitingFacts
from arex.errors import ArexError
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.reason import Reason
from arex.model.state import State
from plugins.local.reading import read_text

#: The last part of ``.errors``, characters.
_TAIL: Final = 65536


class ServiceView:
    """What all jobs of one look at the control directory have in common; everything is read when it is first needed."""

    def __init__(
        self,
        served: Callable[[], bool] = lambda: True,
        facts: Callable[[], WaitingFacts | None] = lambda: None,
        accepting: Callable[[], Mapping[JobId, int]] = dict,
    ) -> None:
        """``accepting`` returns the places of new jobs in ``accepting/``, from 1."""
        self._served, self._facts, self._accepting = served, facts, accepting

    @cached_property
    def served(self) -> bool:
        return self._served()

    @cached_property
    def facts(self) -> WaitingFacts | None:
        return self._facts() if self.served else None

    @cached_property
    def accepting(self) -> Mapping[JobId, int]:
        return self._accepting()


def why_waiting(
    store: ControlDir, job: JobId, found: Found, *, local: JobLocal, phase: str, progress: str, view: ServiceView,
    now: datetime,
) -> tuple[Reason | None, bool]:  # fmt: skip
    """The reason of a job that has not ended, None if it runs; and whether ``archold`` holds it."""
    assert found.status is not None
    state = found.status.state
    seen = waiting.WaitingJob(
        id=job,
        status=found.status,
        changed=found.changed,
        local=local,
        controldir=store.root,
        phase=phase,
        held_since=_held_since(store, job) if state in {State.ACCEPTED, State.PREPARING} else None,
        log=read_text(store, job, "errors")[-_TAIL:],
        progress=progress,
        missing=_missing(store, job) if state is State.PREPARING and not found.status.pending else (),
        place=view.accepting.get(job) if state is State.ACCEPTED else None,
        served=view.served,
    )
    return waiting.why_waiting(seen, view.facts, now), seen.is_held


def _held_since(store: ControlDir, job: JobId) -> datetime | None:
    return None if store.mark_time(job, Mark.RELEASE) else store.mark_time(job, Mark.HOLD)


def _missing(store: ControlDir, job: JobId) -> tuple[str, ...]:
    """Input files for which the job waits, because its client uploads them."""
    try:
        entries = store.read_entries(job, "input") or []
    except (ArexError, OSError):
        return ()
    return tuple(entry.pfn for entry in entries if not entry.remote)
