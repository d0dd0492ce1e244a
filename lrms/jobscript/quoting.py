"""Texts as words of a shell script."""

from __future__ import annotations


def quoted(text: str) -> str:
    """A shell word that means exactly this text."""
    return "'" + text.replace("'", "'\\''") + "'"


def expanding(text: str) -> str:
    """A shell word in which ``$NAME``, ``$(command)`` and backticks work, as ARC's arguments do."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
