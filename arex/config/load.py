"""
Find, read and check the configuration for this machine and user. All faults are reported together.

Without a file, all directories are in the user's home (XDG directories), and jobs run on this machine, in a queue named
``fork``. With a file, ARC's defaults apply. For users other than root there is an exception, since they cannot write to
``/var/spool/arc``: paths that the file does not set are in the home directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from arex.config import arcconf
from arex.config.arcconf import Section
from arex.config.build import Builder
from arex.config.discover import SYSTEM, Places, find, own_paths, places, read
from arex.config.model import Configuration
from arex.errors import ConfigError, Fault

#: Directory options; an ordinary user gets a warning if a file written for ARC does not set them.
_TOLD: Final = ("controldir", "sessiondir")


def load(
    path: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    uid: int | None = None,
    system: Path = SYSTEM,
) -> tuple[Configuration, list[Fault]]:
    """
    Find and read the configuration; also returns warnings about options that have no effect or look wrong.

    Args:
        path: the file; None searches, see ``discover.find``.
        environ: environment; HOME, ARC_CONFIG, ARC_LOCATION, XDG_CONFIG_HOME, XDG_DATA_HOME and XDG_STATE_HOME are
            used.
        uid: the user whose defaults apply; None is the user of this process.
        system: the file of the machine, which is searched last.

    Raises:
        ConfigError: lists all faults of the file.
    """
    loaded = _load(path, environ, uid, system)
    if loaded.faults:
        raise ConfigError(loaded.faults)
    return loaded.config, loaded.warnings


def load_despite_faults(
    path: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    uid: int | None = None,
    system: Path = SYSTEM,
) -> tuple[Configuration, list[Fault], list[Fault]]:
    """
    As ``load``, for commands that need little more than the directories; returns faults beside warnings.

    Raises:
        ConfigError: the file cannot be read, or its faults may hide which control directory is meant.
    """
    loaded = _load(path, environ, uid, system)
    if any(_is_about_directories(fault, loaded.given) for fault in loaded.faults):
        raise ConfigError(loaded.faults)
    return loaded.config, loaded.warnings, loaded.faults


class _Loaded(NamedTuple):
    config: Configuration  #: if there are faults, of the valid options
    warnings: list[Fault]
    faults: list[Fault]  #: in the order of lines
    given: set[tuple[str, str]]  #: blocks and options that the file sets


def _is_about_directories(fault: Fault, given: set[tuple[str, str]]) -> bool:
    """Whether the fault is in an option for a directory, or in a line that may have been meant as one."""
    where = fault.option or ""
    if any(option in f"{where} {fault.cure}" for option in _TOLD):
        return True
    is_open = any(("arex", option) not in given for option in _TOLD)
    return is_open and (not where.startswith("[") or where == "[arex]" or "[arex]" in fault.cure)


def _load(path: Path | None, environ: Mapping[str, str], uid: int | None, system: Path) -> _Loaded:
    at = places(environ)
    file = find(path, environ, system)
    if file is None:
        defaults = Configuration(arex=replace(Configuration().arex, **_paths(at, set())))
        return _Loaded(_named(defaults, given=False), [], [], set())
    sections, faults = _parse(file)
    builder = Builder(file, at.home)
    config = builder.build(sections)
    faults = sorted((*faults, *builder.faults), key=lambda fault: fault.line or 0)
    config = _named(config, given=("common", "hostname") in builder.given)
    if (os.geteuid() if uid is None else uid) == 0:
        return _Loaded(config, builder.warnings, faults, builder.given)
    named = {option for block, option in builder.given if block == "arex"}
    config = replace(config, arex=replace(config.arex, **_paths(at, named)))
    return _Loaded(config, [*builder.warnings, *_told(config, named)], faults, builder.given)


def _parse(file: Path) -> tuple[list[Section], list[Fault]]:
    text = arcconf.decode(read(file))
    if file.suffix not in {".yaml", ".yml"}:
        return arcconf.parse(text, file)
    from arex.config import yamlconf  # noqa: PLC0415  (pyyaml takes longer to import than everything else here)

    return yamlconf.parse(text, file)


def _paths(at: Places, named: set[str]) -> dict[str, Any]:
    return {option: value for option, value in own_paths(at).items() if option not in named}


def _named(config: Configuration, *, given: bool) -> Configuration:
    """Use the name of this machine unless the file sets one; does not query a name service."""
    return config if given else replace(config, common=replace(config.common, hostname=os.uname().nodename))


def _told(config: Configuration, named: set[str]) -> list[Fault]:
    """Warn about default directories, unless the file has an [arex/service] block and so was written for arex."""
    missing = [option for option in _TOLD if option not in named]
    if not missing or "arex/service" in config.headers:
        return []
    where = {"controldir": config.arex.controldir, "sessiondir": config.arex.sessiondir[0].path}
    what = "; ".join(f"{option} is {where[option]}" for option in missing)
    return [Fault(f"not set, so arex uses directories in your home: {what}", config.source, None, "[arex]")]
