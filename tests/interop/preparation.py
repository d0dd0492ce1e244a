"""Install what the tests with programs of ARC need. A missing piece is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.interop.grid import PLACE, Account

_TOOLS: Final = Path(__file__).parents[2] / "tools"


def prepare() -> Account:
    """Install what is missing, and say who the user is. Source: tools/interop-setup.sh."""
    return Account.named(_set_up("interop-setup.sh", sys.prefix, PLACE).split()[-1])


def prepare_arc7() -> str:
    """The same for ARC 7; its version. Source: tools/interop-arc7.sh."""
    return _set_up("interop-arc7.sh", PLACE).split()[-1]


def _set_up(script: str, *argv: str | Path) -> str:
    environ = {**os.environ, "HOME": os.environ["AREX_CALLER_HOME"]}
    done = subprocess.run(["sh", _TOOLS / script, *argv], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"tools/{script} failed:\n{done.stdout}{done.stderr}"
    return done.stdout
