"""What there is and how it is used, as rows for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from arex.rte.catalog import DEFAULT, DUMMY, ENABLED, Catalog, Linked
from arex.rte.params import description


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A script by one of its names."""

    name: str
    path: Path
    #: first ``system``, ``user``, ``dummy``, ``broken`` or ``other``; then ``masked``, ``enabled``, ``default``,
    #: ``disabled``, ``available``
    kinds: tuple[str, ...]
    description: str


def rows(catalog: Catalog) -> list[Row]:
    """Everything that can be enabled, then links to what is in no directory that we know."""
    places = {place: catalog.linked(place) for place in (ENABLED, DEFAULT)}
    user = catalog.user()
    found = [_row(name, path, "system", places, masked=name in user) for name, path in sorted(catalog.system().items())]
    found += [_row(name, path, "user", places) for name, path in sorted(user.items())]
    seen = {(row.name, row.path) for row in found}
    for linked in places.values():
        for name, one in linked.items():
            if (name, one.target) not in seen:
                seen.add((name, one.target))
                kind = "dummy" if one.dummy else "broken" if one.broken else "other"
                found.append(_row(name, one.target, kind, places))
    return found


def _row(name: str, path: Path, kind: str, places: Mapping[str, Mapping[str, Linked]], *, masked: bool = False) -> Row:
    used = [place for place, linked in places.items() if name in linked and linked[name].target == path]
    known = kind in {"system", "user"}
    kinds = (kind, *(["masked"] if masked else []), *(used or (["disabled"] if known else [])))
    return Row(name=name, path=path, kinds=(*kinds, "available") if known else kinds, description=about(path))


def about(path: Path) -> str:
    """A script's own line about itself; empty if it has none or cannot be read."""
    if path == DUMMY:
        return "no script: a name that is published"
    try:
        return description(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
