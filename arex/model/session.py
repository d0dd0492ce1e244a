"""Names of the siblings of a session directory. This is their only definition."""

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
    """Paths of a session directory and its siblings, which need not exist."""

    path: Path

    @property
    def diag(self) -> Path:
        """Accounting lines of the job script."""
        return self._sibling(DIAG)

    @property
    def comment(self) -> Path:
        """Output of the job script itself."""
        return self._sibling(COMMENT)

    @property
    def lrms(self) -> Path:
        """Run directories of submission attempts, one for each tag."""
        return self._sibling(LRMS)

    @property
    def staging(self) -> Path:
        """Journal and incomplete files of transfers."""
        return self._sibling(STAGING)

    @property
    def evidence(self) -> Path:
        """The latest evidence about the end of the job."""
        return self.lrms / "evidence"

    def _sibling(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)
