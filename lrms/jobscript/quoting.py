"""Texts of a job that a shell expands."""

from __future__ import annotations


def expanding(text: str) -> str:
    """A shell word in which ``$NAME``, ``$(command)`` and backticks work, as in ARC's arguments."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
