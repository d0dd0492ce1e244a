"""The identity of a client's user, and the credential for the user's jobs."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from arex.clock import Clock
from arex.controldir import codec
from arex.controldir.delegations import local_subject, store_directory
from arex.errors import CredentialError

if TYPE_CHECKING:
    from arex.credentials import Credential, Token
    from arex.credentials.store import Store
    from plugins.local.delegation import Delegations


class UserCredentials:
    """The user's certificate, proxy and token, searched on first use."""

    def __init__(self, root: Path, clock: Clock, *, subject: str = "", brought: Path | None = None) -> None:
        """
        ``root``: the control directory. ``brought``: a file with a proxy and its key, or a token, used in place
        of the default credential.

        Raises:
            CredentialError: the file cannot be used.
        """
        self._root = root
        self._clock = clock
        self._subject = subject
        self.brought = None if brought is None else self._read(brought)

    def _read(self, path: Path) -> Credential | Token:
        from arex.credentials import credential_files, file, local_identity, token  # noqa: PLC0415 - most users have none

        data = file.content(path)
        if not credential_files.is_certificate(data):
            brought: Credential | Token = token.from_bytes(data, f"the file {path}")
        else:
            brought = file.from_pem(path, data)
            if not brought.has_key:
                raise CredentialError(f"the credential {path} has no private key and cannot be delegated")
            if local_identity.is_local(brought):
                raise CredentialError(
                    f"the credential {path} is the local identity of an account, which no server accepts: use a proxy, "
                    "or submit the job without a credential"
                )
        self._require_valid(brought)
        return brought

    def _require_valid(self, given: Credential | Token) -> None:
        if given.expires <= self._clock.now():
            end = codec.iso_time(given.expires)
            raise CredentialError(f"the credential {_source(given)} expired at {end}: create or fetch a new one first")

    # --- what the user has ---

    @cached_property
    def _found_certificate(self) -> tuple[Credential | None, str]:
        from arex import credentials  # noqa: PLC0415 - most users have none

        if isinstance(self.brought, credentials.Credential):
            return self.brought, ""
        path = credentials.find()
        try:
            return None if path is None else credentials.read(path), ""
        except CredentialError as exc:
            return None, str(exc)

    @cached_property
    def _found_token(self) -> tuple[Token | None, str]:
        from arex.credentials import token  # noqa: PLC0415 - most users have none

        try:
            return token.find(), ""
        except CredentialError as exc:
            return None, str(exc)

    @property
    def certificate(self) -> Credential | None:
        """The user's certificate or proxy; None if there is none that can be parsed. Jobs do not need one."""
        return self._found_certificate[0]

    @property
    def fault(self) -> str:
        """What is wrong with the user's certificate, proxy or token; empty if nothing is, or there is none."""
        return self._found_certificate[1] or self._found_token[1]

    @cached_property
    def subject(self) -> str:
        """The owner of new jobs: the identity of the credential, otherwise the name of the account."""
        if self._subject:
            return self._subject
        return local_subject() if self.certificate is None else self.certificate.identity

    # --- what jobs get ---

    @cached_property
    def store(self) -> Store:
        """The delegation store of this account."""
        from arex.credentials.store import Store  # noqa: PLC0415 - it needs sqlite3

        return Store(store_directory(self._root))

    @cached_property
    def delegations(self) -> Delegations | None:
        """The credential for new jobs, to be put into the store; None if the user has none."""
        given = self.brought or self._proxy or self._found_token[0]
        return None if given is None else self._delegated(given)

    def renewing(self, id_: str) -> Delegations:
        """
        The user's credential for the renewal of a delegated one; a token cannot replace a proxy.

        Raises:
            CredentialError: there is no usable credential of the same kind.
        """
        from arex.credentials import Token, credential_files  # noqa: PLC0415 - few clients do this

        old = self.store.read(id_)
        token = old is not None and not credential_files.is_certificate(old)
        given: Credential | Token | None
        if self.brought is not None and isinstance(self.brought, Token) is token:
            given = self.brought
        else:
            given = self._found_token[0] if token else self._proxy
        if given is None:
            fault = self._found_token[1] if token else self._found_certificate[1]
            lacks = "there is no token" if token else "there is no proxy with a private key"
            raise CredentialError(fault or f"{lacks} to renew from")
        self._require_valid(given)
        return self._delegated(given)

    @property
    def _proxy(self) -> Credential | None:
        """The certificate for jobs; a local identity is not passed on, since no server would accept it."""
        found = self.certificate
        if found is None or not found.has_key:
            return None
        from arex.credentials.local_identity import is_local  # noqa: PLC0415 - most users have no certificate

        return None if is_local(found) else found

    def _delegated(self, given: Credential | Token) -> Delegations:
        from plugins.local.delegation import Delegations  # noqa: PLC0415 - it needs sqlite3

        return Delegations(self.store, self.subject, given)


def _source(given: Credential | Token) -> str:
    return str(getattr(given, "path", "")) or getattr(given, "source", "")
