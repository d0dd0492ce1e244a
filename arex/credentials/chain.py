"""
Whether a proxy is valid: every link from its key up to an authority that the site trusts.

Source: RFC 5280 and RFC 3820, section 4. Attributes of virtual organisations are not checked, nor are the
namespaces (``.signing_policy``) of authorities.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from arex.credentials import der
from arex.credentials.certificate import DRAFT_PROXY_INFO, PROXY_INFO
from arex.credentials.crypto import InvalidSignature, NameOID, UnsupportedAlgorithm, x509
from arex.credentials.proxy import INDEPENDENT, Info, info_of
from arex.credentials.signer import belongs, certificates, own_key
from arex.errors import CredentialError

_AUTHORITY: Final = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_REVOKED: Final = re.compile(r"[0-9a-f]{8}\.r[0-9]+")
_MOST_LEVELS: Final = 100
_Kind = TypeVar("_Kind", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and with which certificate."""

    subject: str
    what: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.what}"


@dataclass(frozen=True, slots=True)
class _Level:
    certificate: x509.Certificate
    info: Info | None  #: None: no proxy

    @property
    def name(self) -> str:
        return name_of(self.certificate.subject)


def name_of(name: x509.Name) -> str:
    """As ARC writes it: ``/DC=org/CN=Some User``."""
    [(_, content)] = list(der.items(name.public_bytes()))
    return der.name(content)


def check(path: Path, data: bytes, authorities: Path | None, now: datetime) -> list[Finding]:
    """
    What is wrong with the content of a proxy file; empty if it is valid.

    Args:
        path: its name, for messages.
        data: certificate, key and chain as PEM.
        authorities: ``x509_cert_dir``: authorities and revocation lists under their hashed names.
        now: when.

    Raises:
        CredentialError: it holds no certificate, or one that cannot be parsed.
    """
    found = certificates(data, path)
    trusted = _authorities(authorities)
    levels = [_Level(each, info_of(each)) for each in _path(found, trusted)]
    findings = [*_key(levels[0], data), *_root(levels[-1], trusted)]
    for below, above in itertools.pairwise(levels):
        findings += _link(below, above)
    findings += [Finding(level.name, what) for level in levels for what in _validity(level.certificate, now)]
    findings += _lengths(levels)
    return findings + list(_revoked(levels, authorities, now))


# --- the way up -----------------------------------------------------------------------------------------------------


