"""A certificate with its private key, from files of users: PEM, DER or PKCS#12."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from arex.credentials.crypto import PrivateKeyTypes, UnsupportedAlgorithm, pkcs12, serialization, x509
from arex.credentials.file import content
from arex.errors import CredentialError

#: Returns the passphrase of a key; called only if it is needed.
Passphrase = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Signer:
    """What signs a proxy: a key, and the chain whose first certificate belongs to it."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes = field(repr=False)

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]


def read(certificate: Path, key: Path | None, passphrase: Passphrase) -> Signer:
    """
    Read certificate and key; ``key`` may be missing or the same file if that holds both.

    Raises:
        CredentialError: one cannot be read, other users can read the key, or they do not belong together.
    """
    data = content(certificate, "certificate")
    if b"-----BEGIN" in data or _is_der(data):
        chain = certificates(data, certificate)
        where = key or certificate
        _refuse_open(where)
        signer = Signer(chain, _key(content(where, "key"), where, passphrase))
    else:
        _refuse_open(certificate)
        signer = _bundle(data, certificate, passphrase)
    if not belongs(signer.key, signer.certificate):
        raise CredentialError(f"the key {key or certificate} does not belong to the certificate {certificate}")
    return signer


def certificates(data: bytes, path: Path) -> tuple[x509.Certificate, ...]:
    """
    All certificates of a file, in their order.

    Raises:
        CredentialError: one is missing or cannot be parsed.
    """
    try:
        if b"-----BEGIN" not in data:
            return (x509.load_der_x509_certificate(data),)
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError as exc:
        raise CredentialError(f"the certificate {path} cannot be parsed: {exc}") from exc


def own_key(data: bytes) -> PrivateKeyTypes | None:
    """The key in a proxy file; None if there is none, or if it has a passphrase or cannot be parsed."""
    try:
        return serialization.load_pem_private_key(data[max(0, _key_at(data)) :], None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def belongs(key: PrivateKeyTypes, certificate: x509.Certificate) -> bool:
    """Whether the key belongs to the certificate."""
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)


def _is_der(data: bytes) -> bool:
    try:
        x509.load_der_x509_certificate(data)
    except ValueError:
        return False
    return True


def _refuse_open(path: Path) -> None:
    mode = stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116 - it has been read a moment ago
    if mode & 0o077:
        raise CredentialError(f"the key {path} is readable by other users (mode {mode:04o}): run chmod 600 {path}")


def _key_at(data: bytes) -> int:
    """Where the block of the key begins: certificates may stand before it."""
    end = data.find(b"PRIVATE KEY-----")
    return -1 if end < 0 else data.rfind(b"-----BEGIN", 0, end)


def _key(data: bytes, path: Path, passphrase: Passphrase) -> PrivateKeyTypes:
    at = _key_at(data)
    if at < 0 and b"-----BEGIN" in data:
        raise CredentialError(f"the file {path} contains no private key")
    block = data[at:] if at >= 0 else data
    load = serialization.load_pem_private_key if at >= 0 else serialization.load_der_private_key
    try:
        if b"ENCRYPTED" in block.partition(b"-----END")[0]:
            return load(block, passphrase())
        return load(block, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise CredentialError(f"cannot read the key {path}: wrong passphrase, or not a key") from exc


def _bundle(data: bytes, path: Path, passphrase: Passphrase) -> Signer:
    try:
        found = pkcs12.load_pkcs12(data, passphrase())
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise CredentialError(
            f"{path} is not a certificate in PEM, DER or PKCS#12, or the passphrase is wrong"
        ) from exc
    if found.cert is None or found.key is None:
        raise CredentialError(f"{path} contains no certificate with its key")
    return Signer((found.cert.certificate, *(each.certificate for each in found.additional_certs)), found.key)
