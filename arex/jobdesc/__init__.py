"""Job descriptions: finds the language of a text, then calls its parser."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import replace
from typing import Final

from arex.errors import JobDescriptionError
from arex.jobdesc.model import DescriptionDialect, JobDescription, Remark

__all__ = ["MAX_SIZE", "DescriptionDialect", "JobDescription", "Remark", "parse"]

#: Bytes; ARC's default of ``[arex/ws/jobs] maxjobdesc``.
MAX_SIZE: Final = 5242880

#: Blanks and comments: allowed before the first bracket of JDL, and before JDL without brackets.
_COMMENTS: Final = r"(?:[ \t\n\v\f\r]++|(?:#|//)[^\n]*+|/\*(?>.*?\*/))*+"
_JDL: Final = re.compile(rf"{_COMMENTS}\[", re.DOTALL)
_BARE_JDL: Final = re.compile(rf"{_COMMENTS}[A-Za-z_]\w*+[ \t]*+=(?!=)[^;]*+;", re.DOTALL)
#: Strings and comments.
_IN_XRSL: Final = re.compile(r""""[^"]*+"|(?P<comment>\(\*.*?\*\))""", re.DOTALL)
_IN_JDL: Final = re.compile(r""""(?:[^"\\]|\\.)*+"|(?P<comment>/\*.*?\*/|(?://|\#)[^\n]*)""", re.DOTALL)
#: A byte that is not UTF-8, as ``surrogateescape`` decodes it.
_ODD_BYTE: Final = re.compile("[\udc80-\udcff]")


def parse(
    text: str | bytes, dialect: DescriptionDialect, *, max_size: int = MAX_SIZE, source: str = ""
) -> list[JobDescription]:
    """
    Read one or more jobs from xRSL, ADL or JDL.

    JDL is only for submitting clients: no client of ARC sends it to a service, so the daemon does not load its library.

    Args:
        text: the description; bytes must be UTF-8, those of XML what they declare.
        dialect: who reads.
        max_size: limit in bytes, 0 for none.
        source: name of the file, for messages.

    Raises:
        JobDescriptionError: with line and column where they are known.
    """
    try:
        _check_size(text, max_size)
        found = _parse(text, dialect)
    except JobDescriptionError as exc:
        line = exc.line or 1
        excerpt = _line(_lines(text), line)
        raise JobDescriptionError(
            exc.what, line, exc.column, source, excerpt=excerpt, suggestion=exc.suggestion
        ) from exc
    return _explained(found, text, source)


def _check_size(text: str | bytes, max_size: int) -> None:
    if not max_size:
        return
    size = len(text)  # of characters at least as many bytes
    if size <= max_size and isinstance(text, str):
        size = len(text.encode("utf-8", "surrogatepass"))
    if size > max_size:
        raise JobDescriptionError(f"Job description is too big: more than {max_size} bytes")


def _parse(text: str | bytes, dialect: DescriptionDialect) -> list[JobDescription]:
    """Import only the parser that is needed: the start time of clients has a budget."""
    text = text.removeprefix("\ufeff") if isinstance(text, str) else text.removeprefix(BOM_UTF8)
    start = text.lstrip()[:1]
    if not start:
        raise JobDescriptionError("the job description is empty")
    if start in {"<", b"<"}:
        from arex.jobdesc.adl.parser import parse_adl  # noqa: PLC0415

        return parse_adl(text, places=dialect is DescriptionDialect.USER)
    text = text if isinstance(text, str) else _decode(text)
    start = text.lstrip()[:1]
    if start in {"[", "#", "/"} and _JDL.match(text) is not None:
        return _jdl(text, dialect, bare=False)
    if dialect is DescriptionDialect.USER and _BARE_JDL.match(text) is not None and text.rstrip().endswith(";"):
        return _jdl(text, dialect, bare=True)  # a single attribute would also be a relation of xRSL
    return _xrsl(text, dialect)


def _jdl(text: str, dialect: DescriptionDialect, *, bare: bool) -> list[JobDescription]:
    if dialect is not DescriptionDialect.USER:
        raise JobDescriptionError("JDL is only supported in clients, which convert it to ADL")
    from arex.jobdesc.jdl.parser import parse_jdl  # noqa: PLC0415

    return parse_jdl(text, bare=bare)


def _xrsl(text: str, dialect: DescriptionDialect) -> list[JobDescription]:
    from arex.jobdesc.xrsl.parser import parse_xrsl  # noqa: PLC0415

    if (at := text.find("\0")) >= 0:
        line = text.count("\n", 0, at) + 1
        raise JobDescriptionError("a NUL character is not allowed", line, at - text.rfind("\n", 0, at))
    try:
        return parse_xrsl(text, dialect)
    except JobDescriptionError as exc:
        if text.lstrip()[:1] in {"&", "+", "|", "("}:
            raise
        if dialect is DescriptionDialect.USER and _BARE_JDL.match(text) is not None:
            return _jdl(text, dialect, bare=True)
        what = f"the job description is none of xRSL, ADL and JDL: {exc.what}"
        raise JobDescriptionError(what, exc.line, exc.column) from exc


def _decode(text: bytes) -> str:
    """In comments, bytes that are not UTF-8 do not matter; they become question marks."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        found = text.decode("utf-8", "surrogateescape")
    is_jdl = _JDL.match(found) is not None or _BARE_JDL.match(found) is not None
    found = (_IN_JDL if is_jdl else _IN_XRSL).sub(_without_odd_bytes, found)
    if (odd := _ODD_BYTE.search(found)) is not None:
        line = found.count("\n", 0, odd.start()) + 1
        raise JobDescriptionError("not UTF-8 text", line, odd.start() - found.rfind("\n", 0, odd.start()))
    return found


def _without_odd_bytes(match: re.Match[str]) -> str:
    return match[0] if match["comment"] is None else _ODD_BYTE.sub("?", match[0])


def _lines(text: str | bytes) -> list[str]:
    return (text if isinstance(text, str) else text.decode("utf-8", "replace")).split("\n")


def _line(lines: list[str], number: int | None) -> str:
    return lines[number - 1].rstrip("\r") if number is not None and number <= len(lines) else ""


def line_of(text: str | bytes, number: int | None) -> str:
    """One line of a description, by its number from 1; empty if there is none."""
    return _line(_lines(text), number)


def _explained(jobs: list[JobDescription], text: str | bytes, source: str) -> list[JobDescription]:
    """The same jobs; their warnings quote the lines of the text, and their places refer to it."""
    if not any(job.warnings or job.places for job in jobs):
        return jobs
    lines = _lines(text) if any(job.warnings for job in jobs) else []
    return [
        replace(
            job,
            warnings=tuple(replace(one, source=source, excerpt=_line(lines, one.line)) for one in job.warnings),
            text=text,
        )
        for job in jobs
    ]
