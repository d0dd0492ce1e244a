"""Paths of delegated credentials: one store for each account in the control directory, one file for each credential."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from arex.errors import CredentialError

_ID: Final = re.compile("[0-9A-Za-z]{1,64}")


def user_name() -> str:
    """Name of the account of this process, independent of its environment; the uid if it has no name."""
    import pwd  # noqa: PLC0415 - clients start often and mostly need no name

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def store_directory(controldir: Path) -> Path:
    """The store of the account of this process. Source: control directories of ARC 6.17."""
    return controldir / ("delegations" if os.geteuid() == 0 else f"delegations.{user_name()}")


def credential_path(store: Path, id_: str) -> Path:
    """
    The file of a credential: three letters a directory, while more than four are left.

    Raises:
        CredentialError: not an id, and it might lead elsewhere.
    """
    if _ID.fullmatch(id_) is None:
        raise CredentialError(f"not a delegation id: {id_[:80]!r}")
    parts, rest = [], id_
    while len(rest) > 4:
        parts.append(rest[:3])
        rest = rest[3:]
    return store.joinpath(*parts, rest)
