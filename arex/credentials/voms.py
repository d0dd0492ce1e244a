"""
The attribute certificates of a virtual organisation (VO) in a proxy. Nothing here is verified.

Source: RFC 5755 (attribute certificates), OGF GFD.182 (their use by VOMS).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from arex.credentials import der
from arex.credentials.certificate import extension

#: The extension of a proxy that holds attribute certificates.
EXTENSION: Final = "1.3.6.1.4.1.8005.100.100.5"
_FQANS: Final = "1.3.6.1.4.1.8005.100.100.4"
_DIRECTORY_NAME: Final = 0xA4
_URI: Final = 0x86
_BASE: Final = 0xA0
_V2_FORM: Final = 0xA0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """The attributes of a VO for the holder of a certificate, which are not verified."""

    vo: str
    uri: str  #: host and port of the VO's server
    fqans: tuple[str, ...]  #: groups and roles, such as ``/vo/group/Role=admin/Capability=NULL``
    holder: str  #: who issued the holder's certificate; with ``serial`` this says which one it is
    serial: int
    issuer: str
    starts: datetime
    ends: datetime


def in_chain(chain: Sequence[bytes]) -> list[Attributes]:
    """
    The attributes in the certificates (DER) of a proxy: those of the first level that has any.

    Raises:
        ValueError, IndexError: they cannot be parsed.
    """
    for certificate in chain:
        if (value := extension(certificate, EXTENSION)) is not None:
            return parse(value)
    return []


def parse(value: bytes) -> list[Attributes]:
    """
    The value of the extension.

    Raises:
        ValueError, IndexError: it cannot be parsed.
    """
    [(_, outer)] = list(der.items(value))
    found = []
    for _, listed in der.items(outer):
        found += [_certificate(content) for _, content in der.items(listed)]
    return found


def _certificate(data: bytes) -> Attributes:
    _, info = next(der.items(data))
    _version, (_, holder), (_, issuer), _algorithm, (_, serial), (_, validity), (_, attributes), *_ = der.items(info)
    del serial
    (kind, starts), (end_kind, ends) = der.items(validity)
    name, number = _holder(holder)
    vo, uri, fqans = _fqans(attributes)
    return Attributes(
        vo=vo,
        uri=uri,
        fqans=fqans,
        holder=name,
        serial=number,
        issuer=_issuer(issuer),
        starts=der.time(kind, starts),
        ends=der.time(end_kind, ends),
    )


def _holder(data: bytes) -> tuple[str, int]:
    """The name of the issuer of the holder's certificate, and its serial number."""
    for tag, content in der.items(data):
        if tag == _BASE:
            (_, names), (_, serial), *_ = der.items(content)
            return _name(names), int.from_bytes(serial, signed=True)
    return "", 0


def _issuer(data: bytes) -> str:
    """In a form of version 2, which RFC 5755 asks for, or bare."""
    for tag, content in der.items(data):
        if tag in {_V2_FORM, der.SEQUENCE}:
            return _name(content if tag == der.SEQUENCE else next(der.items(content))[1])
        if tag == _DIRECTORY_NAME:
            return _name(data)
    return ""


def _name(general_names: bytes) -> str:
    for tag, content in der.items(general_names):
        if tag == _DIRECTORY_NAME:
            return der.name(next(der.items(content))[1])
    return ""


def _fqans(data: bytes) -> tuple[str, str, tuple[str, ...]]:
    for _, attribute in der.items(data):
        (_, kind), (_, values) = der.items(attribute)
        if der.oid(kind) == _FQANS:
            _, syntax = next(der.items(values))
            authority = ""
            listed: tuple[str, ...] = ()
            for tag, content in der.items(syntax):
                if tag == der.SEQUENCE:
                    listed = tuple(_text(value) for _, value in der.items(content))
                else:
                    authority = next((_text(value) for inner, value in der.items(content) if inner == _URI), authority)
            vo, _, uri = authority.partition("://")
            return vo, uri, listed
    return "", "", ()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
