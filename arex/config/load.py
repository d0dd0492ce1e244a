"""
The configuration of this machine and user: found, read, checked; all faults are reported together.

Which defaults hold. Without any file everything lies in the user's home (XDG directories) and jobs run on this
machine, in one queue named ``fork``. With a file ARC's defaults hold, except that an ordinary user, who can't write to
``/var/spool/arc``, gets the home directories for every path that the file does not name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from arex.config import arcconf
from arex.config.arcconf import Section
from arex.config.build import Builder
from arex.config.discover import SYSTEM, Places, find, own_paths, places, read
from arex.config.model import Configuration
from arex.errors import ConfigError, Fault

#: Directories of jobs: an ordinary user gets a warning if a file of ARC does not set them.
_TOLD: Final = ("controldir", "sessiondir")


def load(
    path: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    uid: int | None = None,
    system: Path = SYSTEM,
) -> tuple[Configuration, list[Fault]]:
    """
    Find and read the configuration; the second part are warnings: what has no effect or looks odd.

    Args:
        path: the file; None searches, see ``discover.find``.
        environ: HOME, ARC_CONFIG, ARC_LOCATION, XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME count.
        uid: whose defaults hold; None is the user of this process.
        system: the machine's own file, last to be looked for.

    Raises:
        ConfigError: with every fault of the file.
    """
    at = places(environ)
    file = find(path, environ, system)
    if file is None:
        return _named(Configuration(arex=replace(Configuration().arex, **_paths(at, set()))), given=False), []
    sections, faults = _parse(file)
    builder = Builder(file, at.home)
    config = builder.build(sections)
    if faults or builder.faults:
        raise ConfigError(sorted((*faults, *builder.faults), key=lambda fault: fault.line or 0))
    config = _named(config, given=("common", "hostname") in builder.given)
    if (os.geteuid() if uid is None else uid) == 0:
        return config, builder.warnings
    named = {option for block, option in builder.given if block == "arex"}
    config = replace(config, arex=replace(config.arex, **_paths(at, named)))
    return config, [*builder.warnings, *_told(config, named)]


def _parse(file: Path) -> tuple[list[Section], list[Fault]]:
    text = arcconf.decode(read(file))
    if file.suffix not in {".yaml", ".yml"}:
        return arcconf.parse(text, file)
    from arex.config import yamlconf  # noqa: PLC0415  (pyyaml takes longer to import than everything else here)

    return yamlconf.parse(text, file)


def _paths(at: Places, named: set[str]) -> dict[str, Any]:
    return {option: value for option, value in own_paths(at).items() if option not in named}


def _named(config: Configuration, *, given: bool) -> Configuration:
    """With the name of this machine, unless the file gives one. No name service is asked."""
    return config if given else replace(config, common=replace(config.common, hostname=os.uname().nodename))


def _told(config: Configuration, named: set[str]) -> list[Fault]:
    """A file with an [arex/service] block is written for arex and its author knows our defaults."""
    missing = [option for option in _TOLD if option not in named]
    if not missing or "arex/service" in config.headers:
        return []
    where = {"controldir": config.arex.controldir, "sessiondir": config.arex.sessiondir[0].path}
    what = "; ".join(f"{option} is {where[option]}" for option in missing)
    return [Fault(f"options not set, using the defaults of an ordinary user: {what}", config.source, None, "[arex]")]
