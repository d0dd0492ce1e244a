"""The access control list of a job, as it stands in ``.acl``."""

from __future__ import annotations

import re
from typing import Final

from arex.errors import JobRefused

_CONTENT: Final = re.compile(r"<((?:\w+:)?)Content(?:\s[^>]*)?>(.*)</\1Content\s*>", re.DOTALL)


def acl_document(acl: str) -> str:
    """
    The document in the ``Content`` of a description's ACL, with an XML declaration, as ``.acl`` holds it.

    Raises:
        JobRefused: there is none.
    """
    match = _CONTENT.search(acl)
    if match is None:
        raise JobRefused("acl element wrongly formatted - missing Content element")
    return f'<?xml version="1.0"?>\n{match[2].strip()}\n'
