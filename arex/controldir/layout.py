"""
Paths of the control files: the flat layout of A-REX 6 and the nested layout of A-REX 7.

The codec, the store and all other modules work with both.
Source: ``docs/developers/control-directory.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from arex.model.ids import JobId, is_job_id
from arex.model.state import State


class Place(StrEnum):
    """A directory that contains status files."""

    ACCEPTING = "accepting"
    PROCESSING = "processing"
    FINISHED = "finished"
    RESTARTING = "restarting"


class Mark(StrEnum):
    """A client's request, an empty file in ``accepting/``."""

    CANCEL = "cancel"
    CLEAN = "clean"
    RESTART = "restart"
    HOLD = "hold"  #: arex only: keep the job from starting
    RELEASE = "release"  #: arex only: end the hold


#: The directory of the status file for each state.
PLACE_OF: Final = {
    State.ACCEPTED: Place.ACCEPTING,
    State.PREPARING: Place.PROCESSING,
    State.SUBMIT: Place.PROCESSING,
    State.INLRMS: Place.PROCESSING,
    State.CANCELING: Place.PROCESSING,
    State.FINISHING: Place.PROCESSING,
    State.FINISHED: Place.FINISHED,
    State.DELETED: Place.FINISHED,
}

#: Order in which the directories are searched for a status file; the first one found is used.
LOOKUP: Final = (Place.PROCESSING, Place.ACCEPTING, Place.RESTARTING, Place.FINISHED)


_MARKS: Final = frozenset(str(mark) for mark in Mark)


class Layout(Protocol):
    """Paths of control files; does not access the file system."""

    root: Path

    def job_file(self, job: JobId, suffix: str) -> str:
        """Path of a control file of a job; the suffix has no dot, for example ``local``."""
        ...

    def status_file(self, place: Place, job: JobId) -> str: ...

    def mark_file(self, job: JobId, mark: Mark) -> str:
        """Path at which a mark is created."""
        ...

    def mark_files(self, job: JobId, mark: Mark) -> Sequence[str]:
        """All paths at which a mark counts."""
        ...

    def job_of_status(self, name: str) -> JobId | None:
        """The job to which a file in a status directory belongs; None if it is not a status file."""
        ...

    def job_of_mark(self, name: str) -> tuple[JobId, Mark] | None: ...


def _checked(text: str) -> JobId | None:
    return JobId(text) if is_job_id(text) else None


class FlatLayout:
    """A-REX 6: all files are ``job.ID.suffix`` in the control directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = str(root)

    def job_file(self, job: JobId, suffix: str) -> str:
        return f"{self._root}/job.{job}.{suffix}"

    def status_file(self, place: Place, job: JobId) -> str:
        return f"{self._root}/{place}/job.{job}.status"

    def mark_file(self, job: JobId, mark: Mark) -> str:
        return f"{self._root}/{Place.ACCEPTING}/job.{job}.{mark}"

    def mark_files(self, job: JobId, mark: Mark) -> Sequence[str]:
        return (self.mark_file(job, mark),)

    def job_of_status(self, name: str) -> JobId | None:
        if name.startswith("job.") and name.endswith(".status"):
            return _checked(name[4:-7])
        return None

    def job_of_mark(self, name: str) -> tuple[JobId, Mark] | None:
        head, _, tail = name.rpartition(".")
        if not head.startswith("job.") or tail not in _MARKS:
            return None
        job = _checked(head[4:])
        return None if job is None else (job, Mark(tail))


class NestedLayout:
    """
    A-REX 7: ``jobs/abc/def/ghi/rest/suffix``, so that directories stay small.

    A-REX 7.0.0 and its clients name marks without a dot (``IDcancel``), and it removes marks with a dot without acting
    on them. Both count here.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = str(root)

    def job_file(self, job: JobId, suffix: str) -> str:
        return f"{self._root}/jobs/{'/'.join(split_in_threes(job))}/{suffix}"

    def status_file(self, place: Place, job: JobId) -> str:
        return f"{self._root}/{place}/{job}.status"

    def mark_file(self, job: JobId, mark: Mark) -> str:
        return f"{self._root}/{Place.ACCEPTING}/{job}{mark}"

    def mark_files(self, job: JobId, mark: Mark) -> Sequence[str]:
        return (self.mark_file(job, mark), f"{self._root}/{Place.ACCEPTING}/{job}.{mark}")

    def job_of_status(self, name: str) -> JobId | None:
        return _checked(name[:-7]) if name.endswith(".status") else None

    def job_of_mark(self, name: str) -> tuple[JobId, Mark] | None:
        for mark in Mark:
            if name.endswith(mark) and (job := _checked(name.removesuffix(mark).removesuffix("."))) is not None:
                return job, mark
        return None


def split_in_threes(job: str) -> list[str]:
    """Split an id into at most three parts of three characters, and the rest."""
    parts = [job[0:3], job[3:6], job[6:9], job[9:]]
    return [part for part in parts if part]


LAYOUTS: Final[Mapping[str, type[FlatLayout | NestedLayout]]] = {"flat": FlatLayout, "nested": NestedLayout}
