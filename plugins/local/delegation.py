"""
Delegation of the user's credential to jobs.

Client, service and user are the same account here, so a copy of the user's proxy or token takes the place of
a delegated one.
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
    proxy: bytes | None  #: for ``.proxy``; a token is only in the store, and jobs cannot read it


class Delegations:
    """The store of one user, and the credential for new jobs."""

    def __init__(self, store: Store, owner: str, credential: Credential | Token) -> None:
        self._store = store
        self._owner = owner
        self._credential = credential

    def keep(self, job: JobId) -> Delegated:
        """
        Lock the credential for a job.

        Raises:
            CredentialError: the store cannot be used.
        """
        return self._given(self._store.keep(self._owner, self._data, job))

    def renew(self, id_: str, job: JobId) -> tuple[Delegated, list[JobId]]:
        """
        Replace the credential with this id; returns the jobs that share it, including ``job``.

        Raises:
            CredentialError: the id is invalid, or the store cannot be used.
        """
        jobs = self._store.renew(id_, self._owner, self._data, job)
        return self._given(id_), jobs

    def release(self, job: JobId) -> None:
        """Release the credential of a job that was not created."""
        self._store.give_back(job)

    @property
    def _data(self) -> bytes:
        given = self._credential
        return given.pem if isinstance(given, Credential) else given.secret + b"\n"

    def _given(self, id_: str) -> Delegated:
        given = self._credential
        return Delegated(id_, given.expires, given.pem if isinstance(given, Credential) else None)
