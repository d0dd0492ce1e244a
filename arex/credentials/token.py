"""
Tokens for servers that accept ``Authorization: Bearer``. Only their expiry is read here.

A token is as secret as a key: it is kept in files of mode 0600 and sent only to the server that needs it.
Source: RFC 7519 (JWT), WLCG Bearer Token Discovery 1.0.
"""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from arex.credentials import file
from arex.credentials.file import content
from arex.errors import CredentialError

_TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/=-]{8,16384}")
#: A token that does not say when it ends.
ENDLESS: Final = datetime(2999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token and where it came from."""

    source: str  #: the file, or ``$BEARER_TOKEN``
    expires: datetime  #: ``ENDLESS`` if it does not say
    secret: bytes = field(repr=False)


def expiry(token: bytes) -> datetime | None:
    """When a JWT ends; None for another kind of token, or one that does not say."""
    import json  # noqa: PLC0415 - start-up time

    try:
        payload = token.split(b".")[1].translate(bytes.maketrans(b"-_", b"+/"))
        claims = json.loads(binascii.a2b_base64(payload + b"=" * (-len(payload) % 4)))
        return datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (IndexError, ValueError, KeyError, TypeError, OverflowError, OSError):
        return None


def from_bytes(data: bytes, source: str) -> Token:
    """
    Raises:
        CredentialError: this is no token.
    """
    secret = data.strip()
    if _TOKEN.fullmatch(secret) is None:
        raise CredentialError(f"{source} contains no token")
    return Token(source=source, expires=expiry(secret) or ENDLESS, secret=secret)


def read(path: Path) -> Token:
    """
    The token in a file.

    Raises:
        CredentialError: it cannot be read, belongs to another user, or contains no token.
    """
    return from_bytes(content(path, "token"), str(path))


def find(environ: Mapping[str, str] = os.environ) -> Token | None:
    """
    The token of this user: ``$BEARER_TOKEN``, the file ``$BEARER_TOKEN_FILE``, ``bt_u<uid>`` in ``$XDG_RUNTIME_DIR``,
    the same in ``/tmp``; the first that there is.

    Raises:
        CredentialError: it exists and is not a token.
    """
    if token := environ.get("BEARER_TOKEN", ""):
        return from_bytes(token.encode("utf-8", "surrogateescape"), "$BEARER_TOKEN")
    if name := environ.get("BEARER_TOKEN_FILE", ""):
        return read(Path(name))
    name = f"bt_u{os.geteuid()}"
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    places = [*([runtime] if runtime else []), file.SHARED]
    found = next((f"{place}/{name}" for place in places if os.path.isfile(f"{place}/{name}")), None)  # noqa: PTH113
    return None if found is None else read(Path(found))
