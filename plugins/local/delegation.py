"""
The credential of a user, given to jobs.

Client, service and user are the same account here, so a copy of the user's own proxy, or token, does what a delegated
one does elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from arex.credentials import Credential, Token
from arex.credentials.store import Store
from arex.model.ids import JobId


@dataclass(frozen=True, slots=True)
class Delegated:
    """A credential in the store."""

    id: str
    expires: datetime
    proxy: bytes | None  #: for ``.proxy``; a token is in the store alone, jobs do not see it


class Delegations:
    """The store of one user, and the credential that goes into it."""

    def __init__(self, store: Store, owner: str, credential: Credential | Token) -> None:
        self._store = store
        self._owner = owner
        self._credential = credential

    def keep(self, job: JobId) -> Delegated:
        """
        Hold the credential for a job.

        Raises:
            CredentialError: the store can't be used.
        """
        return self._given(self._store.keep(self._owner, self._data, job))

    def renew(self, id_: str, job: JobId) -> tuple[Delegated, list[JobId]]:
        """
        Put the credential in place of what is behind an id; also the jobs that share it, ``job`` among them.

        Raises:
            CredentialError: that is no id, or the store can't be used.
        """
        jobs = self._store.renew(id_, self._owner, self._data, job)
        return self._given(id_), jobs

    def release(self, job: JobId) -> None:
        """Give back what a job held that was never made."""
        self._store.give_back(job)

    @property
    def _data(self) -> bytes:
        given = self._credential
        return given.pem if isinstance(given, Credential) else given.secret + b"\n"

    def _given(self, id_: str) -> Delegated:
        given = self._credential
        return Delegated(id_, given.expires, given.pem if isinstance(given, Credential) else None)
