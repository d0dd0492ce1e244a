"""Read the control files of a job that clients need; some may be missing, or changed by the payload."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from arex.controldir import codec
from arex.controldir.layout import Place
from arex.controldir.store import ControlDir, Found
from arex.errors import CorruptFile, NoSuchJob, NotYourJob
from arex.model.ids import JobId
from arex.model.local import JobLocal


def find(store: ControlDir, job: JobId) -> Found:
    """
    The status file of a job of this user.

    Raises:
        NoSuchJob, NotYourJob
    """
    found = store.read_status(job)
    if found is not None:
        return found
    for place in Place:
        path = Path(store.layout.status_file(place, job))
        if path.is_symlink() or path.exists():
            raise NotYourJob(f"job {job} belongs to another user")
    raise NoSuchJob(f"no job {job} in {store.root}")


def read_bytes(store: ControlDir, job: JobId, suffix: str) -> bytes:
    """A file that may be missing, or changed by the payload."""
    try:
        return store.read(job, suffix) or b""
    except (CorruptFile, PermissionError):
        return b""


def read_text(store: ControlDir, job: JobId, suffix: str) -> str:
    return read_bytes(store, job, suffix).decode("utf-8", "replace")


def read_local(store: ControlDir, job: JobId, only: Collection[str] | None = None) -> JobLocal:
    """The facts in ``.local``, or only some of them; all fields are empty if the file does not exist."""
    try:
        return store.read_local(job, only) or JobLocal()
    except BlockingIOError:  # a real A-REX is rewriting it: read it without the lock
        return codec.parse_local(read_bytes(store, job, "local"), only)


#: An element without elements in it.
_ELEMENT: Final = re.compile(r"<(\w+)>([^<]*)</\1>")


class XmlFacts:
    """The elements of ``.xml`` that no other file has; an XML parser would double the start-up time of clients."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _found(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, text in _ELEMENT.findall(self._text):
            found.setdefault(name, []).append(text)
        return found

    def _all(self, name: str) -> list[str]:
        return self._found.get(name, [])

    @property
    def phase(self) -> str:
        """The letter after ``INLRMS:``; empty before the first poll."""
        words = (state.removeprefix("nordugrid:INLRMS:") for state in self._all("State")
                 if state.startswith("nordugrid:INLRMS:"))  # fmt: skip
        return next(words, "").partition(":")[0]

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(self._all("ExecutionNode"))

    @property
    def exit_code(self) -> int | None:
        texts = [text for text in self._all("ExitCode") if re.fullmatch(r"-?[0-9]{1,9}", text)]
        return int(texts[0]) if texts else None

    def number(self, name: str) -> int | None:
        return next((int(text) for text in self._all(name) if re.fullmatch(r"[0-9]{1,12}", text)), None)

    @property
    def wall_limit_s(self) -> int | None:
        """The limit of the job; the document has it times the number of slots."""
        total, slots = self.number("RequestedTotalWallTime"), self.number("RequestedSlots")
        return total // (slots or 1) if total is not None else None

    def moment(self, name: str) -> datetime | None:
        try:
            return next((datetime.fromisoformat(text) for text in self._all(name)), None)
        except ValueError:
            return None  # a file of another user
