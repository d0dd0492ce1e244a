"""Arguments in one string, split as by a shell at blanks, with quotes and backslashes; nothing is expanded."""

from __future__ import annotations

import re
from typing import Final

_PIECE: Final = re.compile(
    r"""(?P<blank>[ \t\n\r\v\f]+)|(?P<bare>[^ \t\n\r\v\f"'\\]+)|'(?P<single>[^']*)'"""
    r"""|"(?P<double>[^"\\]*(?:\\.[^"\\]*)*)"|\\(?P<escaped>.)""",
    re.DOTALL,
)
_IN_QUOTES: Final = re.compile(r'\\(["\\$`])')
#: Name of a variable, and a reference to one: ``$NAME`` or ``${NAME}``.
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*", re.ASCII)
REFERENCE: Final = re.compile(r"\$(?:([A-Za-z_][A-Za-z_0-9]*)|\{([A-Za-z_][A-Za-z_0-9]*)\})", re.ASCII)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


def split(text: str) -> list[str]:
    """
    Raises:
        ValueError: a quote is not closed.
    """
    words: list[str] = []
    parts: list[str] | None = None
    at = 0
    while at < len(text):
        match = _PIECE.match(text, at)
        if match is None:
            raise ValueError(f"unterminated quote starting at character {at + 1}: {text[at : at + 40]}")
        at = match.end()
        if match.lastgroup == "blank":
            words += [] if parts is None else ["".join(parts)]
            parts = None
            continue
        piece = match[match.lastgroup or 0]
        parts = [] if parts is None else parts
        parts.append(_IN_QUOTES.sub(r"\1", piece) if match.lastgroup == "double" else piece)
    return words if parts is None else [*words, "".join(parts)]


def quoted(word: str) -> str:
    """One word, quoted so that a shell reads it unchanged."""
    return word if _PLAIN.fullmatch(word) else "'" + word.replace("'", "'\\''") + "'"


def join(words: tuple[str, ...]) -> str:
    return " ".join(map(quoted, words))
