"""
What the shell offers after the Tab key: jobs, states, queues, log levels, languages, configuration options.

Shells have no place for errors, so a list or a configuration that cannot be read offers nothing. Modules are imported
inside the functions: only completion needs them, and clients must start quickly.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from arex.errors import ArexError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: Offers values, each with a description that zsh and fish show.
Offer = Callable[[click.Context, str], Iterable[tuple[str, str]]]
Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]
#: Names that shells take as one word without quotes. In bash, a colon, = and @ separate words.
_PLAIN: Final = re.compile(r"[\w.+][\w.+-]*")
#: ARC's levels of messages, the most important first.
LEVELS: Final = ("FATAL", "ERROR", "WARNING", "INFO", "VERBOSE", "DEBUG")


def _completing(offer: Offer, *, any_case: bool = False) -> Complete:
    """``any_case``: the command takes these values in upper or lower case."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415

        typed = incomplete.lower() if any_case else incomplete
        with contextlib.suppress(ArexError, OSError):
            return [
                CompletionItem(value, help=about or None)
                for value, about in offer(ctx, incomplete)
                if (value.lower() if any_case else value).startswith(typed)
            ]
        return []

    return complete


def _jobs(ctx: click.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """The name of each job if no other job has it, otherwise the id; ids and URLs also once they are begun."""
    from arex.userjobs.joblist import JobList, default_path  # noqa: PLC0415

    rows = JobList(Path(ctx.params.get("joblist") or default_path())).all()
    named = Counter(row["name"] for row in rows)
    for row in rows:
        name, job = row["name"], row["idfromendpoint"]
        is_name = named[name] == 1 and _PLAIN.fullmatch(name) is not None
        if is_name:
            yield name, job
        if incomplete or not is_name:
            yield job, name if name.isprintable() else ""
        if incomplete.startswith("f"):
            yield row["id"], name if name.isprintable() else ""


def _states(_: click.Context, __: str) -> Iterator[tuple[str, str]]:
    from plugins.local.status import ClientState  # noqa: PLC0415

    yield from ((str(state), "") for state in ClientState)


def _queues(ctx: click.Context, _: str) -> Iterator[tuple[str, str]]:
    from arex.config.load import load  # noqa: PLC0415

    yield from ((queue.name, "") for queue in load(ctx.params.get("config"))[0].queues)


def _levels(_: click.Context, __: str) -> Iterator[tuple[str, str]]:
    yield from ((level, "") for level in LEVELS)


def _languages(_: click.Context, __: str) -> Iterator[tuple[str, str]]:
    from arex.jobdesc.client.convert import Language  # noqa: PLC0415

    yield from ((language.short, language.word) for language in Language)


def _config_options(_: click.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Names of options; with the block before them once a dot is typed."""
    from arex.config.arc_options import kinds, names, typed  # noqa: PLC0415

    block, dot, _option = incomplete.rpartition(".")
    for kind in [block] if dot else kinds():
        about = typed(kind)
        prefix = f"{kind}." if dot else ""
        yield from ((f"{prefix}{name}", about[name].doc if name in about else "") for name in names(kind))


def _once(offer: Offer) -> Offer:
    """The same option is in several blocks."""
    return lambda ctx, incomplete: dict(offer(ctx, incomplete)).items()


job: Final = _completing(_jobs)
state: Final = _completing(_states, any_case=True)
queue: Final = _completing(_queues)
level: Final = _completing(_levels, any_case=True)
language: Final = _completing(_languages, any_case=True)
config_option: Final = _completing(_once(_config_options))
