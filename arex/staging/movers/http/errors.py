"""Converts errors of HTTP, such as a status or a lost connection, into ``TransferError``."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from typing import Final

import aiohttp

from arex.staging.movers.base import ErrorKind, TransferError

#: What a connection or an answer may raise.
FAULTS: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)

_MEANING: Final[Mapping[int, tuple[ErrorKind, str]]] = {
    404: (ErrorKind.NOT_FOUND, "No such file or directory"),
    410: (ErrorKind.NOT_FOUND, "No such file or directory"),
    401: (ErrorKind.PERMANENT, "Permission denied"),
    403: (ErrorKind.PERMANENT, "Permission denied"),
    407: (ErrorKind.PERMANENT, "Permission denied"),
    408: (ErrorKind.TEMPORARY, "Connection timed out"),
    413: (ErrorKind.NO_SPACE, "File too large"),
    425: (ErrorKind.TEMPORARY, "Resource temporarily unavailable"),
    429: (ErrorKind.TEMPORARY, "Resource temporarily unavailable"),
    501: (ErrorKind.PERMANENT, "Operation not supported"),
    505: (ErrorKind.PERMANENT, "Operation not supported"),
    507: (ErrorKind.NO_SPACE, "No space left on device"),
}


def refusal(status: int, reason: str, lacking: str, retry_after: float | None) -> TransferError:
    """The error for a status; ``lacking`` is what is wrong with the credential."""
    verdict, word = _MEANING.get(
        status,
        (ErrorKind.TEMPORARY, "Resource temporarily unavailable")
        if status >= 500
        else (ErrorKind.PERMANENT, "Operation not permitted"),
    )
    cure = ""
    if status in {400, 401, 403} and lacking:
        verdict, cure = ErrorKind.CREDENTIAL, f"{lacking}; renew it"
    elif status in {401, 403}:
        cure = "ask the server's administrators for access"
    return TransferError(verdict, f"{word}: {reason}", cure=cure, retry_after=retry_after)


def causes(exc: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes, the error itself first."""
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def broken(exc: Exception, lacking: str) -> TransferError:
    """The error for a failed connection or an invalid answer."""
    text = next((str(each) for each in causes(exc) if str(each)), type(exc).__name__)
    text = " ".join(text.split())[:300]
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return TransferError(
            ErrorKind.PERMANENT,
            f"the server's certificate is not trusted: {exc.certificate_error}",
            cure="check x509_cert_dir, and the host name in the URL",
        )
    if any(isinstance(each, ssl.SSLError) for each in causes(exc)):
        if lacking:
            return TransferError(ErrorKind.CREDENTIAL, f"TLS: {text}", cure=f"{lacking}; renew it")
        return TransferError(ErrorKind.PERMANENT if "ALERT" in text.upper() else ErrorKind.TEMPORARY, f"TLS: {text}")
    if isinstance(exc, aiohttp.InvalidURL | UnicodeError):  # UnicodeError: an impossible host name
        return TransferError(ErrorKind.PERMANENT, "invalid URL")
    if isinstance(exc, aiohttp.ClientPayloadError):
        return TransferError(ErrorKind.TEMPORARY, "the response is incomplete")
    if isinstance(exc, aiohttp.ServerDisconnectedError):
        return TransferError(ErrorKind.TEMPORARY, "the server closed the connection")
    if isinstance(exc, aiohttp.ClientConnectorError):
        return TransferError(ErrorKind.TEMPORARY, f"no connection: {exc.os_error.strerror or exc.os_error}")
    if isinstance(exc, TimeoutError):
        return TransferError(ErrorKind.TEMPORARY, "Connection timed out")
    return TransferError(ErrorKind.TEMPORARY, text)
