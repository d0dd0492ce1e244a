"""Finding the class behind a backend's name: our table first, then what other packages have registered."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import Protocol, cast

from arex.config.model import Configuration
from arex.errors import ConfigError, Fault
from arex.ports import Backend


class BackendClass(Protocol):
    """What stands behind a name."""

    @classmethod
    def from_config(cls, config: Configuration) -> Backend: ...


def backend_class(name: str, table: Mapping[str, str], group: str, scripts: str | None = None) -> BackendClass:
    """
    The class that the table or an entry point names; ``scripts`` takes what neither does, and ``arc-...`` always.

    Raises:
        ConfigError: neither knows the name.
    """
    if (place := table.get(name.lower())) is not None:
        return cast(BackendClass, resolve_name(place))
    others = entry_points(group=group)
    if name in others.names:
        return cast(BackendClass, others[name].load())
    if scripts is not None:
        return cast(BackendClass, resolve_name(scripts))
    known = sorted({*table, *others.names})
    near = difflib.get_close_matches(name, known, n=1)
    cure = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    if name.startswith("arc-"):
        cure = "set arc_scripts in [arex/service] to the directory of submit-X-job, scan-X-job and cancel-X-job"
    raise ConfigError([Fault(f"there is no backend named {name!r}", option="[lrms] lrms", cure=cure)])
