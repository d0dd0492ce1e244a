"""
The environment of the service for programs that are not part of it: jobs, and commands that pass theirs on to jobs.

The service runs in a Python environment that only its own packages may use. A job that finds its ``bin`` first in PATH
would get another Python, without the packages of the machine, and ``pip install`` in a job would change the service.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Final

DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
#: Prefixes of programs that belong to the machine.
_OF_THE_MACHINE: Final = frozenset({"/", "/usr", "/usr/local"})
#: Variables that select a Python environment.
_OF_PYTHON: Final = re.compile(r"PYTHON\w*|VIRTUAL_ENV\w*|_OLD_VIRTUAL_\w+|CONDA_\w+")


def own_directories(prefix: str, path: str) -> frozenset[str]:
    """
    The entries of ``path`` that are the ``bin`` of a Python environment, also through symbolic links.

    There is none if the environment is the machine's own Python.
    """
    if os.path.realpath(prefix) in _OF_THE_MACHINE:
        return frozenset()
    own = os.path.join(prefix, "bin")  # noqa: PTH118 - as the entries of PATH, which are texts
    real = os.path.realpath(own)
    return frozenset({own, *(each for each in path.split(os.pathsep) if os.path.realpath(each) == real)})


#: Found out at import, since the event loop must not wait for a disk.
_OWN: Final = own_directories(sys.prefix, os.environ.get("PATH", ""))


def outside(environ: Mapping[str, str] | None = None, own: frozenset[str] = _OWN) -> dict[str, str]:
    """
    An environment without the Python environment of the service: its variables, and its directories in PATH.

    Args:
        environ: the environment of the service; None: that of this process.
        own: the directories to leave out.
    """
    environ = os.environ if environ is None else environ
    kept = {name: value for name, value in environ.items() if not _OF_PYTHON.fullmatch(name)}
    path = [each for each in environ.get("PATH", "").split(os.pathsep) if each and each not in own]
    return {**kept, "PATH": os.pathsep.join(path) or DEFAULT_PATH}
