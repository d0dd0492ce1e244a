"""
A local identity: a self-signed certificate that names the account of this user as the owner of jobs on this host.

Jobs without a credential belong to ``/O=local/CN=USER``. ARC's own clients show a user only the jobs of the subject of
the certificate that they find, and do not start without one; with this certificate they show these jobs. It proves
nothing to a server, and arex never passes it on to a job.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from arex.controldir import atomic
from arex.controldir.delegations import LOCAL_ORGANIZATION, local_subject, user_name
from arex.credentials.file import Credential, read
from arex.errors import CredentialError

LIFETIME: Final = timedelta(days=365)
_BITS: Final = 2048
_SLACK: Final = timedelta(minutes=5)  # a clock of another host that shares the home directory may be behind ours


def default_path(home: Path) -> Path:
    """Where the identity is, unless the user chooses another file. It is no place where grid tools look for a proxy."""
    return home / ".arc" / "local-identity.pem"


def is_local(credential: Credential) -> bool:
    """Whether a credential is the local identity of an account, which no server accepts."""
    local = credential.subject.startswith(f"/O={LOCAL_ORGANIZATION}/CN=")
    return local and credential.subject == credential.issuer == credential.identity


def make(now: datetime, lifetime: timedelta = LIFETIME) -> bytes:
    """
    A new identity of this account as PEM: certificate and key.

    Raises:
        CredentialError: the package cryptography is missing.
    """
    from arex.credentials.crypto import NameOID, hashes, rsa, serialization, x509  # noqa: PLC0415 - optional package

    key = rsa.generate_private_key(65537, _BITS)
    name = x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, LOCAL_ORGANIZATION),
        x509.NameAttribute(NameOID.COMMON_NAME, user_name()),
    ])  # fmt: skip
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - _SLACK, now + lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = serialization.PrivateFormat.TraditionalOpenSSL
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, text, serialization.NoEncryption()
    )


def write(path: Path, pem: bytes) -> Credential:
    """
    Write an identity to a file that only its owner can read. An older identity is replaced, and nothing else.

    Raises:
        CredentialError: the file is something else, or cannot be written.
    """
    try:
        if path.is_symlink() or path.exists():
            _require_replaceable(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic.put(str(path), pem)
    except OSError as exc:
        raise CredentialError(f"cannot write the local identity {path}: {exc.strerror}") from exc
    return read(path)


def _require_replaceable(path: Path) -> None:
    try:
        old = read(path)
    except CredentialError as exc:
        raise CredentialError(f"{exc}; it is not replaced by a local identity: choose another file with -P") from exc
    if path.is_symlink() or not is_local(old) or old.subject != local_subject():
        raise CredentialError(
            f"{path} is a credential of {old.identity}, which is not replaced by a local identity: choose another file "
            "with -P"
        )
