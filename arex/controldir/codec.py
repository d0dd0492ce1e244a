"""
Parse and format the control files: pure functions between text and values. Unknown content is preserved.

Text is UTF-8. Undecodable bytes become surrogates, so that every file can be written back byte for byte.
Source: ``docs/developers/control-directory.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

from arex.model.files import FileEntry
from arex.model.ids import LocalId
from arex.model.local import JobLocal
from arex.model.state import PENDING_PREFIX, State, Status

_MDS: Final = "%Y%m%d%H%M%SZ"
_MDS_TEXT: Final = re.compile(r"[0-9]{14}Z")
_ISO: Final = "%Y-%m-%dT%H:%M:%SZ"
#: Longest accepted lifetime, about three hundred years.
_LONGEST_S: Final = 10**10


def decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def mds_time(moment: datetime) -> str:
    """``20261120084900Z``, UTC."""
    return moment.astimezone(UTC).strftime(_MDS)


def iso_time(moment: datetime) -> str:
    """``2026-11-20T08:49:00Z``, UTC."""
    return moment.astimezone(UTC).strftime(_ISO)


def parse_mds(text: str) -> datetime:
    """Parse ``YYYYMMDDHHMMSSZ``. Raises ValueError for other formats and for years outside 1970 to 8999."""
    if not _MDS_TEXT.fullmatch(text):
        raise ValueError(f"not a time: {text!r}")
    year, *rest = (int(text[:4]), *(int(text[at : at + 2]) for at in range(4, 14, 2)))
    if not 1970 <= year < 9000:  # for later years, adding a lifetime would exceed the range of datetime
        raise ValueError(f"not a time: {text!r}")
    month, day, hour, minute, second = rest
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


# --- status ---------------------------------------------------------------------------------------------------------


_WORDS: Final = frozenset(str(state) for state in State if state is not State.UNDEFINED)


def parse_status(data: bytes) -> Status | None:
    """Parse the first line of a status file; None if it is not a valid state."""
    word = decode(data).split("\n", 1)[0].strip()
    pending = word.startswith(PENDING_PREFIX)
    word = word.removeprefix(PENDING_PREFIX)
    if word not in _WORDS:
        return None
    return Status(State(word), pending)


def dump_status(status: Status) -> bytes:
    return str(status).encode()


def state_line(now: datetime, old: Status, new: Status, reason: str) -> str:
    """The line in ``.errors`` for a change of state."""
    return f"{iso_time(now)} Job state change {_shown(old)} -> {_shown(new)}   Reason: {reason}\n"


#: Lines of arex in ``.errors`` about a job whose turns fail.
_TROUBLE: Final = "The job cannot be processed now, arex tries again every minute: "
_TROUBLE_OVER: Final = "The job can be processed again"


def trouble_line(now: datetime, trouble: str) -> str:
    """The line in ``.errors`` for a job whose files cannot be handled."""
    return f"{iso_time(now)} {_TROUBLE}{trouble}\n"


def trouble_over(now: datetime) -> str:
    """The line that ends what ``trouble_line`` has begun."""
    return f"{iso_time(now)} {_TROUBLE_OVER}\n"


def parse_trouble(line: str) -> str | None:
    """The trouble in a line of ``trouble_line``; empty if it is over, None if the line is a different one."""
    said = line.partition(" ")[2]
    if said.startswith(_TROUBLE):
        return said.removeprefix(_TROUBLE).rstrip("\n")
    return "" if said.rstrip("\n") == _TROUBLE_OVER else None


def _shown(status: Status) -> str:
    return f"{status.state}(PENDING)" if status.pending else str(status.state)


# --- .local ---------------------------------------------------------------------------------------------------------

_ESCAPED: Final = re.compile(r"([ \\\r\n])")
_ARGUMENT: Final = re.compile(r"((?:[^ \\]|\\.)*)(?: |\Z)", re.DOTALL)


def dump_args(args: Iterable[str]) -> str:
    """Escape blank, backslash, CR and LF with a backslash; each argument ends with a blank."""
    return "".join(_ESCAPED.sub(r"\\\1", arg) + " " for arg in args)


def parse_args(text: str) -> tuple[str, ...]:
    """
    The reverse of ``dump_args``; two consecutive blanks enclose an empty argument.

    Raises:
        ValueError: the text ends with a single backslash.
    """
    args: list[str] = []
    at = 0
    while at < len(text):
        match = _ARGUMENT.match(text, at)
        if match is None:
            raise ValueError("the arguments end with a single backslash")
        args.append(re.sub(r"\\(.)", r"\1", match.group(1), flags=re.DOTALL))
        at = match.end()
    return tuple(args)


def _yes_or_no(text: str) -> bool:
    return {"yes": True, "no": False}[text]


def _integer(text: str) -> int:
    if not re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text):
        raise ValueError(f"not a number: {text!r}")
    return int(text)


def _period(text: str) -> timedelta:
    seconds = _integer(text)
    if not 0 <= seconds <= _LONGEST_S:
        raise ValueError(f"not a period of time: {text!r}")
    return timedelta(seconds=seconds)


_Codec = tuple[Callable[[str], Any], Callable[[Any], str]]
_CODECS: Final[Mapping[object, _Codec]] = {
    str: (str, str),
    LocalId: (LocalId, str),
    State: (State, str),
    int: (_integer, str),
    bool: (_yes_or_no, {True: "yes", False: "no"}.__getitem__),
    Path: (Path, str),
    timedelta: (_period, lambda value: str(int(value.total_seconds()))),
    datetime: (parse_mds, mds_time),
}
_HINTS: Final = get_type_hints(JobLocal)


def _value_codec(key: str) -> _Codec:
    if key == "args":
        return parse_args, dump_args
    hint = _HINTS[key]
    return _CODECS[next((part for part in get_args(hint) if part is not NoneType and part is not ...), hint)]


_KEYS: Final[Mapping[str, _Codec]] = {
    f.name: _value_codec(f.name) for f in fields(JobLocal) if f.name not in {"odd", "extra"}
}
_REPEATED: Final = frozenset(key for key in _KEYS if get_origin(_HINTS[key]) is tuple)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        if not line:  # for every reader, an empty line ends the file
            return
        key, equals, value = line.partition("=")
        if equals and (value or key == "args"):  # "args=" means that there are no arguments
            yield key, value


def parse_local(data: bytes, only: Collection[str] | None = None) -> JobLocal:
    """
    Parse a ``.local`` file; values that cannot be parsed are kept unchanged.

    With ``only``, other known keys are passed over, which halves the time.
    """
    known: dict[str, Any] = {}
    odd: list[tuple[str, str]] = []
    extra: list[tuple[str, str]] = []
    for key, text in _pairs(decode(data)):
        if key not in _KEYS:
            extra.append((key, text))
            continue
        if only is not None and key not in only:
            continue
        try:
            value = _KEYS[key][0](text)
        except (ValueError, KeyError):
            odd.append((key, text))
            continue
        if key in _REPEATED:
            known[key] = (*known.get(key, ()), value)
        elif key not in known:
            known[key] = value
    return JobLocal(**known, odd=tuple(odd), extra=tuple(extra))


def _lines(local: JobLocal) -> Iterator[str]:
    odd = dict(local.odd)
    for key, (_, write) in _KEYS.items():
        value = getattr(local, key)
        if key in _REPEATED:
            yield from (f"{key}={write(item)}" for item in value)
        elif value is not None:
            yield f"{key}={write(value)}"
        elif key in odd:
            yield f"{key}={odd[key]}"
    yield from (f"{key}={value}" for key, value in local.extra)


def dump_local(local: JobLocal) -> bytes:
    """
    Format the file with its keys in canonical order; a line break in a value becomes a blank, since it would end the
    value.
    """
    return encode("".join(f"{_one_line(line)}\n" for line in _lines(local)))


def _one_line(line: str) -> str:
    return line.replace("\r", " ").replace("\n", " ") if "\n" in line or "\r" in line else line


# --- file lists -----------------------------------------------------------------------------------------------------

_FIELD: Final = re.compile(r"((?:[^ \\]|\\.)*)(?: |\Z)", re.DOTALL)


def dump_entries(entries: Iterable[FileEntry]) -> bytes:
    """
    Format ``.input``, ``.output`` or ``.output_status``: up to three escaped fields per line, without trailing empty
    ones.
    """
    return encode("".join(_entry_line(entry) for entry in entries))


def _entry_line(entry: FileEntry) -> str:
    parts = [_ESCAPED.sub(r"\\\1", part) for part in (entry.pfn, entry.lfn, entry.credential)]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return " ".join(parts) + "\n"


def parse_entries(data: bytes) -> list[FileEntry]:
    """Parse a file list; lines that do not start with a name are skipped."""
    return [entry for line in _logical_lines(decode(data)) if (entry := _entry(line)).pfn]


def _logical_lines(text: str) -> list[str]:
    """Split into lines; an escaped line break is part of its field."""
    return re.findall(r"(?:[^\\\n]|\\.)+", text, flags=re.DOTALL)


def _entry(line: str) -> FileEntry:
    found: list[str] = []
    at = 0
    while at < len(line) and (match := _FIELD.match(line, at)) is not None:
        found.append(_unescaped(match.group(1)))
        at = match.end()
    return FileEntry(*found[:3]) if found else FileEntry("")


def _unescaped(text: str) -> str:
    """Remove escapes; decode again, since an escape may be inside a multi-byte character."""
    if "\\" not in text:
        return text
    return decode(encode(re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)))


def parse_input_status(data: bytes) -> list[str]:
    """Names that the client has confirmed; the empty first line, which clients write, is skipped."""
    return [_entry(line).pfn for line in _logical_lines(decode(data)) if line]


# --- lrms_done ------------------------------------------------------------------------------------------------------

#: An integer with a limited number of digits; longer numbers cannot be exit codes.
_NUMBER: Final = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,18})(?![0-9])", re.ASCII)


def parse_lrms_done(data: bytes) -> tuple[int, str]:
    """
    Parse code and message from the first line.

    Numbers are parsed as in C: ``0x10`` is 16, ``010`` is 8. If the line does not start with a number, the code is -1
    and the message is the whole line. For an empty file the code is 0.
    """
    line = decode(data).split("\n", 1)[0]
    if not line:
        return 0, ""
    match = _NUMBER.match(line)
    if match is None:
        return -1, line
    sign, digits = match.groups()
    octal = digits.startswith("0") and digits.strip("01234567") == "" and len(digits) > 1
    value = int(digits, 16) if digits[:2] in {"0x", "0X"} else int(digits, 8) if octal else int(digits)
    return (-value if sign == "-" else value), line[match.end() :].removeprefix(" ")


def dump_lrms_done(code: int, message: str) -> bytes:
    return encode(f"{code} {_one_line(message)}\n")


# --- .diag ----------------------------------------------------------------------------------------------------------


def parse_diag(data: bytes) -> list[tuple[str, str]]:
    """Parse ``key=value`` lines in file order, with keys in lower case; lines without ``=`` are skipped."""
    return [
        (key.lower(), value)
        for key, equals, value in (line.partition("=") for line in decode(data).split("\n"))
        if equals
    ]


def diag_number(text: str) -> int | None:
    """The leading digits: ``2.01s`` is 2, ``1372kB`` is 1372; None if there are no digits or too many."""
    match = re.match(r"[0-9]{1,18}(?![0-9])", text)
    return int(match.group()) if match else None
