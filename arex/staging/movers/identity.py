"""Who a transfer is made for, as servers see it: a certificate with its key, or a token, out of a credential file."""

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
#: A credential file is looked at again after so long.
_FRESH_S: Final = 5.0
#: One that is of no use, which may be renewed at any moment; not for each of thousands of files, though.
_USELESS_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """What a credential file holds. Two of one version are equal."""

    path: Path | None = None  #: of a certificate with its key
    version: tuple[int, int] = (0, 0)  #: time and size of the file
    token: str = ""
    expires: datetime | None = None
    lacks: str = ""  #: why there is none

    def trouble(self, now: datetime) -> str:
        """What is wrong with it, if that may be why a server refuses; else nothing."""
        if self.expires is not None and self.expires <= now:
            return f"the credential expired at {self.expires:%Y-%m-%d %H:%M:%S} UTC"
        return self.lacks


ANONYMOUS: Final = ClientIdentity()


def read(path: Path) -> ClientIdentity:
    """A credential file, as far as there is one; never an error: most servers of public data ask for none."""
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
    """Credential files as they were a moment ago."""

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
    How servers are checked, and what they are shown.

    Authorities are those of the hashed directory; of the system, if that has none.

    Raises:
        TransferError: the certificate can't be used.
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
