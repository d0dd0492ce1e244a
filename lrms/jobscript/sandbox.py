"""
The part of a job script for nodes that do not see the session directory: the batch system transfers the files there and
back.

The script's directory on the node contains ``session``, the files; ``links``, shell commands that create the symbolic
links again; ``back``, which is empty. The script leaves in ``back``: start marker, completion record and accounting
lines as in any run directory; ``session``, only directories and files; ``links``, names and targets, each followed by
a NUL; ``sent``, the numbers of entries and bytes of that session, written last. A transfer of a directory accepts any
name; one of a list of names does not.
"""

from __future__ import annotations

from typing import Final

from arex.model.grami import Grami
from lrms.jobscript.quoting import quoted
from lrms.jobscript.template import part

#: What the batch system transfers back to the run directory.
BACK: Final = "back"
#: Seconds that a payload has between TERM and KILL when its wall time is over.
LATE_S: Final = 30


def paths(grami: Grami, localid_words: str) -> str:
    """Paths of the copy of the session directory; everything else that the script writes is in ``back``."""
    return part("sandbox_paths", DIRECTORY=quoted(str(grami.directory)), LOCALID=localid_words)


def begin(grami: Grami) -> str:
    """After the start marker: create the links, and install the function that prepares ``back`` at every end."""
    return part("sandbox", WALLTIME="" if grami.walltime_s is None else str(grami.walltime_s))


def watch() -> str:
    """The limit on the wall time while the payload runs."""
    return part("sandbox_watch", LATE=str(LATE_S))


def watch_end() -> str:
    return part("sandbox_watch_end")
