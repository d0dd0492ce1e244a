"""Checksums: as users write them, as servers announce them, and computed piece by piece."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from arex.controldir.cksum import Cksum

#: Names of algorithms in other spellings: RFC 9530, IANA's list of digest values, ownCloud.
_OTHER_NAMES: Final = {"sha-256": "sha256", "sha-1": "sha1", "sha": "sha1", "unixcksum": "cksum", "adler": "adler32"}
_DIGITS: Final = {"adler32": 8, "md5": 32, "sha1": 40, "sha256": 64}
_BASE64: Final = {"md5", "sha1", "sha256"}
_HEADERS: Final = ("Digest", "Repr-Digest", "Content-MD5", "OC-Checksum")
_HEX: Final = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Checksum:
    """The algorithm in our spelling and the value: hex without a prefix, decimal for ``cksum``."""

    algorithm: str
    value: str


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def value(self) -> str:
        """As in ``Checksum``."""
        ...


class _Adler32:
    def __init__(self) -> None:
        self._sum = 1

    def update(self, data: bytes, /) -> None:
        self._sum = zlib.adler32(data, self._sum)

    def value(self) -> str:
        return f"{self._sum:08x}"


class _Hash:
    def __init__(self, name: str) -> None:
        self._hash = hashlib.new(name, usedforsecurity=False)

    def update(self, data: bytes, /) -> None:
        self._hash.update(data)

    def value(self) -> str:
        return self._hash.hexdigest()


class _Cksum(Cksum):
    def value(self) -> str:
        return str(self.number())


_MAKERS: Final[Mapping[str, Callable[[], Digest]]] = {
    "adler32": _Adler32,
    "cksum": _Cksum,
    "md5": lambda: _Hash("md5"),
    "sha1": lambda: _Hash("sha1"),
    "sha256": lambda: _Hash("sha256"),
}


def digest(algorithm: str) -> Digest:
    return _MAKERS[algorithm]()


def algorithm_of(name: str) -> str | None:
    """Our spelling of an algorithm; None for one that we do not compute."""
    name = name.strip().lower()
    name = _OTHER_NAMES.get(name, name)
    return name if name in _MAKERS else None


def checksum(name: str, value: str) -> Checksum | None:
    """A checksum in any usual spelling: hex, with ``0x``, short of leading zeros, or base64; None if it is invalid."""
    algorithm = algorithm_of(name)
    value = value.strip().strip('"')
    if algorithm is None:
        return None
    if algorithm == "cksum":
        return Checksum(algorithm, str(int(value))) if value.isascii() and value.isdigit() else None
    plain = value.lower().removeprefix("0x")
    digits = _DIGITS[algorithm]
    if _HEX.fullmatch(plain) and (len(plain) == digits or (algorithm == "adler32" and len(plain) < digits)):
        return Checksum(algorithm, plain.rjust(digits, "0"))
    return _from_base64(algorithm, value) if algorithm in _BASE64 else None


def _from_base64(algorithm: str, value: str) -> Checksum | None:
    try:
        raw = base64.b64decode(value.strip(":"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return Checksum(algorithm, raw.hex()) if len(raw) * 2 == _DIGITS[algorithm] else None


def announced(headers: Mapping[str, str], *, whole: bool) -> tuple[Checksum, ...]:
    """
    Checksums in the headers of an HTTP answer, of the file as a whole; ``whole``: the answer is not a range.

    Source: RFC 3230 (Digest), RFC 9530 (Repr-Digest), RFC 1864 (Content-MD5), ownCloud (OC-Checksum).
    """
    if not any(name in headers for name in _HEADERS):
        return ()
    pairs = [*_listed(headers.get("Digest", "")), *_listed(headers.get("Repr-Digest", ""))]
    if whole and (md5 := headers.get("Content-MD5")):
        pairs.append(("md5", md5))
    name, _, value = headers.get("OC-Checksum", "").partition(":")
    return tuple(found for found in (checksum(*pair) for pair in (*pairs, (name, value))) if found is not None)


def _listed(text: str) -> Iterable[tuple[str, str]]:
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        yield name, value
