"""Whether this user can use the directories of a configuration, and what to say if not."""

from __future__ import annotations

import os
from pathlib import Path

from arex.config.model import Configuration
from arex.errors import ServiceError


def is_usable(config: Configuration, *, writing: bool = False) -> bool:
    """Whether the control directory can be read (or created, for ``writing``); one that does not exist can be read."""
    path = config.arex.controldir
    try:
        os.stat(path)  # noqa: PTH116 - Path has no way to tell EACCES from ENOENT as cheaply
    except FileNotFoundError:
        return not writing or os.access(_nearest(path), os.W_OK | os.X_OK)
    except OSError:
        return False
    return os.access(path, os.R_OK | os.X_OK | (os.W_OK if writing else 0))


def _nearest(path: Path) -> Path:
    return next((each for each in path.parents if os.path.lexists(each)), Path("/"))


def refusal(config: Configuration, *, is_named: bool) -> ServiceError:
    """The error about a control directory that this user cannot use."""
    path = config.arex.controldir
    verb = "use" if os.path.lexists(path) or not os.access(_nearest(path), os.X_OK) else "create"
    return ServiceError(f"cannot {verb} the control directory {path}: permission denied{origin(config, is_named)}")


def origin(config: Configuration, is_named: bool) -> str:
    """Where a path comes from, if the user did not name the file."""
    if is_named or config.source is None:
        return ""
    return f" (from {config.source}; 'arex init' writes a configuration of yours)"
