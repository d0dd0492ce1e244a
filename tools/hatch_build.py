"""What building a wheel adds to the files of the checkout: the manual pages, which are made from the commands."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPages(BuildHookInterface):  # type: ignore[type-arg]
    """Put ``share/man/man1`` into wheels, where ``man`` finds it beside the ``bin`` of a virtual environment."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        del version
        sys.path.insert(0, self.root)
        from tools.gen_man import write  # noqa: PLC0415 - once the checkout can be imported

        self._pages = tempfile.TemporaryDirectory(prefix="arex-man-")
        for page in write(Path(self._pages.name)):
            build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        del version, build_data, artifact_path
        self._pages.cleanup()
