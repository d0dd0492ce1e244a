"""
The holder of a certificate, and when it expires.

Source: RFC 5280 (certificates), RFC 3820 (proxies).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from arex.credentials import der

#: The extension that makes a certificate a proxy: proxyCertInfo, of RFC 3820 and of the draft before it.
PROXY_INFO: Final = "1.3.6.1.5.5.7.1.14"
DRAFT_PROXY_INFO: Final = "1.3.6.1.4.1.3536.1.222"
_PROXY: Final = frozenset({PROXY_INFO, DRAFT_PROXY_INFO})
_OLD_PROXY: Final = ("/CN=proxy", "/CN=limited proxy")
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_VERSION: Final = 0xA0
_EXTENSIONS: Final = 0xA3


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The few fields that are used here: names, serial number and times."""

    subject: str
    issuer: str
    expires: datetime
    proxy: bool


def in_pem(data: bytes) -> list[bytes]:
    """The certificates of a PEM file as DER, in their order."""
    return [binascii.a2b_base64(block) for block in _PEM.findall(data)]


def parse(data: bytes) -> Certificate:
    """Read a certificate in DER; raises ValueError or IndexError if it is not a certificate."""
    [(_, body)] = list(der.items(data))
    _, tbs = next(der.items(body))
    fields = [item for item in der.items(tbs) if item[0] != _VERSION]
    _serial, _algorithm, (_, issuer), (_, validity), (_, subject), *rest = fields
    _, (kind, until) = der.items(validity)
    name = der.name(subject)
    found = {number for tag, content in rest if tag == _EXTENSIONS for number, _ in _extensions(content)}
    return Certificate(
        subject=name,
        issuer=der.name(issuer),
        expires=der.time(kind, until),
        proxy=name.endswith(_OLD_PROXY) or not _PROXY.isdisjoint(found),
    )


def extension(data: bytes, wanted: str) -> bytes | None:
    """The value of an extension of a certificate in DER; None if it has no extension of that number."""
    [(_, body)] = list(der.items(data))
    _, tbs = next(der.items(body))
    for tag, content in der.items(tbs):
        if tag == _EXTENSIONS:
            return dict(_extensions(content)).get(wanted)
    return None


def _extensions(data: bytes) -> Iterator[tuple[str, bytes]]:
    for _, sequence in der.items(data):
        for _, one in der.items(sequence):
            (_, number), *_, (_, value) = der.items(one)
            yield der.oid(number), value


def levels(chain: Sequence[Certificate]) -> list[Certificate]:
    """From the first certificate to that of the person; every proxy is issued by the next level."""
    by_subject = {certificate.subject: certificate for certificate in chain}
    found = [chain[0]]
    while found[-1].proxy and len(found) <= len(chain) and (issuer := by_subject.get(found[-1].issuer)) is not None:
        found.append(issuer)
    return found


def identity(chain: Sequence[Certificate]) -> str:
    """The name of the person behind a chain of proxies; the issuer of the last proxy if the chain ends early."""
    last = levels(chain)[-1]
    return last.issuer if last.proxy else last.subject
