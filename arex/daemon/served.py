"""What a service and its clients have to agree on, so that jobs end up in the batch system that the service has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from arex.config.model import Configuration, QueueBlock
from arex.config.values import LrmsChoice, SessionDir


class Served(TypedDict, total=False):
    """The part of a configuration that decides what becomes of a new job; also in the status file."""

    lrms: str
    default_queue: str
    queues: list[str]
    sessiondirs: list[list[str]]  #: path, and ``drain`` if it gets no new jobs
    layout: str


def served(config: Configuration) -> Served:
    """The part of this configuration that clients have to share."""
    return Served(
        lrms=config.lrms.lrms.name,
        default_queue=config.default_queue.name,
        queues=[queue.name for queue in config.queues],
        sessiondirs=[[str(each.path), *(["drain"] if each.drain else [])] for each in config.arex.sessiondir],
        layout=str(config.service.layout),
    )


def differences(config: Configuration, running: Served) -> list[str]:
    """Each option in which a configuration differs from that of a running service, with both values."""
    ours: Mapping[str, object] = {**served(config)}
    labels = {
        "lrms": "lrms",
        "default_queue": "default queue",
        "queues": "queues",
        "sessiondirs": "sessiondir",
        "layout": "layout",
    }
    return [
        f"{labels[name]}: {_shown(ours[name])} instead of {_shown(value)}"
        for name, value in running.items()
        if name in labels and ours[name] != value
    ]


def _shown(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    return ", ".join(" ".join(each) if isinstance(each, list) else str(each) for each in value)


def adopt(config: Configuration, running: Served) -> Configuration:
    """
    The configuration with these facts of the running service.

    A queue that the configuration does not have has no limits here; the service checks them too.
    """
    known = {queue.name: queue for queue in config.queues}
    queues = tuple(known.get(name) or QueueBlock(name=name) for name in running["queues"])
    roots = tuple(SessionDir(path=Path(path), drain=bool(more)) for path, *more in running["sessiondirs"])
    lrms = replace(config.lrms, lrms=LrmsChoice(name=running["lrms"], queue=running["default_queue"]))
    layout = type(config.service.layout)(running["layout"])
    return replace(
        config,
        lrms=lrms,
        queues=queues,
        arex=replace(config.arex, sessiondir=roots),
        service=replace(config.service, layout=layout),
    )


def parse_served(facts: object) -> Served | None:
    """Check what a status file says; None if it is of an older version, or damaged."""
    if not isinstance(facts, dict) or set(facts) != set(Served.__annotations__):
        return None
    try:
        found: Served = json.loads(json.dumps(facts))
        is_sound = (
            all(isinstance(found[name], str) for name in ("lrms", "default_queue", "layout"))
            and all(isinstance(each, str) for each in found["queues"])
            and all(each and all(isinstance(word, str) for word in each) for each in found["sessiondirs"])
        )
    except (TypeError, ValueError):
        return None
    return found if is_sound and found["queues"] and found["sessiondirs"] else None
