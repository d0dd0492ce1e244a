"""Characters that XML 1.0 allows."""

from __future__ import annotations

import re
from typing import Final

#: Characters that an XML document must not contain. Source: XML 1.0, production Char.
ILLEGAL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def legal(text: str) -> str:
    """Replace each character that XML does not allow by a question mark."""
    return ILLEGAL.sub("?", text)
