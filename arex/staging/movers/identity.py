"""The identity that servers see: a certificate with its key, or a token, from a credential file."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from arex import credentials
from arex.clock import Clock
from arex.credentials.token import expiry
from arex.errors import CredentialError
from arex.staging.movers.base import ErrorKind, TransferError

_LARGEST: Final = 1024 * 1024
_TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/=-]{8,16384}")
#: A credential file is read again after this time.
_FRESH_S: Final = 5.0
#: The same for an unusable credential, which may be renewed at any moment; reading it for every file is too slow.
_USELESS_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """The content of a credential file. Two of the same version are equal."""

    path: Path | None = None  #: of a certificate with its key
    version: tuple[int, int] = (0, 0)  #: time and size of the file
    token: str = ""
    expires: datetime | None = None
    lacks: str = ""  #: why the file has no usable credential

    def trouble(self, now: datetime) -> str:
        """Why a server may refuse this credential; empty if it is valid."""
        if self.expires is not None and self.expires <= now:
            return f"the credential expired at {self.expires:%Y-%m-%d %H:%M:%S} UTC"
        return self.lacks


ANONYMOUS: Final = ClientIdentity()


def read(path: Path) -> ClientIdentity:
    """Read a credential file. A missing or invalid one is no error, as servers of public data do not ask for it."""
    try:
        info = path.stat()
        data = path.read_bytes() if info.st_size <= _LARGEST else b""
    except OSError as exc:
        return ClientIdentity(lacks=f"cannot read the credential: {exc.strerror}")
    version = (info.st_mtime_ns, info.st_size)
    if b"-----BEGIN" in data:
        try:
            found = credentials.read(path)
        except CredentialError as exc:
            return ClientIdentity(version=version, lacks=f"the credential cannot be parsed: {exc}")
        if not found.has_key:
            return ClientIdentity(version=version, lacks="the credential has no key")
        return ClientIdentity(path=path, version=version, expires=found.expires)
    token = data.strip()
    if not _TOKEN.fullmatch(token):
        return ClientIdentity(version=version, lacks="the credential is neither a certificate nor a token")
    return ClientIdentity(version=version, token=token.decode(), expires=expiry(token))


class ClientIdentities:
    """The credentials of jobs, cached for a moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[Path, tuple[float, ClientIdentity]] = {}

    async def of(self, path: Path | None) -> ClientIdentity:
        if path is None:
            return ANONYMOUS
        seen = self._seen.get(path)
        now = self._clock.monotonic()
        if seen is None or now - seen[0] > (_USELESS_S if seen[1].trouble(self._clock.now()) else _FRESH_S):
            if len(self._seen) > 10_000:
                self._seen.clear()
            self._seen[path] = seen = (now, await asyncio.to_thread(read, path))
        return seen[1]


def context(cert_dir: Path, identity: ClientIdentity) -> ssl.SSLContext:
    """
    How servers are verified, and the client certificate.

    Certificate authorities are taken from ``cert_dir``, or from the system if that directory is empty or missing.

    Raises:
        TransferError: the client certificate can't be used.
    """
    made = ssl.create_default_context() if not _has_files(cert_dir) else ssl.create_default_context(capath=cert_dir)
    if identity.path is not None:
        try:
            made.load_cert_chain(identity.path)
        except (OSError, ValueError) as exc:
            raise TransferError(
                ErrorKind.CREDENTIAL, f"cannot use the credential: {exc}", cure="use another credential for the job"
            ) from exc
    return made


def _has_files(directory: Path) -> bool:
    try:
        return next(directory.iterdir(), None) is not None
    except OSError:
        return False
