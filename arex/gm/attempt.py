"""
``.lrms_job``: the record of one attempt. It is on disk before the job is submitted to the batch system.

The file holds ``key=value`` lines: ``tag``, ``lrms`` and, once known, ``localid``. It is removed when the job is
FINISHED, so that a rerun is a new attempt with a new tag. A real A-REX ignores the file and also removes it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from arex.controldir import codec
from arex.controldir.session import SessionFiles
from arex.controldir.store import ControlDir
from arex.model.ids import JobId, LocalId, Tag, new_tag
from arex.ports import LocalJob

#: A job id and the suffix of ``new_tag``, which is also the name of a directory.
_TAG: Final = re.compile(r"[A-Za-z0-9_.+=@-]{1,128}")


#: A run directory may be older than the status file by this time: the status file is written at the end of a turn.
_SAME_MOVE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Attempt:
    tag: Tag
    lrms: str
    localid: LocalId | None = None


def read(store: ControlDir, job: JobId) -> Attempt | None:
    """The recorded attempt; None if there is no valid record, so that ``find`` never searches for an invalid tag."""
    data = store.read(job, "lrms_job")
    if data is None:
        return None
    # a last line without a line break is incomplete: the daemon was killed or the disk was full
    facts = dict(line.partition("=")[::2] for line in codec.decode(data).split("\n")[:-1])
    tag, lrms = facts.get("tag", ""), facts.get("lrms", "")
    if not tag.startswith(f"{job}-") or not _TAG.fullmatch(tag) or not lrms:
        return None
    return Attempt(Tag(tag), lrms, LocalId(facts["localid"]) if facts.get("localid") else None)


def left_behind(lrms: Path, job: JobId, since: datetime) -> Tag | None:
    """
    Find the tag of an attempt without a record, from the name of its run directory in ``lrms``.

    A run directory that is older than the state of the job is from an attempt before a restart by a real A-REX.
    """
    earliest = since.timestamp() - _SAME_MOVE_S
    with os.scandir(lrms) as entries:
        found = [(entry.stat(follow_symlinks=False).st_mtime, entry.name) for entry in entries]
    mine = [(when, name) for when, name in found if when >= earliest and name.startswith(f"{job}-")]
    return next((Tag(name) for _, name in sorted(mine, reverse=True) if _TAG.fullmatch(name)), None)


def adopt(store: ControlDir, job: JobId, tag: Tag, lrms: str) -> Attempt:
    """Write the record of an attempt again after it was lost."""
    attempt = Attempt(tag, lrms)
    store.put(job, "lrms_job", codec.encode(f"tag={attempt.tag}\nlrms={attempt.lrms}\n"), durable=True)
    return attempt


def begin(store: ControlDir, job: JobId, lrms: str, *, durable: bool) -> Attempt:
    """Record a new attempt on disk; with ``durable``, the record also survives a power failure."""
    attempt = Attempt(new_tag(job), lrms)
    data = codec.encode(f"tag={attempt.tag}\nlrms={attempt.lrms}\n")
    if not store.create(job, "lrms_job", data, durable=durable):
        store.put(job, "lrms_job", data, durable=durable)
    return attempt


def taken(store: ControlDir, job: JobId, localid: LocalId) -> None:
    """Add the local id to the record: the batch system has accepted this attempt."""
    store.append(job, "lrms_job", f"localid={localid}\n")


def local_job(store: ControlDir, job: JobId, session: SessionFiles, localid: LocalId) -> LocalJob:
    """The job for requests to the batch system; it has no tag if another daemon submitted it (no matching record)."""
    attempt = read(store, job)
    if attempt is None or attempt.localid not in {None, localid}:
        return LocalJob(job=job, localid=localid, tag=None, session=session.path, rundir=None)
    return LocalJob(job=job, localid=localid, tag=attempt.tag, session=session.path, rundir=session.lrms / attempt.tag)
