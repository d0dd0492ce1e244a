"""Throw-away virtual environments, made without a network: our own dependencies are lent to them."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
#: Recorded files and outputs.
DATA: Final = ROOT / "tests" / "data"


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with what the tests run on, and nothing of arex unless it is installed."""

    path: Path

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    @property
    def site(self) -> Path:
        return next((self.path / "lib").glob("python3*/site-packages"))

    def install(self, what: Path) -> None:
        """A wheel, or a project that its build backend makes one of."""
        quiet = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation")
        run(sys.executable, "-m", "pip", "--python", str(self.python), "install", *quiet, str(what))

    def run(self, *argv: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Python with these arguments; any exit code is an answer."""
        return subprocess.run(
            [str(self.python), *argv],
            cwd=cwd,
            env={"PATH": os.environ["PATH"], "HOME": str(self.path), "LC_ALL": "C.UTF-8", **(env or {})},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


def make(path: Path) -> Environment:
    """An empty environment that sees our dependencies, but neither our checkout nor its editable installation."""
    venv.create(path, with_pip=False, symlinks=True)
    environment = Environment(path)
    # a directory in a .pth file is no site directory: the .pth file of our editable installation is not read there
    (environment.site / "lent.pth").write_text("".join(f"{each}\n" for each in _lenders()))
    return environment


def _lenders() -> list[str]:
    return [each for each in sys.path if each.endswith("site-packages")]


def run(*argv: str, cwd: Path = ROOT) -> str:
    """What a program prints; it must end well."""
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
