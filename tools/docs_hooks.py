"""
What the site needs beside its pages: colours for xRSL.

``mkdocs.yml`` names this file. Descriptions are plain ``text`` blocks in the pages, so that they look the same wherever
Markdown is shown; a block that begins with ``&`` or ``+`` is xRSL.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

from pygments.lexer import RegexLexer
from pygments.lexers import LEXERS
from pygments.token import Comment, Keyword, Name, Operator, Punctuation, String, Text

_DESCRIPTION: Final = re.compile(r"^```text\n(?=[&+(])", re.MULTILINE)


class XrslLexer(RegexLexer):
    """xRSL: relations in parentheses, strings in quotes, comments between ``(*`` and ``*)``."""

    name = "xRSL"
    aliases: ClassVar = ["xrsl"]
    tokens: ClassVar[dict[str, Any]] = {
        "root": [
            (r"\(\*.*?\*\)", Comment),
            (r"\"(?:\"\"|[^\"])*\"|'(?:''|[^'])*'", String),
            (r"[A-Za-z_]\w*(?=\s*(?:!?=|[<>]))", Keyword),
            (r"!=|[<>]=?|=|[&|+]", Operator),
            (r"[()]", Punctuation),
            (r"\s+", Text),
            (r"[^\s()=<>!\"']+", Name),
        ]
    }


def on_startup(**_: object) -> None:
    """Let the highlighter find the lexer by its name."""
    LEXERS["XrslLexer"] = (__name__, "xRSL", ("xrsl",), (), ())


def on_page_markdown(markdown: str, **_: object) -> str:
    return _DESCRIPTION.sub("```xrsl\n", markdown)
