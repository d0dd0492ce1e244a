"""Paths of delegated credentials: each account has one store in the control directory, each credential is one file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from arex.errors import CredentialError

_ID: Final = re.compile("[0-9A-Za-z]{1,64}")
#: Organization in the subject of users without a credential.
LOCAL_ORGANIZATION: Final = "local"


def user_name() -> str:
    """Name of the account of this process, independent of the environment; the uid if the account has no name."""
    import pwd  # noqa: PLC0415 - few clients need it, and they must start quickly

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def local_subject() -> str:
    """The owner of jobs that this account submits without a credential."""
    return f"/O={LOCAL_ORGANIZATION}/CN={user_name()}"


def store_directory(controldir: Path) -> Path:
    """The store of the account of this process. Source: control directories of ARC 6.17."""
    return controldir / ("delegations" if os.geteuid() == 0 else f"delegations.{user_name()}")


def credential_path(store: Path, id_: str) -> Path:
    """
    Path of a credential: three letters of the id for each directory; the last four or fewer are the file name.

    Raises:
        CredentialError: not a valid id; it might lead out of the store.
    """
    if _ID.fullmatch(id_) is None:
        raise CredentialError(f"not a delegation id: {id_[:80]!r}")
    parts, rest = [], id_
    while len(rest) > 4:
        parts.append(rest[:3])
        rest = rest[3:]
    return store.joinpath(*parts, rest)
