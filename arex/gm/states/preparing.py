"""PREPARING: remote inputs are fetched, the client's uploads awaited, then a slot."""

from __future__ import annotations

import os
import re
from typing import Final

from arex.controldir import beneath, codec
from arex.controldir.cksum import cksum
from arex.controldir.layout import Mark
from arex.gm import credentials
from arex.gm.case import AskStage, Case, Fail, Move, Step, Wait
from arex.gm.transfers import unfinished
from arex.model.files import FileEntry
from arex.model.state import State
from arex.ports import Staged

#: Clients ring after each upload; this is for those that only write files.
_UPLOAD_LOOK_S = 2.0
#: Nobody tells when a disk has room again.
_ROOM_LOOK_S = 30.0
#: ``SIZE``, ``SIZE.CRC`` or ``.CRC``, decimal; empty for a file without either.
_ANNOUNCED: Final = re.compile(r"(?:[0-9]{1,18})?(?:\.[0-9]{1,10})?")


def decide(case: Case) -> Step:
    if not case.session.exists():
        return Fail("Failed to clean up session dir before downloading inputs")
    if why := case.world.room(case.session.path.parent, case.job.local.subject or ""):
        return Wait(_ROOM_LOOK_S, why)
    credentials.refresh(case)
    inputs = case.store.read_entries(case.job.id, "input") or []
    if any(entry.remote for entry in inputs):
        answer = case.answer
        if not isinstance(answer, Staged):
            remote = [entry for entry in inputs if entry.remote]
            return credentials.hold_transfers(case, remote) or AskStage(case.staging(remote), out=False)
        # what is here is not fetched again, whatever became of the rest
        inputs = [entry for entry in inputs if not (entry.remote and (answer.done or entry in answer.moved))]
        case.store.put_entries(case.job.id, "input", inputs)
        if not answer.done:
            return unfinished(answer)
    return _uploads(case, inputs) or _pass_on(case)


def _uploads(case: Case, inputs: list[FileEntry]) -> Step | None:
    """What the client still owes; None when everything is here."""
    data = case.store.read(case.job.id, "input_status")
    confirmed = None if data is None else set(codec.parse_input_status(data))
    missing: list[FileEntry] = []
    for entry in inputs:
        if entry.pfn == "/":
            if confirmed is None or "/" not in confirmed:
                missing.append(entry)
        elif (verdict := _delivered(case, entry, confirmed)) is False:
            missing.append(entry)
        elif isinstance(verdict, str):
            return Fail(f"User file: {entry.pfn} - {verdict}")
    if len(missing) < len(inputs):
        case.store.put_entries(case.job.id, "input", missing)
    if not missing:
        return None
    if case.world.clock.now() - case.job.changed > case.settings.upload_timeout:
        return Fail("\n".join(f"User file: {entry.pfn} - Timeout waiting" for entry in missing))
    return Wait(_UPLOAD_LOOK_S)


def _delivered(case: Case, entry: FileEntry, confirmed: set[str] | None) -> bool | str:
    """True, False for not yet, or what is wrong with the file for good."""
    if entry.lfn == "*.*" or (confirmed is not None and entry.pfn in confirmed and not entry.lfn):
        return True
    if confirmed is not None and entry.pfn not in confirmed:
        return False
    size = beneath.size_of(case.session.path, entry.pfn)
    if size is None:
        return False
    if not _ANNOUNCED.fullmatch(entry.lfn):
        return f"Size and checksum do not read: {entry.lfn[:80]}"
    wanted, _, crc = entry.lfn.partition(".")
    if wanted and size > int(wanted):
        return "Delivered file is bigger than specified."
    if wanted and size < int(wanted):
        return False
    if crc and confirmed is None:
        fd = beneath.open_file(case.session.path, entry.pfn)
        with os.fdopen(fd, "rb") as stream:
            if cksum(stream) != int(crc):
                return "Delivered file has wrong checksum."
    return True


def _is_held(case: Case) -> bool:
    """What its owner holds is not even submitted, and stands in nobody's way."""
    if case.store.has_mark(case.job.id, Mark.RELEASE):
        for mark in (Mark.HOLD, Mark.RELEASE):  # a hold that comes now is a new one
            case.store.drop_mark(case.job.id, mark)
    if not case.store.has_mark(case.job.id, Mark.HOLD):
        return False
    case.world.limits.left_batch(case.job.id)
    return True


def _pass_on(case: Case) -> Step:
    if not case.description.executable:
        return Move(State.FINISHING, "Job does NOT define executable. Going directly to post-staging.")
    if _is_held(case):
        return Wait(why="Request to hold job")
    if (held := credentials.hold_start(case)) is not None:
        case.world.limits.left_batch(case.job.id)
        return held
    slots = case.description.resources.slots or 1
    if not case.world.limits.may_run(case.job.id, slots, case.job.local.priority or 50):
        return Wait(why="Limit of RUNNING jobs is reached")
    return Move(State.SUBMIT, "Pre-staging finished, passing job to LRMS")
