"""
Who the user is, as far as a certificate says so: read without any tool or library, and never required.

Names are written as ARC and OpenSSL's one-line form write them: ``/DC=org/CN=Some User``.
Source: RFC 5280 (certificates), RFC 3820 (proxies), X.690 (DER).
"""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from arex.controldir import atomic
from arex.errors import ControlDirError, CredentialError

_LARGEST: Final = 1024 * 1024
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_KEY: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
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
#: The extension that makes a certificate a proxy: proxyCertInfo, of RFC 3820 and of the draft before it.
_PROXY: Final = frozenset({"1.3.6.1.5.5.7.1.14", "1.3.6.1.4.1.3536.1.222"})
_OLD_PROXY: Final = ("/CN=proxy", "/CN=limited proxy")

_SPECIAL: Final = {ord("/"): "\\/", ord("+"): "\\+"}
_EXTENSIONS: Final = 0xA3
_UTC_TIME: Final = 0x17


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The few fields that say who and until when."""

    subject: str
    issuer: str
    expires: datetime
    proxy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A file with a certificate, its chain, and maybe its key."""

    path: Path
    subject: str  #: as the first certificate says
    issuer: str
    identity: str  #: the person: proxy levels stripped
    expires: datetime  #: of the first certificate of the chain to end
    pem: bytes
    has_key: bool


def find(environ: Mapping[str, str] = os.environ) -> Path | None:
    """
    The credential file of this user: ``$X509_USER_PROXY``, ``/tmp/x509up_u<uid>``, ``$X509_USER_CERT``,
    ``~/.globus/usercert.pem``; the first that exists.
    """
    home = environ.get("HOME", "")
    names = [
        environ.get("X509_USER_PROXY", ""),
        f"/tmp/x509up_u{os.getuid()}",  # noqa: S108 - where every grid tool looks
        environ.get("X509_USER_CERT", ""),
        f"{home}/.globus/usercert.pem" if home else "",
    ]
    return next((Path(name) for name in names if name and os.path.isfile(name)), None)  # noqa: PTH113 - start-up time


def read(path: Path) -> Credential:
    """
    Read a credential file.

    Raises:
        CredentialError: it can't be read, belongs to somebody else, or holds no certificate.
    """
    try:
        if path.stat().st_uid not in {os.geteuid(), 0}:
            raise CredentialError(f"the credential {path} belongs to another user")
        data = atomic.read(str(path.resolve()), limit=_LARGEST)
    except (OSError, ControlDirError) as exc:
        raise CredentialError(f"the credential {path} can't be read: {exc}") from exc
    try:
        chain = [parse(binascii.a2b_base64(block)) for block in _PEM.findall(data or b"")]
    except (ValueError, IndexError) as exc:
        raise CredentialError(f"the credential {path} does not read: {exc}") from exc
    if not chain:
        raise CredentialError(f"the credential {path} holds no certificate")
    return Credential(
        path=path,
        subject=chain[0].subject,
        issuer=chain[0].issuer,
        identity=identity(chain),
        expires=min(certificate.expires for certificate in _levels(chain)),
        pem=data or b"",
        has_key=_KEY.search(data or b"") is not None,
    )


def identity(chain: list[Certificate]) -> str:
    """The name of the person behind a chain of proxies; the issuer of the last proxy if the chain ends early."""
    last = _levels(chain)[-1]
    return last.issuer if last.proxy else last.subject


def _levels(chain: list[Certificate]) -> list[Certificate]:
    """From the first certificate to that of the person; every proxy is issued by the next level."""
    by_subject = {certificate.subject: certificate for certificate in chain}
    levels = [chain[0]]
    while levels[-1].proxy and len(levels) <= len(chain) and (issuer := by_subject.get(levels[-1].issuer)) is not None:
        levels.append(issuer)
    return levels


# --- DER ------------------------------------------------------------------------------------------------------------


def parse(der: bytes) -> Certificate:
    """Raises ValueError or IndexError for what is no certificate."""
    [(_, body)] = list(_items(der))
    _, tbs = next(_items(body))
    fields = [item for item in _items(tbs) if item[0] != 0xA0]  # the version is optional
    _serial, _algorithm, (_, issuer), (_, validity), (_, subject), *rest = fields
    _, (kind, until) = _items(validity)
    name = _name(subject)
    proxy = name.endswith(_OLD_PROXY) or any(
        tag == _EXTENSIONS and _PROXY & set(_extensions(data)) for tag, data in rest
    )
    return Certificate(subject=name, issuer=_name(issuer), expires=_time(kind, until), proxy=proxy)


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            width = size & 0x7F
            size, at = int.from_bytes(data[at : at + width]), at + width
        if at + size > len(data):
            raise ValueError("a certificate that ends too early")
        yield tag, data[at : at + size]
        at += size


def _oid(data: bytes) -> str:
    numbers, value = [], 0
    for byte in data:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def _name(data: bytes) -> str:
    parts = []
    for _, together in _items(data):
        pairs = []
        for _, pair in _items(together):
            (_, kind), (_, value) = _items(pair)
            oid = _oid(kind)
            pairs.append(f"{_NAMES.get(oid, oid)}={_printable(value)}")
        parts.append("/" + "+".join(pairs))
    return "".join(parts)


def _printable(value: bytes) -> str:
    """As OpenSSL 3 does: what would begin another part is escaped."""
    return "".join(_SPECIAL.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02X}") for byte in value)


def _extensions(data: bytes) -> Iterator[str]:
    for _, sequence in _items(data):
        for _, extension in _items(sequence):
            yield _oid(next(_items(extension))[1])


def _time(kind: int, data: bytes) -> datetime:
    text = data.decode("ascii")
    if kind == _UTC_TIME:  # two digits of a year, 1950 to 2049
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