def _path(found: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Each certificate with its issuer, from the first one up to where no issuer is found."""
    path = [found[0]]
    while path[-1].issuer != path[-1].subject and len(path) < _MOST_LEVELS:
        above = [each for each in (*trusted, *found[1:]) if each.subject == path[-1].issuer and each not in path]
        if not above:
            break
        path.append(next((each for each in above if _signed(path[-1], each)), above[0]))
    return path


def _signed(below: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _authorities(directory: Path | None) -> list[x509.Certificate]:
    return [each for path in _files(directory, _AUTHORITY) for each in _readable(path)]


def _files(directory: Path | None, pattern: re.Pattern[str]) -> list[Path]:
    if directory is None:
        return []
    try:
        return sorted(path for path in directory.iterdir() if pattern.fullmatch(path.name))
    except OSError as exc:
        raise CredentialError(f"cannot read the directory of authorities {directory}: {exc.strerror}") from exc


def _readable(path: Path) -> Sequence[x509.Certificate]:
    try:
        return certificates(path.read_bytes(), path)
    except (CredentialError, OSError):
        return ()  # one of many authorities: a certificate that needs it is reported as not trusted


# --- one by one -----------------------------------------------------------------------------------------------------


def _key(leaf: _Level, data: bytes) -> Iterator[Finding]:
    key = own_key(data)
    if key is None:
        yield Finding(leaf.name, "it has no private key that is usable without a passphrase")
    elif not belongs(key, leaf.certificate):
        yield Finding(leaf.name, "its private key belongs to another certificate")


def _root(last: _Level, trusted: Sequence[x509.Certificate]) -> Iterator[Finding]:
    if last.certificate not in trusted:
        yield Finding(last.name, f"no trusted authority issued it: {name_of(last.certificate.issuer)} is not known")


def _validity(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    if now < certificate.not_valid_before_utc:
        yield f"it is not valid before {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
    if now > certificate.not_valid_after_utc:
        yield f"it expired at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"


def _link(below: _Level, above: _Level) -> Iterator[Finding]:
    """Whether one certificate may be the issuer of another."""
    if not _signed(below.certificate, above.certificate):
        yield Finding(below.name, f"it is not signed by {above.name}")
    if below.info is None:
        yield from _issued_by_authority(below, above)
        return
    yield from _proxy(below, above)


def _issued_by_authority(below: _Level, above: _Level) -> Iterator[Finding]:
    if above.info is not None:
        yield Finding(below.name, "it was issued by a proxy, but is not a proxy")
        return
    constraints = _extension(above.certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        yield Finding(below.name, f"it is not a proxy, and {above.name} is not an authority")
    usage = _extension(above.certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield Finding(above.name, "it is not allowed to sign certificates")


def _proxy(below: _Level, above: _Level) -> Iterator[Finding]:
    assert below.info is not None
    subject, issuer = below.certificate.subject.rdns, above.certificate.subject.rdns
    added = subject[len(issuer) :]
    if subject[: len(issuer)] != issuer or [len(list(part)) for part in added] != [1]:
        yield Finding(below.name, "the name of a proxy is that of its issuer and one CN")
    elif next(iter(added[0])).oid != NameOID.COMMON_NAME:
        yield Finding(below.name, "the name of a proxy ends in a CN")
    if not _critical(below.certificate):
        yield Finding(below.name, "its proxy extension is not marked as critical")
    for kind in (x509.SubjectAlternativeName, x509.IssuerAlternativeName):
        if _extension(below.certificate, kind) is not None:
            yield Finding(below.name, "a proxy must not have an alternative name")
    constraints = _extension(below.certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        yield Finding(below.name, "a proxy must not be an authority")
    usage = _extension(above.certificate, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        yield Finding(above.name, "it is not allowed to sign anything, so it cannot sign a proxy")
    if above.info is not None and above.info.limited and not (below.info.limited or below.info.policy == INDEPENDENT):
        yield Finding(below.name, "it is not limited, but its issuer is")


def _critical(certificate: x509.Certificate) -> bool:
    return any(
        extension.critical
        for extension in certificate.extensions
        if extension.oid.dotted_string in {PROXY_INFO, DRAFT_PROXY_INFO}
    )


def _extension(certificate: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _lengths(levels: Sequence[_Level]) -> Iterator[Finding]:
    """Check the limits on the number of proxies and of authorities below each certificate."""
    for depth, level in enumerate(levels):
        if level.info is not None and level.info.path_length is not None and level.info.path_length < depth:
            yield Finding(level.name, f"it allows {level.info.path_length} proxies below it, and there are {depth}")
        constraints = None if level.info is not None else _extension(level.certificate, x509.BasicConstraints)
        if constraints is not None and constraints.path_length is not None:
            between = sum(each.info is None for each in levels[:depth]) - 1
            if constraints.path_length < between:
                what = f"it allows {constraints.path_length} authorities below it, and there are {between}"
                yield Finding(level.name, what)


# --- revocation -----------------------------------------------------------------------------------------------------


def _revoked(levels: Sequence[_Level], directory: Path | None, now: datetime) -> Iterator[Finding]:
    lists = list(_lists(directory))
    for below, above in itertools.pairwise(levels):
        if below.info is None:
            for listed in lists:
                if listed.issuer == below.certificate.issuer:
                    yield from _by_list(below, above, listed, now)


def _by_list(below: _Level, above: _Level, listed: x509.CertificateRevocationList, now: datetime) -> Iterator[Finding]:
    try:
        valid = listed.is_signature_valid(above.certificate.public_key())  # type: ignore[arg-type]
    except (TypeError, UnsupportedAlgorithm):
        valid = False
    if not valid:
        yield Finding(above.name, "its revocation list is not signed by its authority")
        return
    if listed.next_update_utc is not None and listed.next_update_utc < now:
        yield Finding(above.name, f"its revocation list expired at {listed.next_update_utc:%Y-%m-%dT%H:%M:%SZ}")
    if listed.get_revoked_certificate_by_serial_number(below.certificate.serial_number) is not None:
        yield Finding(below.name, "it has been revoked")


def _lists(directory: Path | None) -> Iterator[x509.CertificateRevocationList]:
    for path in _files(directory, _REVOKED):
        try:
            data = path.read_bytes()
            load = x509.load_pem_x509_crl if b"-----BEGIN" in data else x509.load_der_x509_crl
            yield load(data)
        except (ValueError, OSError) as exc:
            raise CredentialError(f"the revocation list {path} cannot be parsed: {exc}") from exc
