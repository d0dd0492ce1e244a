"""Directory trees that a service changes while a test looks at them."""

from __future__ import annotations

import os
from pathlib import Path


def everything_below(root: Path) -> list[Path]:
    """All files and directories; ``Path.rglob`` raises if a directory is removed while it walks."""
    return [Path(top) / name for top, directories, files in os.walk(root) for name in (*directories, *files)]
