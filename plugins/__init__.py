"""How jobs come in: submitters, by the names that clients and configurations give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from arex.config.model import Configuration

#: Name to ``module:Class``; imported when asked for. The first is ours, the others are what ARC calls it.
SUBMITTERS: Final[Mapping[str, str]] = dict.fromkeys(
    ("local", "org.nordugrid.local", "org.nordugrid.internal", "internal"), "plugins.local:LocalPlugin"
)
#: Entry points of other packages, for names that are not in the table.
GROUP: Final = "arex.plugins"


def load(name: str, config: Configuration) -> Any:  # noqa: ANN401 - what a foreign class is, its caller knows
    """
    The submitter of this name, made from the configuration by its class's ``from_config``.

    Raises:
        ConfigError: nobody has a submitter of this name; the nearest name is suggested.
    """
    from importlib import import_module  # noqa: PLC0415 - clients start often and mostly know their class

    if name.lower() in SUBMITTERS:
        module, _, attribute = SUBMITTERS[name.lower()].partition(":")
        return getattr(import_module(module), attribute).from_config(config)
    return _foreign(name).from_config(config)


def _foreign(name: str) -> Any:  # noqa: ANN401 - as above
    import difflib  # noqa: PLC0415 - for names that are not in the table only
    from importlib.metadata import entry_points  # noqa: PLC0415

    from arex.errors import ConfigError, Fault  # noqa: PLC0415

    others = entry_points(group=GROUP)
    if name in others.names:
        return others[name].load()
    known = sorted({*SUBMITTERS, *others.names})
    near = difflib.get_close_matches(name, known, n=1)
    cure = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    raise ConfigError([Fault(f"there is no submitter named {name!r}", cure=cure)])
