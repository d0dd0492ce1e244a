"""
Proxies: short-lived certificates with a separate key, signed by a user certificate or another proxy.

Source: RFC 3820; the shape of the file and the names of the policies are those of Globus and ARC.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from arex.controldir import atomic
from arex.credentials import der
from arex.credentials.certificate import DRAFT_PROXY_INFO, PROXY_INFO
from arex.credentials.crypto import NameOID, PrivateKeyTypes, ec, hashes, rsa, serialization, x509
from arex.credentials.signer import Signer
from arex.errors import CredentialError

INHERIT_ALL: Final = "1.3.6.1.5.5.7.21.1"
INDEPENDENT: Final = "1.3.6.1.5.5.7.21.2"
ANY_LANGUAGE: Final = "1.3.6.1.5.5.7.21.0"
LIMITED: Final = "1.3.6.1.4.1.3536.1.1.1.9"
#: A server whose clock is behind ours accepts the proxy too.
SLACK: Final = timedelta(minutes=5)
#: Sizes of RSA keys that servers accept and that can be generated within a second or two.
KEY_BITS: Final = range(1024, 8193)
_CURVES: Final[Mapping[int, Callable[[], ec.EllipticCurve]]] = {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}
_DIGESTS: Final[Mapping[str, Callable[[], hashes.HashAlgorithm]]] = {
    "sha1": hashes.SHA1,
    "sha2": hashes.SHA256,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
DIGESTS: Final = tuple(_DIGESTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What makes a certificate a proxy: its policy, and how many more proxies may follow it."""

    policy: str = INHERIT_ALL  #: object identifier of the policy language
    text: bytes = b""  #: the policy itself, where the language has one
    path_length: int | None = None

    @property
    def limited(self) -> bool:
        return self.policy == LIMITED

    @property
    def encoded(self) -> bytes:
        length = b"" if self.path_length is None else der.integer(self.path_length)
        text = der.item(der.OCTETS, self.text) if self.text else b""
        return der.item(der.SEQUENCE, length, der.item(der.SEQUENCE, der.from_oid(self.policy), text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The requested properties of a proxy, which never outlives its signer."""

    starts: datetime
    ends: datetime
    info: Info = Info()
    bits: int | None = 2048  #: of an RSA key; None is as many as the signer's
    curve: int | None = None  #: an elliptic curve of so many bits in place of RSA: 256, 384, 521
    digest: str = "inherit"  #: one of ``DIGESTS``, or ``inherit``: that of the signer's certificate


def info_of(certificate: x509.Certificate) -> Info | None:
    """
    The proxy information of a certificate; None if it is not a proxy.

    Raises:
        CredentialError: it is a proxy, but cannot be parsed.
    """
    try:
        for extension in certificate.extensions:
            if extension.oid.dotted_string in {PROXY_INFO, DRAFT_PROXY_INFO}:
                assert isinstance(extension.value, x509.UnrecognizedExtension)
                return _info(extension.value.value)
    except (ValueError, IndexError, x509.DuplicateExtension) as exc:
        raise CredentialError(
            f"the extensions of {certificate.subject.rfc4514_string()} cannot be parsed: {exc}"
        ) from exc
    return None


def _info(value: bytes) -> Info:
    [(_, content)] = list(der.items(value))
    length, policy, text = None, "", b""
    for tag, part in der.items(content):
        if tag == der.INTEGER:
            length = int.from_bytes(part, signed=True)
        elif tag == der.SEQUENCE:
            (_, number), *rest = der.items(part)
            policy = der.oid(number)
            text = rest[0][1] if rest else b""
        else:  # the draft has the path length at the end, with a separate context tag
            length = int.from_bytes(next(der.items(part))[1], signed=True)
    return Info(policy=policy, text=text, path_length=length)


def make(signer: Signer, wish: Wish) -> bytes:
    """
    A proxy as PEM: its certificate, its key, then the certificates above it but the authority's own.

    Raises:
        CredentialError: the signer cannot sign it, or the request cannot be met.
    """
    parent = info_of(signer.certificate)
    if parent is not None and parent.path_length is not None and parent.path_length <= 0:
        raise CredentialError("the signing proxy allows no further proxy: its path length is exhausted")
    if parent is not None and parent.limited and wish.info.policy != LIMITED:
        raise CredentialError("a limited proxy can only sign limited proxies")
    if wish.ends <= wish.starts:
        raise CredentialError("the end of a proxy must be after its start")
    key = _new_key(signer, wish)
    certificate = _certificate(signer, wish, key)
    text = serialization.PrivateFormat.TraditionalOpenSSL
    pem = [
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, text, serialization.NoEncryption()),
        *(each.public_bytes(serialization.Encoding.PEM) for each in signer.chain if each.issuer != each.subject),
    ]
    return b"".join(pem)


def _certificate(signer: Signer, wish: Wish, key: PrivateKeyTypes) -> x509.Certificate:
    above = signer.certificate
    starts, ends = max(wish.starts, above.not_valid_before_utc), min(wish.ends, above.not_valid_after_utc)
    if ends <= starts:
        raise CredentialError(f"the signing certificate expired at {above.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")
    serial = secrets.randbelow(2**31 - 1) + 1
    subject = x509.Name([
        *above.subject.rdns,
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, str(serial))]),
    ])  # fmt: skip
    usage = x509.KeyUsage(
        digital_signature=True, key_encipherment=True, content_commitment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    info = x509.UnrecognizedExtension(x509.ObjectIdentifier(PROXY_INFO), wish.info.encoded)
    builder = (
        x509.CertificateBuilder(above.subject, subject, key.public_key(), serial, starts, ends)  # type: ignore[arg-type]
        .add_extension(info, critical=True)
        .add_extension(usage, critical=True)
    )
    try:
        return builder.sign(signer.key, _digest(signer, wish))  # type: ignore[arg-type]
    except (ValueError, TypeError) as exc:
        raise CredentialError(f"cannot sign the proxy: {exc}") from exc


def _digest(signer: Signer, wish: Wish) -> hashes.HashAlgorithm | None:
    if wish.digest != "inherit":
        if wish.digest not in _DIGESTS:
            raise CredentialError(
                f"unknown signing algorithm {wish.digest!r}; expected one of {', '.join(_DIGESTS)}, inherit"
            )
        return _DIGESTS[wish.digest]()
    inherited = signer.certificate.signature_hash_algorithm
    return hashes.SHA256() if inherited is None and isinstance(signer.key, rsa.RSAPrivateKey) else inherited


def _new_key(signer: Signer, wish: Wish) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if wish.curve is not None:
        if wish.curve not in _CURVES:
            raise CredentialError(
                f"no elliptic curve has {wish.curve} bits; expected one of {', '.join(map(str, _CURVES))}"
            )
        return ec.generate_private_key(_CURVES[wish.curve]())
    bits = wish.bits
    if bits is None:
        if isinstance(signer.key, ec.EllipticCurvePrivateKey):
            return ec.generate_private_key(signer.key.curve)
        bits = getattr(signer.key, "key_size", 2048)
    if bits not in KEY_BITS:
        raise CredentialError(
            f"a key of {bits} bits is not supported; expected {KEY_BITS.start} to {KEY_BITS.stop - 1}"
        )
    return rsa.generate_private_key(65537, bits)


def write(path: Path, pem: bytes) -> None:
    """
    Put a proxy into its file, whole, for its owner only.

    Raises:
        CredentialError: it can't be written, or the file is another's.
    """
    try:
        if os.path.lexists(path) and os.lstat(path).st_uid != os.geteuid():
            raise CredentialError(f"the proxy file {path} belongs to another user")
        atomic.put(str(path), pem)
    except OSError as exc:
        raise CredentialError(f"cannot write the proxy file {path}: {exc.strerror}") from exc
