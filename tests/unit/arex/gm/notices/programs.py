"""Programs for tests that record what they get."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Keeps its arguments, its input and its environment, each in one file with the number of the run.
_RECORDER = """#!/bin/sh
cd {where} || exit 1
printf '%s\\n' "$@" >new.args
env >new.env
cat >new.input
run=$(ls -d *.input | wc -l)
mv new.args "$run.args"
mv new.env "$run.env"
mv new.input "$run.input"
{then}
"""


@dataclass(frozen=True)
class Recorder:
    """A program, and what its runs have recorded."""

    path: Path
    where: Path

    @property
    def inputs(self) -> list[bytes]:
        return [path.read_bytes() for path in self._files("input")]

    @property
    def arguments(self) -> list[list[str]]:
        return [path.read_text(encoding="utf-8").splitlines() for path in self._files("args")]

    @property
    def environments(self) -> list[dict[str, str]]:
        texts = [path.read_text(encoding="utf-8").splitlines() for path in self._files("env")]
        return [dict(line.split("=", 1) for line in text if "=" in line) for text in texts]

    @property
    def documents(self) -> list[Any]:
        return [json.loads(data) for data in self.inputs]

    def _files(self, suffix: str) -> list[Path]:
        numbered = [path for path in self.where.glob(f"*.{suffix}") if path.stem.isdigit()]
        return sorted(numbered, key=lambda path: int(path.stem))

    def then(self, command: str) -> None:
        """What the program does after it has recorded its input."""
        self.path.write_text(_RECORDER.format(where=self.where, then=command), encoding="utf-8")


def recorder(directory: Path, name: str = "sendmail", then: str = "exit 0") -> Recorder:
    """Only runs one after the other are numbered."""
    where = directory / f"{name}.runs"
    where.mkdir()
    made = Recorder(directory / name, where)
    made.then(then)
    made.path.chmod(0o755)
    return made
