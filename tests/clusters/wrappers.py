"""
Programs in front of real ones, that go wrong on request: before or after the real one has done its work.

Faults are lines ``COMMAND KIND TIMES`` in a file; TIMES is a number, ``always``, or a share such as ``5%``.
"""

from __future__ import annotations

import fcntl
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_WRAPPER: Final = Path(__file__).with_name("wrapper.py")


class Wrappers:
    """A directory of programs, each standing for the real one of its name."""

    def __init__(self, root: Path, programs: Mapping[str, Path]) -> None:
        self.bin: Final = root
        root.mkdir(parents=True)
        for name, real in programs.items():
            words = (sys.executable, "-S", "-I", str(_WRAPPER), str(root), name, str(real))
            program = root / name
            program.write_text("#!/bin/sh\nexec " + " ".join(f"'{each}'" for each in words) + ' "$@"\n')
            program.chmod(0o755)

    def fault(self, command: str, kind: str, times: int | str = 1) -> None:
        """``fail-before fail-after hang hang-after garbage truncate late down limit``; ``*`` is any command."""
        with open(self.bin / "faults", "a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(f"{command} {kind} {times}\n")

    def mend(self) -> None:
        """No more faults."""
        with open(self.bin / "faults", "a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)

    def calls(self) -> Mapping[str, int]:
        """How often each was called."""
        path = self.bin / "calls"
        return Counter(path.read_text().split()) if path.exists() else {}

    def faults(self) -> Mapping[str, int]:
        """How often each kind of fault came true: ``sbatch:hang-after``."""
        path = self.bin / "came-true"
        return Counter(path.read_text().split()) if path.exists() else {}
