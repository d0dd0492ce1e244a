"""One job in JSON documents, the same for all commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from arex.cli.output import plain
from arex.model.ids import JobId
from arex.model.reason import Reason, ReasonKind
from plugins.local.status import ClientState, JobStatus

_TIMES: Final = ("submitted", "started", "ended", "changed", "erased")
_PLAIN: Final = ("specific", "name", "owner", "lrms", "queue", "localid", "exit_code", "failure", "wall_s", "cpu_s",
                 "memory_kb", "slots", "wall_limit_s")  # fmt: skip


def job_value(status: JobStatus, *, url: str = "", name: str = "", **more: object) -> dict[str, object]:
    """A job with everything that is known about it; ``url`` and ``name`` are those of the list of jobs."""
    value: dict[str, object] = plain(status)
    return {"id": status.id, "url": url or status.url, "name": name or status.name, **_without(value), **more}


def _without(value: dict[str, object]) -> dict[str, object]:
    return {key: each for key, each in value.items() if key not in {"id", "url", "name"}}


def unknown_value(job: str, url: str, name: str) -> dict[str, object]:
    """A job of which nothing else is known."""
    empty: dict[str, object] = {each.name: None for each in fields(JobStatus)}
    return {"id": job, "url": url, "name": name, **_without(empty), "state": "Undefined"}


def status_of(value: Mapping[str, Any]) -> JobStatus:
    """
    The status in a value of ``job_value``, as far as tables show it.

    Raises:
        KeyError, TypeError, ValueError: the value is not one of ``job_value``.
    """
    reason = value.get("reason")
    facts: dict[str, Any] = {name: value[name] for name in _PLAIN}
    facts |= {name: None if value[name] is None else datetime.fromisoformat(value[name]) for name in _TIMES}
    return JobStatus(
        id=JobId(value["id"]),
        state=ClientState(value["state"]),
        labels=dict(value.get("labels") or {}),
        reason=None if reason is None else Reason(ReasonKind(reason["kind"]), str(reason["text"])),
        **facts,
    )
