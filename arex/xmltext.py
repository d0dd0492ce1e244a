"""What XML 1.0 can hold."""

from __future__ import annotations

import re
from typing import Final

#: Characters that no XML document may contain. Source: XML 1.0, production Char.
ILLEGAL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def legal(text: str) -> str:
    """The text with a question mark for each character that XML cannot hold."""
    return ILLEGAL.sub("?", text)
