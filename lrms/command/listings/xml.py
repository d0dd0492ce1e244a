"""XML that commands of batch systems print, with texts of all users in it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Final

from arex.errors import UnreadableOutput
from arex.process import Completed

#: Characters that no XML parser accepts.
_NO_XML: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


class Invalid(UnreadableOutput):
    """The output is not well-formed."""


def parsed(done: Completed) -> ET.Element:
    """
    The root of an output.

    Raises:
        Invalid: it is not well-formed.
    """
    try:
        # the command is the site's own, and expat limits what entities can do
        return ET.fromstring(_NO_XML.sub("?", done.out))  # noqa: S314
    except (ET.ParseError, ValueError) as exc:
        raise Invalid(done.argv, done.code, f"{exc}: {done.out[-500:]}") from exc


def pieces(text: str, name: str, root: str) -> list[ET.Element] | None:
    """
    The elements of this name that are well-formed, from an output that is not well-formed as a whole.

    None: the output is incomplete, or there is no such element.
    """
    if not text.rstrip().endswith(f"</{root}>"):
        return None
    found: list[ET.Element] = []
    for part in re.findall(rf"<{name}\b[^<>]*>(?:(?!<{name}\b).)*?</{name}>", text, re.DOTALL):
        try:
            found.append(ET.fromstring(_NO_XML.sub("?", part)))  # noqa: S314 - as above
        except (ET.ParseError, ValueError):
            continue  # the texts of this job make its own entry unreadable
    return found or None
