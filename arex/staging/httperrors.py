"""What went wrong over HTTP, as a trouble with a verdict: a status that refuses, a connection that broke."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from typing import Final

import aiohttp

from arex.staging.mover import Trouble, Verdict

#: What a connection or an answer may raise.
FAULTS: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)

_MEANING: Final[Mapping[int, tuple[Verdict, str]]] = {
    404: (Verdict.NOT_FOUND, "No such file or directory"),
    410: (Verdict.NOT_FOUND, "No such file or directory"),
    401: (Verdict.PERMANENT, "Permission denied"),
    403: (Verdict.PERMANENT, "Permission denied"),
    407: (Verdict.PERMANENT, "Permission denied"),
    408: (Verdict.TEMPORARY, "Connection timed out"),
    413: (Verdict.NO_SPACE, "File too large"),
    425: (Verdict.TEMPORARY, "Resource temporarily unavailable"),
    429: (Verdict.TEMPORARY, "Resource temporarily unavailable"),
    501: (Verdict.PERMANENT, "Operation not supported"),
    505: (Verdict.PERMANENT, "Operation not supported"),
    507: (Verdict.NO_SPACE, "No space left on device"),
}


def refusal(status: int, reason: str, lacking: str, retry_after: float | None) -> Trouble:
    """What a status means; ``lacking`` is what is wrong with the credential."""
    verdict, word = _MEANING.get(
        status,
        (Verdict.TEMPORARY, "Resource temporarily unavailable")
        if status >= 500
        else (Verdict.PERMANENT, "Operation not permitted"),
    )
    cure = ""
    if status in {400, 401, 403} and lacking:
        verdict, cure = Verdict.CREDENTIAL, f"{lacking}; renew it"
    elif status in {401, 403}:
        cure = "ask the server's administrators for access"
    return Trouble(verdict, f"{word}: {reason}", cure=cure, retry_after=retry_after)


def causes(exc: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from, the last first."""
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def broken(exc: Exception, lacking: str) -> Trouble:
    """A connection that failed, or was not understood."""
    text = next((str(each) for each in causes(exc) if str(each)), type(exc).__name__)
    text = " ".join(text.split())[:300]
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return Trouble(
            Verdict.PERMANENT,
            f"the server's certificate is not trusted: {exc.certificate_error}",
            cure="check x509_cert_dir, and the host name in the URL",
        )
    if any(isinstance(each, ssl.SSLError) for each in causes(exc)):
        if lacking:
            return Trouble(Verdict.CREDENTIAL, f"TLS: {text}", cure=f"{lacking}; renew it")
        return Trouble(Verdict.PERMANENT if "ALERT" in text.upper() else Verdict.TEMPORARY, f"TLS: {text}")
    if isinstance(exc, aiohttp.InvalidURL | UnicodeError):  # the latter of a name that no host can have
        return Trouble(Verdict.PERMANENT, "not a URL that can be asked for")
    if isinstance(exc, aiohttp.ClientPayloadError):
        return Trouble(Verdict.TEMPORARY, "the answer ended too early")
    if isinstance(exc, aiohttp.ServerDisconnectedError):
        return Trouble(Verdict.TEMPORARY, "the server closed the connection")
    if isinstance(exc, aiohttp.ClientConnectorError):
        return Trouble(Verdict.TEMPORARY, f"no connection: {exc.os_error.strerror or exc.os_error}")
    if isinstance(exc, TimeoutError):
        return Trouble(Verdict.TEMPORARY, "Connection timed out")
    return Trouble(Verdict.TEMPORARY, text)
