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
    #: first ``system``, ``user``, ``dummy``, ``broken`` or ``other``; then ``masked``, ``dummy``, ``broken``,
    #: ``enabled``, ``default``, ``disabled``, ``available``
    kinds: tuple[str, ...]
    description: str


def rows(catalog: Catalog) -> list[Row]:
    """
    One row for each script that can be enabled, then one for each linked name that is in no directory that we know.

    A link from the name of a script to another one that is in none of these directories, such as ARC's script of the
    same name, counts as a link to the script, and the row has the path of the other.
    """
    places = {place: catalog.linked(place) for place in (ENABLED, DEFAULT)}
    system, user = catalog.system(), catalog.user()
    found = []
    for kind, scripts in (("system", system), ("user", user)):
        for name, path in sorted(scripts.items()):
            links = _links(places, name)
            if kind == "system" and name in user:
                used = {place: one for place, one in links.items() if one.target == path}
                found.append(_available(name, path, (kind, "masked"), used))
            else:
                used = {
                    place: one for place, one in links.items() if kind == "system" or one.target != system.get(name)
                }
                found.append(_available(name, path, (kind,), used))
    for name in dict.fromkeys(name for linked in places.values() for name in linked):
        if name not in system and name not in user:
            links = _links(places, name)
            first = next(iter(links.values()))
            found.append(_row(name, first.target, (_fault(first) or "other", *links)))
    return found


def _links(places: Mapping[str, Mapping[str, Linked]], name: str) -> dict[str, Linked]:
    return {place: linked[name] for place, linked in places.items() if name in linked}


def _available(name: str, path: Path, kinds: tuple[str, ...], links: Mapping[str, Linked]) -> Row:
    elsewhere = next((one for one in links.values() if one.target != path), None)
    if elsewhere is not None:
        path = elsewhere.target
        kinds = (*kinds, *filter(None, [_fault(elsewhere)]))
    return _row(name, path, (*kinds, *(links or ["disabled"]), "available"))


def _fault(link: Linked) -> str:
    """What keeps a link from being that of a script; empty: nothing."""
    return "dummy" if link.dummy else "broken" if link.broken else ""


def _row(name: str, path: Path, kinds: tuple[str, ...]) -> Row:
    return Row(name=name, path=path, kinds=kinds, description=about(path))


def about(path: Path) -> str:
    """A script's own line about itself; empty if it has none or cannot be read."""
    if path == DUMMY:
        return "no script: a name that is published"
    try:
        return description(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
