"""Job descriptions: which language is it, then the parser."""

from __future__ import annotations

from typing import Final

from arex.errors import JobDescriptionError
from arex.jobdesc.model import Dialect, JobDescription

__all__ = ["MAX_SIZE", "Dialect", "JobDescription", "parse"]

#: Bytes; ARC's default of ``[arex/ws/jobs] maxjobdesc``.
MAX_SIZE: Final = 5242880


def parse(text: str | bytes, dialect: Dialect, *, max_size: int = MAX_SIZE, source: str = "") -> list[JobDescription]:
    """
    Read one or more jobs from xRSL or ADL, whichever it is.

    Args:
        text: the description; bytes must be UTF-8.
        dialect: who reads.
        max_size: limit in bytes, 0 for none.
        source: name of the file, for messages.

    Raises:
        JobDescriptionError: with line and column where they are known.
    """
    try:
        return _parse(_decode(text, max_size), dialect)
    except JobDescriptionError as exc:
        raise JobDescriptionError(exc.what, exc.line or 1, exc.column, source) from exc


def _decode(text: str | bytes, max_size: int) -> str:
    size = len(text)  # of characters at least as many bytes
    if max_size and size > max_size:
        raise JobDescriptionError(f"Job description is too big: more than {max_size} bytes")
    if isinstance(text, str):
        if max_size and len(text.encode("utf-8", "surrogatepass")) > max_size:
            raise JobDescriptionError(f"Job description is too big: more than {max_size} bytes")
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        before = text.rfind(b"\n", 0, exc.start)
        line = text.count(b"\n", 0, exc.start) + 1
        raise JobDescriptionError("not UTF-8 text", line, exc.start - before) from exc


def _parse(text: str, dialect: Dialect) -> list[JobDescription]:
    """A client pays for the language that it meets: the parsers are imported one by one."""
    start = text.lstrip()
    if start.startswith("<"):
        # leading blank lines are not XML; they count for the line numbers of errors
        return _parse_adl(start, text[: len(text) - len(start)].count("\n"))
    if start.startswith(("&", "+", "|", "(")):
        from arex.jobdesc.xrsl import parse_xrsl  # noqa: PLC0415

        return parse_xrsl(text, dialect)
    if start.startswith("["):
        raise JobDescriptionError("job descriptions in JDL are not supported yet")
    what = "is neither xRSL nor ADL" if start else "is empty"
    raise JobDescriptionError(f"the job description {what}")


def _parse_adl(text: str, skipped: int) -> list[JobDescription]:
    from arex.jobdesc.adl import parse_adl  # noqa: PLC0415

    try:
        return parse_adl(text)
    except JobDescriptionError as exc:
        raise JobDescriptionError(exc.what, (exc.line or 1) + skipped, exc.column) from exc
