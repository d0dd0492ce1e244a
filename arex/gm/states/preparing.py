"""PREPARING: download remote inputs, wait for the client's uploads, then for a slot."""

from __future__ import annotations

import re
from typing import Final

from arex.controldir import codec, confined_fs
from arex.controldir.layout import Mark
from arex.gm import credentials
from arex.gm.context import JobContext
from arex.gm.states.unfinished import unfinished
from arex.gm.steps import (
    AskStage,
    Fail,
    Move,
    Step,
    Wait,
)
from arex.model.files import FileEntry
from arex.model.state import State

#: Clients announce each upload; this interval is for clients that only write files.
_UPLOAD_LOOK_S = 2.0
#: Interval for checking free disk space, which no event reports.
_ROOM_LOOK_S = 30.0
#: Pause between parts of the computation of a checksum.
_CHECK_PAUSE_S = 0.1
#: ``SIZE``, ``SIZE.CRC`` or ``.CRC``, decimal; empty for a file without either.
_ANNOUNCED: Final = re.compile(r"(?:[0-9]{1,18})?(?:\.[0-9]{1,10})?")


_NO_SLOT: Final = Wait(why="Limit of RUNNING jobs is reached")


def decide(context: JobContext) -> Step:
    if context.job.status.pending and context.services.limits.waits_to_run(context.job.id) and not _is_held(context):
        return _NO_SLOT  # all files are complete; they are checked again when a slot is free
    if not context.session.exists():
        return Fail("Failed to clean up session dir before downloading inputs")
    if why := context.services.room(context.session.path.parent, context.job.local.subject or ""):
        return Wait(_ROOM_LOOK_S, why)
    inputs = context.store.read_entries(context.job.id, "input") or []
    if any(entry.remote for entry in inputs):
        answer = context.staged(out=False)
        if answer is None:
            remote = [entry for entry in inputs if entry.remote]
            return credentials.hold_transfers(context, remote) or AskStage(context.staging(remote), out=False)
        # completed files are not downloaded again, even if others failed
        inputs = [entry for entry in inputs if not (entry.remote and (answer.done or entry in answer.moved))]
        context.store.put_entries(context.job.id, "input", inputs)
        if not answer.done:
            return unfinished(answer)
    return _uploads(context, inputs) or _pass_on(context)


def _uploads(context: JobContext, inputs: list[FileEntry]) -> Step | None:
    """Wait for missing uploads of the client, or fail; None if all files are complete."""
    data = context.store.read(context.job.id, "input_status")
    confirmed = None if data is None else set(codec.parse_input_status(data))
    missing: list[FileEntry] = []
    for entry in inputs:
        if entry.pfn == "/":
            if confirmed is None or "/" not in confirmed:
                missing.append(entry)
        elif (verdict := _delivered(context, entry, confirmed)) is None:
            return Wait(_CHECK_PAUSE_S)
        elif verdict is False:
            missing.append(entry)
        elif isinstance(verdict, str):
            return Fail(f"User file: {entry.pfn} - {verdict}")
    if len(missing) < len(inputs):
        context.store.put_entries(context.job.id, "input", missing)
    if not missing:
        return None
    if context.services.clock.now() - context.job.changed > context.settings.upload_timeout:
        return Fail("\n".join(f"User file: {entry.pfn} - Timeout waiting" for entry in missing))
    return Wait(_UPLOAD_LOOK_S)


def _delivered(context: JobContext, entry: FileEntry, confirmed: set[str] | None) -> bool | str | None:
    """True if the file is complete, False if not yet, None while its checksum is computed, or the error message."""
    if entry.lfn == "*.*" or (confirmed is not None and entry.pfn in confirmed and not entry.lfn):
        return True
    if confirmed is not None and entry.pfn not in confirmed:
        return False
    size = confined_fs.size_of(context.session.path, entry.pfn)
    if size is None:
        return False
    if not _ANNOUNCED.fullmatch(entry.lfn):
        return f"Invalid size or checksum in the file list: {entry.lfn[:80]}"
    wanted, _, crc = entry.lfn.partition(".")
    if wanted and size > int(wanted):
        return "Delivered file is bigger than specified."
    if wanted and size < int(wanted):
        return False
    if crc and confirmed is None:
        number = context.services.input_checks.cksum(context.job.id, context.session.path, entry.pfn)
        if number is None:
            return None
        if number != int(crc):
            return "Delivered file has wrong checksum."
    return True


def _is_held(context: JobContext) -> bool:
    """Whether the owner holds the job; a held job is not submitted and takes no slots."""
    if context.store.has_mark(context.job.id, Mark.RELEASE):
        for mark in (Mark.HOLD, Mark.RELEASE):  # a later hold is a new request
            context.store.drop_mark(context.job.id, mark)
    if not context.store.has_mark(context.job.id, Mark.HOLD):
        return False
    context.services.limits.left_batch(context.job.id)
    return True


def _pass_on(context: JobContext) -> Step:
    if not context.description.executable:
        return Move(State.FINISHING, "Job does NOT define executable. Going directly to post-staging.")
    if _is_held(context):
        return Wait(why="Request to hold job")
    if (held := credentials.hold_start(context)) is not None:
        context.services.limits.left_batch(context.job.id)
        return held
    slots = context.description.resources.slots or 1
    if not context.services.limits.may_run(context.job.id, slots, context.job.local.priority or 50):
        return _NO_SLOT
    return Move(State.SUBMIT, "Pre-staging finished, passing job to LRMS")
