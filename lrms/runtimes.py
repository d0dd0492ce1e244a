"""
Runtime environments as a job script embeds them, read from ``CONTROLDIR/rte``.

Source: spec of the control directory (ARC 6.17), section on RTEs: enabled wins over default, every default
environment is added to every job, parameters are shell assignments in a file of the same name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from arex.errors import SubmitRejected
from arex.model.grami import Grami, RunTime
from lrms.script import RuntimeScript


def load_runtimes(grami: Grami) -> tuple[RuntimeScript, ...]:
    """
    What the job asked for, in its order, then the site's defaults.

    Raises:
        SubmitRejected: one of them is not installed here.
    """
    root = grami.controldir / "rte"
    asked = {each.name for each in grami.runtimes}
    defaults = tuple(RunTime(name=name) for name in sorted(_names(root / "default")) if name not in asked)
    return tuple(_load(root, each) for each in (*grami.runtimes, *defaults))


def _names(directory: Path) -> Iterator[str]:
    """Every environment below a directory; names may contain slashes."""
    for folder, _, files in os.walk(directory):
        for file in files:
            yield str((Path(folder) / file).relative_to(directory))


def _load(root: Path, runtime: RunTime) -> RuntimeScript:
    body = None
    if _is_inside(runtime.name):
        body = _text(root / "enabled" / runtime.name)
        body = _text(root / "default" / runtime.name) if body is None else body
    if body is None:
        raise SubmitRejected(f"Requested RunTimeEnvironment {runtime.name} is missing, broken or not enabled.")
    params = _text(root / "params" / runtime.name) or ""
    return RuntimeScript(name=runtime.name, options=runtime.options, params=params, body=body)


def _is_inside(name: str) -> bool:
    return bool(name) and not name.startswith("/") and ".." not in PurePosixPath(name).parts


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode(errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
