"""
The part of a job script that runs where the session directory is not visible: the batch system brings the files and
takes them back.

What it finds in its own directory on the node: ``session``, the files; ``links``, shell commands that create the
symbolic links again; ``back``, empty. What it leaves there in ``back``: start marker, completion record and accounting
lines as in any run directory; ``session``, directories and files only; ``links``, names and targets, each followed by
a NUL; ``sent``, how many entries and bytes that session has, written last. A transfer of a directory accepts any name;
one of a list of names does not.
"""

from __future__ import annotations

import shlex
from typing import Final

from arex.model.grami import Grami
from lrms.jobscript.template import part

#: What the batch system is to take back to the run directory.
BACK: Final = "back"
#: Seconds that a payload has between TERM and KILL when its wall time is over.
LATE_S: Final = 30


def paths(grami: Grami, localid_words: str) -> str:
    """In place of the session directory, its copy; everything else that the script writes is in ``back``."""
    return part("sandbox_paths", DIRECTORY=shlex.quote(str(grami.directory)), LOCALID=localid_words)


def begin(grami: Grami) -> str:
    """After the start marker: the links, and the way back, which everything that ends the script takes."""
    return part("sandbox", WALLTIME="" if grami.walltime_s is None else str(grami.walltime_s))


def watch() -> str:
    """While the payload runs: its wall time."""
    return part("sandbox_watch", LATE=str(LATE_S))


def watch_end() -> str:
    return part("sandbox_watch_end")
