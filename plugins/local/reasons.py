"""Why a job waits or has failed, from its files and from what the service has published; see ``arex.diagnosis``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

from arex.controldir import confined_fs
from arex.controldir.layout import Mark
from arex.controldir.session import SessionFiles
from arex.controldir.store import ControlDir, Found
from arex.diagnosis import waiting
from arex.diagnosis.facts import WaitingFacts
from arex.errors import ArexError, CorruptFile
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.reason import Reason
from arex.model.state import State
from plugins.local.reading import read_evidence, read_text

if TYPE_CHECKING:
    from arex.model.grami import Grami

#: The last part of ``.errors``, characters.
_TAIL: Final = 65536
_FIRST_LINE: Final = 256
#: Exit codes of a shell that cannot execute a command.
_NOT_EXECUTED: Final = frozenset({126, 127})


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


def why_failed(
    store: ControlDir, job: JobId, *, failure: str, lrms: str, session: SessionFiles | None, ended: datetime | None,
    exit_code: int | None, used: tuple[int | None, int | None, int | None],
) -> Reason | None:  # fmt: skip
    """The reason of failure in plain words; ``used`` is wall time and CPU time in seconds, and memory in kB."""
    from arex.diagnosis.ending import EndedJob, why_ended  # noqa: PLC0415 - only for failed jobs

    grami = requested(store, job)
    program, interpreter = ("", "")
    if exit_code in _NOT_EXECUTED and session is not None and grami is not None and grami.args:
        program, interpreter = _windows_script(session, grami.args[0])
    wall_s, cpu_s, memory_kb = used
    return why_ended(
        EndedJob(
            failure=failure, batch_system=lrms, ended=ended,
            evidence={} if session is None else _evidence(session), limits=grami,
            wall_s=wall_s, cpu_s=cpu_s, memory_kb=memory_kb, crlf=program, interpreter=interpreter,
        )
    )  # fmt: skip


def requested(store: ControlDir, job: JobId) -> Grami | None:
    """What the job has asked for; None before its submission to the batch system, or if it cannot be read."""
    from arex.jobdesc.control.grami import parse_grami  # noqa: PLC0415 - few jobs need it

    try:
        data = store.read(job, "grami")
        return None if data is None else parse_grami(data)
    except (CorruptFile, OSError):
        return None


def _evidence(session: SessionFiles) -> dict[str, str]:
    try:
        return dict(read_evidence(session))
    except (OSError, CorruptFile):  # the payload can write there
        return {}


def _windows_script(session: SessionFiles, program: str) -> tuple[str, str]:
    """A script whose first line ends with a carriage return, and its interpreter; two empty texts for others."""
    name = program.removeprefix("./")
    if name.startswith("/"):
        return "", ""
    try:
        fd = confined_fs.open_file(session.path, name)
    except (OSError, ArexError):
        return "", ""
    try:
        first = os.read(fd, _FIRST_LINE).split(b"\n", 1)[0]
    finally:
        os.close(fd)
    if not first.startswith(b"#!") or not first.endswith(b"\r"):
        return "", ""
    return name, first[2:].strip().decode("utf-8", "replace").partition(" ")[0]
