"""
What only the service knows about waiting jobs, in ``arex.waiting`` in the control directory.

The service writes the file, and clients combine it with the files of a job; see ``waiting``. The file is JSON, its size
does not grow with the number of jobs beyond ``MOST_JOBS``, and no decision depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from arex.controldir import atomic
from arex.errors import CorruptFile
from arex.model.ids import JobId
from arex.model.reason import Reason, ReasonKind

NAME: Final = "arex.waiting"
#: Maximum number of jobs for each part of the file.
MOST_JOBS: Final = 1000
#: The service writes the file at least once a minute; an older one says nothing about now.
_STALE: Final = timedelta(minutes=3)
_LARGEST: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Something that does not work now: a queue, or a batch system."""

    why: str
    since: datetime | None
    next_try: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFacts:
    """One batch system: whether it answers, and which of its queues are paused."""

    down: Outage | None = None
    paused: Mapping[str, Outage] = field(default_factory=dict)  #: by queue; an empty name is the default queue


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingFacts:
    """The content of the file."""

    updated: datetime
    pid: int
    batch: Mapping[str, BatchFacts] = field(default_factory=dict)  #: by name in lower case
    slots: int | None = None  #: that jobs may use now; None: no limit
    slots_used: int = 0
    limit: str = ""  #: what limits them: ``slots of fork``, ``running jobs (maxjobs)``
    line: Mapping[JobId, int] = field(default_factory=dict)  #: places of the first jobs that wait for slots, from 1
    owner_limit: int | None = None
    owner_line: Mapping[JobId, int] = field(default_factory=dict)  #: the same for the limit of each owner
    most_jobs: int | None = None  #: the first number of maxjobs
    outside: int = 0  #: new jobs that wait because of it
    jobs: Mapping[JobId, Reason] = field(default_factory=dict)  #: reasons of single jobs

    def same(self, other: WaitingFacts | None) -> bool:
        """Whether everything but the time is equal."""
        return other is not None and _plain(self) | {"updated": ""} == _plain(other) | {"updated": ""}


def write(controldir: Path, facts: WaitingFacts) -> None:
    """Write the file; on OSError, readers see the old content."""
    atomic.put(str(controldir / NAME), json.dumps(_plain(facts)).encode())


def read(controldir: Path, now: datetime) -> WaitingFacts | None:
    """The facts; None if there is no file, or one that is too old or cannot be parsed (jobs can write there)."""
    try:
        data = atomic.read(str(controldir / NAME), limit=_LARGEST)
        if data is None:
            return None
        facts = _parsed(json.loads(data))
    except (OSError, CorruptFile, ValueError, TypeError, KeyError, AttributeError):
        return None
    return facts if abs(now - facts.updated) <= _STALE else None


def _plain(facts: WaitingFacts) -> dict[str, Any]:
    return {
        **{name: getattr(facts, name) for name in _NUMBERS},
        "updated": _text(facts.updated),
        "line": dict(facts.line),
        "owner_line": dict(facts.owner_line),
        "batch": {
            name: {
                "down": None if each.down is None else _outage(each.down),
                "paused": {queue: _outage(outage) for queue, outage in each.paused.items()},
            }
            for name, each in facts.batch.items()
        },
        "jobs": {
            job: [each.kind, each.text, _text(each.since), _text(each.next_try), each.place]
            for job, each in facts.jobs.items()
        },
    }


_NUMBERS: Final = ("pid", "slots", "slots_used", "limit", "owner_limit", "most_jobs", "outside")


def _parsed(value: Any) -> WaitingFacts:  # noqa: ANN401 - JSON of another process
    updated = _moment(value["updated"])
    if updated is None:
        raise ValueError("no time")
    return WaitingFacts(
        updated=updated,
        **{name: _number(value[name]) for name in _NUMBERS if name != "limit"},  # type: ignore[arg-type]
        limit=str(value["limit"]),
        line={JobId(job): int(place) for job, place in value["line"].items()},
        owner_line={JobId(job): int(place) for job, place in value["owner_line"].items()},
        batch={
            str(name): BatchFacts(
                down=None if each["down"] is None else _parsed_outage(each["down"]),
                paused={str(queue): _parsed_outage(outage) for queue, outage in each["paused"].items()},
            )
            for name, each in value["batch"].items()
        },
        jobs={
            JobId(job): Reason(ReasonKind(kind), str(text), _moment(since), _moment(again), _number(place))
            for job, (kind, text, since, again, place) in value["jobs"].items()
        },
    )


def _outage(each: Outage) -> list[str | None]:
    return [each.why, _text(each.since), _text(each.next_try)]


def _parsed_outage(value: list[str]) -> Outage:
    why, since, again = value
    return Outage(why=str(why), since=_moment(since), next_try=_moment(again))


def _number(value: int | None) -> int | None:
    return None if value is None else int(value)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
