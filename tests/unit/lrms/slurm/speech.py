"""SLURM, spoken: a dialect, and lines of squeue."""

from __future__ import annotations

import shlex
from typing import Any, Final

from arex.process import Completed
from lrms.slurm.answers import FIELDS
from lrms.slurm.dialect import SlurmDialect, SlurmOptions
from tests import environments
from tests.unit.lrms import samples

DATA: Final = environments.DATA / "slurm-22.05.8"


def recorded(name: str) -> Completed:
    return samples.recorded(f"slurm-22.05.8/{name}")


def dialect(**options: Any) -> SlurmDialect:
    return SlurmDialect(SlurmOptions(**options))


def sbatch_words(text: str) -> list[str]:
    """The arguments that sbatch takes from a line: a backslash escapes in both kinds of quotes. Source: SLURM 22.05."""
    words = shlex.shlex(text, posix=True, punctuation_chars=False)
    words.whitespace_split, words.escapedquotes = True, "\"'"
    return list(words)


def line(**fields: str) -> str:
    """One line of squeue's, as it is asked for."""
    names = ("id", "array", "index", "state", "code", "reason", "nodes", "start", "end", "cluster", "comment")
    usual = {"id": "7", "array": fields.get("id", "7"), "index": "N/A", "state": "RUNNING", "code": "0"}
    usual |= {"reason": "None", "nodes": "", "start": "N/A", "end": "NONE", "cluster": "arex", "comment": "(null)"}
    values = zip(names, FIELDS, strict=True)
    return "".join(f"{(usual | fields)[name]:<{width}.{width}}|" for name, (_, width) in values) + "\n"
