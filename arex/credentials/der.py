"""
As much of DER as certificates need, both ways.

Invalid input raises ValueError or IndexError. Source: X.690.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

SEQUENCE: Final = 0x30
INTEGER: Final = 0x02
OCTETS: Final = 0x04
OID: Final = 0x06

_UTC_TIME: Final = 0x17
_NAMES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.42": "GN",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}
_SPECIAL: Final = {ord("/"): "\\/", ord("+"): "\\+"}


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element, one after the other."""
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            width = size & 0x7F
            size, at = int.from_bytes(data[at : at + width]), at + width
        if at + size > len(data):
            raise ValueError("incomplete certificate")
        yield tag, data[at : at + size]
        at += size


def item(tag: int, *contents: bytes) -> bytes:
    """One element around others, or around bytes."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(size))) + size + content


def integer(value: int) -> bytes:
    """A number that is not negative."""
    return item(INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


def oid(data: bytes) -> str:
    """The content of an object identifier, in dots."""
    numbers, value = [], 0
    for byte in data:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def from_oid(text: str) -> bytes:
    """An object identifier with its tag and length, from its text with dots."""
    first, second, *rest = map(int, text.split("."))
    return item(OID, *map(_base128, (40 * first + second, *rest)))


def _base128(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def name(data: bytes) -> str:
    """A distinguished name as ARC and OpenSSL's one-line form write it: ``/DC=org/CN=Some User``."""
    parts = []
    for _, together in items(data):
        pairs = []
        for _, pair in items(together):
            (_, kind), (_, value) = items(pair)
            number = oid(kind)
            pairs.append(f"{_NAMES.get(number, number)}={_printable(value)}")
        parts.append("/" + "+".join(pairs))
    return "".join(parts)


def _printable(value: bytes) -> str:
    """As OpenSSL 3 does: what would begin another part is escaped."""
    return "".join(_SPECIAL.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02X}") for byte in value)


def time(kind: int, data: bytes) -> datetime:
    """A moment, by the tag of its element."""
    text = data.decode("ascii")
    if kind == _UTC_TIME:  # two digits of a year, 1950 to 2049
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
