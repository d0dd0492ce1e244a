"""The names beside a session directory; every part of the service that knows one of them has it from here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

DIAG: Final = ".diag"
COMMENT: Final = ".comment"
LRMS: Final = ".lrms"
STAGING: Final = ".staging"


@dataclass(frozen=True, slots=True)
class SessionPaths:
    """A session directory and its siblings; where they are, not whether."""

    path: Path

    @property
    def diag(self) -> Path:
        """Accounting lines of the job script."""
        return self._sibling(DIAG)

    @property
    def comment(self) -> Path:
        """What the job script itself prints."""
        return self._sibling(COMMENT)

    @property
    def lrms(self) -> Path:
        """Run directories of submission attempts, one for each tag."""
        return self._sibling(LRMS)

    @property
    def staging(self) -> Path:
        """Journal and unfinished files of its transfers."""
        return self._sibling(STAGING)

    @property
    def evidence(self) -> Path:
        """What the batch system, the job script and the files said of the job last."""
        return self.lrms / "evidence"

    def _sibling(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)
