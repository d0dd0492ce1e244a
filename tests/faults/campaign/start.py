"""Start a campaign as a separate program, in a separate mount namespace where it needs one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

SECONDS: Final = float(os.environ.get("AREX_CAMPAIGN_S", "1800"))
_CHECKOUT: Final = Path(__file__).resolve().parents[3]


def campaign(what: str, backend: str, place: str, *options: str) -> int:
    """Its exit code; the figures go to our standard output."""
    words = [sys.executable, "-m", "tests.faults.campaign", what, backend, place, *options]
    if "mounts" in options:
        words = ["unshare", "--mount", "--propagation", "private", *words]
    return subprocess.run(words, cwd=_CHECKOUT, check=False).returncode
