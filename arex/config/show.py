"""Format the configuration as arc.conf or as a dictionary for JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Final

from arex.config.codec import write, write_all
from arex.config.model import Configuration, ForeignBlock, RuleBlock
from arex.config.record import Option, Record, options
from arex.config.values import Pairs

_SECRET: Final = frozenset({"boinc_db_pass"})
_HIDDEN: Final = "(hidden)"
#: Options that are always shown, because their defaults depend on the machine, the user and the file.
_VARYING: Final = frozenset({"hostname", "controldir", "sessiondir", "pidfile", "logfile", "joblog"})


def blocks(config: Configuration) -> Iterator[tuple[str, Record]]:
    """All blocks with their headers, in ARC's order: rules come before the blocks that use them."""
    yield "common", config.common
    yield from ((f"authgroup:{group.name}", group) for group in config.authgroups)
    yield "mapping", config.mapping
    yield "lrms", config.lrms
    yield "arex", config.arex
    yield "arex/cache", config.cache
    yield "arex/cache/cleaner", config.cleaner
    yield "arex/data-staging", config.staging
    yield "arex/service", config.service
    yield "arex/ws/jobs", config.ws_jobs
    yield from ((block.header, block) for block in config.foreign)
    yield "infosys/glue2", config.glue2
    yield "infosys/cluster", config.cluster
    yield from ((f"queue:{queue.name}", queue) for queue in config.queues)


def pairs(block: Record, wanted: Callable[[Option], bool]) -> list[tuple[str, str]]:
    """Options of a block and their values: those that differ from their defaults, and those that ``wanted`` selects."""
    if isinstance(block, ForeignBlock):
        return list(block.options)
    if isinstance(block, RuleBlock):
        return list(block.rules)
    found: list[tuple[str, str]] = []
    for about in options(type(block)):
        value = getattr(block, about.name)
        if value != about.default or (wanted(about) and value not in {None, ""}):
            found.extend((about.name, text) for text in write_all(value))
    other: Pairs = getattr(block, "other", ())
    return [*found, *other]


def lines(header: str, values: Iterable[tuple[str, str]]) -> list[str]:
    """The lines of a block, followed by an empty line."""
    return [f"[{header}]", *(f"{name}={value}" for name, value in values), ""]


def show(config: Configuration, *, defaults: bool = False) -> str:
    """
    The configuration as arc.conf that gives the same configuration when loaded, except for hidden passwords.

    It contains options that differ from their defaults, the name of the machine, and the paths. With ``defaults``, it
    also contains the other options that have an effect.
    """
    text: list[str] = []
    for header, block in blocks(config):
        found = pairs(block, lambda o: (defaults and o.honoured) or o.name in _VARYING)
        values = [(name, _shown(name, value)) for name, value in found]
        if values or header in config.headers or header.startswith("queue:"):
            text += lines(header, values)
    return "\n".join(text)


def as_dict(config: Configuration) -> dict[str, object]:
    """
    The complete configuration for JSON: ``source``, and ``blocks`` by header.

    Times are numbers of seconds, yes and no are booleans, and repeated options are lists.
    """
    found: dict[str, dict[str, object]] = {}
    for header, block in blocks(config):
        values = {about.name: _plain(getattr(block, about.name)) for about in options(type(block))}
        values |= _grouped((name, value) for name, value in pairs(block, lambda _: False) if name not in values)
        if values or header in config.headers:
            found[header] = values
    return {"source": None if config.source is None else str(config.source), "blocks": found}


def _shown(name: str, value: str) -> str:
    return _HIDDEN if name in _SECRET else value


def _grouped(given: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Text options by name: a value, or a list of values for a repeated option."""
    several: dict[str, list[object]] = {}
    for name, value in given:
        several.setdefault(name, []).append(_shown(name, value))
    return {name: values[0] if len(values) == 1 else values for name, values in several.items()}


def _plain(value: object) -> object:
    match value:
        case None | bool():
            return value
        case int():
            return int(value)
        case timedelta():
            return int(value.total_seconds())
        case tuple():
            return [_plain(each) for each in value]
        case _:
            return write(value)
