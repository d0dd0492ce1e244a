"""Safe XML: no document types, no entities, nothing from outside the text."""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from arex.errors import JobDescriptionError

_PROLOG: Final = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_DOCTYPE: Final = b"<!DOCTYPE"
_TAG: Final = re.compile(r"<[^!?][^>]*>")
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


def read_xml(text: str | bytes) -> etree._Element:
    """
    The root element; bytes are in the encoding that they declare.

    As in ARC, warnings of libxml are errors too: another version of XML, a relative namespace.

    Raises:
        JobDescriptionError: with line and column; not XML, or it has a document type.
    """
    parser = _parser(text, strip_cdata=True)
    root = _parsed(text, parser)
    if (warning := next(iter(parser.error_log), None)) is not None:
        raise JobDescriptionError(warning.message, max(warning.line, 1), max(warning.column, 1))
    return root


def read_fragment(text: str) -> etree._Element:
    """
    The root element of XML that a value holds, whatever libxml thinks of its namespaces; CDATA sections stay so.

    Raises:
        JobDescriptionError: with line and column; not XML, or it has a document type.
    """
    parser = _parser(text, strip_cdata=False)
    try:
        return _parsed(text, parser)
    except JobDescriptionError:
        if {entry.domain for entry in parser.error_log} != {etree.ErrorDomains.NAMESPACE}:
            raise
    return _parsed(text, _parser(text, strip_cdata=False, recover=True))


def _parser(text: str | bytes, *, strip_cdata: bool, recover: bool = False) -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8" if isinstance(text, str) else None,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        strip_cdata=strip_cdata,
        recover=recover,
    )


def _parsed(text: str | bytes, parser: etree.XMLParser) -> etree._Element:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    prolog = _PROLOG.match(data)
    at = 0 if prolog is None else prolog.end()
    if data.startswith(_DOCTYPE, at):
        line, column = data.count(b"\n", 0, at) + 1, at - data.rfind(b"\n", 0, at)
        raise JobDescriptionError("a document type is not allowed", line, column)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as exc:
        line, column = exc.position
        raise JobDescriptionError(exc.msg or "not XML", max(line, 1), max(column, 1)) from exc
    if root.getroottree().docinfo.internalDTD is not None:  # hidden from us by an encoding
        raise JobDescriptionError("a document type is not allowed", 1)
    return root


def write_xml(element: etree._Element) -> str:
    """The element alone; characters beyond ASCII in attributes are escaped, as libxml does without an encoding."""
    text = etree.tostring(element, encoding="unicode", with_tail=False)
    return _TAG.sub(lambda match: _NOT_ASCII.sub(_reference, match[0]), text)


def _reference(match: re.Match[str]) -> str:
    return f"&#x{ord(match[0]):X};"
