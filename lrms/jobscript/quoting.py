"""
Texts of a job in shell code: as data, or to be expanded by the shell.

A job script contains no carriage returns: some batch systems refuse a script with Windows line ends, and mean any line.
"""

from __future__ import annotations

import shlex
from typing import Final

#: What stands for a carriage return between two parts of a word, and the line that makes it one.
_RETURN: Final = "'\"$arex_cr\"'"
_DEFINITION: Final = "arex_cr=$(printf '\\r')"


def quoted(text: str) -> str:
    """One shell word without expansions; ``with_returns`` makes it work in a script."""
    return shlex.quote(text).replace("\r", _RETURN)


def with_returns(parts: list[str]) -> str:
    """A script from its parts, the first of which has the first line; other carriage returns are dropped."""
    if any(_RETURN in each for each in parts):
        parts = [parts[0], _DEFINITION, *parts[1:]]
    return "\n".join(parts).replace("\r", "") + "\n"


def expanding(text: str) -> str:
    """A shell word in which ``$NAME``, ``$(command)`` and backticks work, as in ARC's arguments."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
