"""A file with a certificate, as users have them: where it is, and what it says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from arex.controldir import atomic
from arex.credentials.certificate import identity, in_pem, levels, parse
from arex.errors import ControlDirError, CredentialError

LARGEST: Final = 1024 * 1024
#: Where grid tools look for the proxy or token of an account.
SHARED: Final = "/tmp"  # noqa: S108
_KEY: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")


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


def proxy_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the proxy of this user belongs: ``$X509_USER_PROXY``, else ``/tmp/x509up_u<uid>``."""
    return Path(environ.get("X509_USER_PROXY") or f"{SHARED}/x509up_u{os.getuid()}")


def find(environ: Mapping[str, str] = os.environ) -> Path | None:
    """
    The credential file of this user: ``$X509_USER_PROXY``, ``/tmp/x509up_u<uid>``, ``$X509_USER_CERT``,
    ``~/.globus/usercert.pem``; the first that exists.
    """
    home = environ.get("HOME", "")
    names = [
        environ.get("X509_USER_PROXY", ""),
        f"{SHARED}/x509up_u{os.getuid()}",
        environ.get("X509_USER_CERT", ""),
        f"{home}/.globus/usercert.pem" if home else "",
    ]
    return next((Path(name) for name in names if name and os.path.isfile(name)), None)  # noqa: PTH113 - start-up time


def content(path: Path, what: str = "credential") -> bytes:
    """
    The bytes of a user's credential file.

    Raises:
        CredentialError: it cannot be read, or belongs to another user.
    """
    try:
        if path.stat().st_uid not in {os.geteuid(), 0}:
            raise CredentialError(f"the {what} {path} belongs to another user")
        return atomic.read(str(path.resolve()), limit=LARGEST) or b""
    except (OSError, ControlDirError) as exc:
        raise CredentialError(f"cannot read the {what} {path}: {getattr(exc, 'strerror', None) or exc}") from exc


def read(path: Path) -> Credential:
    """
    Read a credential file.

    Raises:
        CredentialError: it cannot be read, belongs to another user, or contains no certificate.
    """
    return from_pem(path, content(path))


def from_pem(path: Path, data: bytes) -> Credential:
    """
    What the content of a credential file says.

    Raises:
        CredentialError: it holds no certificate.
    """
    try:
        chain = [parse(der) for der in in_pem(data)]
    except (ValueError, IndexError) as exc:
        raise CredentialError(f"the credential {path} cannot be parsed: {exc}") from exc
    if not chain:
        raise CredentialError(f"the credential {path} contains no certificate")
    return Credential(
        path=path,
        subject=chain[0].subject,
        issuer=chain[0].issuer,
        identity=identity(chain),
        expires=min(certificate.expires for certificate in levels(chain)),
        pem=data,
        has_key=_KEY.search(data) is not None,
    )
