"""
Configuration files for ARC's own programs: the pre-processed ``.cfg`` beside the pidfile, which is a small arc.conf.

ARC's clients read ``[arex]``, ``[lrms]``, ``[queue:*]`` and ``[arex/ws/jobs]``. ARC's batch system scripts read
``[common]``, ``[arex]``, ``[lrms]`` and ``[queue:*]``. They expect no blanks around the equals sign, no macros, and all
defaults written out.
Source: ARC 6.17.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from arex.config.arc_options import DEFAULTS, INHERITED
from arex.config.codec import write
from arex.config.model import Configuration
from arex.config.record import Record
from arex.config.show import blocks, lines, pairs

#: Blocks that are always written; other blocks are written only if the site's file has them.
_ALWAYS: Final = frozenset({"common", "lrms", "arex", "arex/ws/jobs", "queue"})
_OURS: Final = "arex/service"


def cfg_path(pidfile: Path) -> Path:
    """Path where clients look for the pre-processed file: the pidfile with the extension ``.cfg``."""
    return pidfile.with_suffix(".cfg")


def runtime_cfg(config: Configuration) -> str:
    """
    Content of the pre-processed file.

    It contains the site's whole configuration, including passwords of batch systems, so only its owner may read it.
    """
    text: list[str] = []
    for header, block in blocks(config):
        kind = header.partition(":")[0]
        if kind != _OURS and (kind in _ALWAYS or header in config.headers):
            text += lines(header, _complete(config, kind, block))
    return "\n".join(text)


def _complete(config: Configuration, kind: str, block: Record) -> list[tuple[str, str]]:
    """The options of a block, including all defaults that ARC would add."""
    given = pairs(block, lambda _: True)
    names = {name for name, _ in given}
    extra = [*_defaults(config, kind), *(_inherited(config) if kind == "queue" else ())]
    return [*given, *((name, value) for name, value in extra if name not in names)]


def _defaults(config: Configuration, kind: str) -> Iterator[tuple[str, str]]:
    words = {
        "hostname": config.common.hostname,
        "controldir": str(config.arex.controldir),
        "loglevel": write(config.arex.loglevel),
    }
    return ((name, text.format_map(words)) for name, text in DEFAULTS.get(kind, {}).items())


def _inherited(config: Configuration) -> Iterator[tuple[str, str]]:
    cluster = _complete(config, "infosys/cluster", config.cluster)
    return ((name, value) for name, value in cluster if name in INHERITED)
