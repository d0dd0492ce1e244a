"""Keys for S3: those of a job out of its credential file, those of the service as AWS tools find them; signatures."""

from __future__ import annotations

import asyncio
import configparser
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from yarl import URL

from arex.clock import Clock

try:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session
except ModuleNotFoundError as exc:
    raise ModuleNotFoundError(f"the package {exc.name} is missing: pip install 'arex[s3]'") from exc

_LARGEST: Final = 64 * 1024
#: Credential files, and keys that are renewed automatically, are read again after this time.
_FRESH_S: Final = 30.0
_MOST_FILES: Final = 10_000
_ACCESS: Final = ("aws_access_key_id", "access_key_id", "access_key", "accesskeyid")
_SECRET: Final = ("aws_secret_access_key", "secret_access_key", "secret_key", "secretaccesskey")
_SESSION: Final = ("aws_session_token", "session_token", "sessiontoken")


@dataclass(frozen=True, slots=True)
class Keys:
    """The identity of the keys; empty for anonymous access."""

    access: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    region: str = ""
    of_job: bool = False

    @property
    def origin(self) -> str:
        return "of the job" if self.of_job else "of the service's account"


class Keyring:
    """The keys of jobs and of the service, cached for a moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[Path | None, tuple[float, Keys | None]] = {}
        self._session = Session()
        self._lock = asyncio.Lock()

    async def of(self, path: Path | None) -> Keys:
        """The keys in the file, or else those of the service."""
        return (await self._fresh(path) if path is not None else None) or await self._fresh(None) or Keys()

    async def _fresh(self, path: Path | None) -> Keys | None:
        async with self._lock:
            seen, now = self._seen.get(path), self._clock.monotonic()
            if seen is None or now - seen[0] > _FRESH_S:
                if len(self._seen) > _MOST_FILES:
                    self._seen.clear()
                found = await asyncio.to_thread(self._service) if path is None else await asyncio.to_thread(read, path)
                self._seen[path] = seen = (now, found)
            return seen[1]

    def _service(self) -> Keys | None:
        """Environment, ~/.aws, container, machine: in the order of AWS tools."""
        try:
            found = self._session.get_credentials()
            if found is None:
                return None
            now = found.get_frozen_credentials()
            region = self._session.get_config_variable("region") or ""
        except BotoCoreError:
            return None
        return Keys(now.access_key, now.secret_key, now.token or "", region)


def read(path: Path) -> Keys | None:
    """
    The keys in a credential file: JSON, or an ini file as AWS tools have it; None if it holds something else.

    Names may be those of AWS with or without ``aws_``, or ``access_key`` and ``secret_key``; ``region`` may be there.
    """
    try:
        text = path.read_text() if path.stat().st_size <= _LARGEST else ""
    except (OSError, UnicodeDecodeError):
        return None
    values = _from_json(text) if text.lstrip().startswith("{") else _from_ini(text)
    access, secret, token = (_first(values, names) for names in (_ACCESS, _SECRET, _SESSION))
    return Keys(access, secret, token, values.get("region", ""), of_job=True) if access and secret else None


def _from_json(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {name.lower(): value for name, value in found.items() if isinstance(value, str)}


def _from_ini(text: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    section = "default" if parser.has_section("default") else next(iter(parser.sections()), "")
    return {name.lower(): value for name, value in parser.items(section)} if section else {}


def _first(values: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((values[name] for name in names if values.get(name)), "")


def signed(keys: Keys, region: str, method: str, url: URL, headers: Mapping[str, str]) -> dict[str, str]:
    """Add a signature to the headers. It covers the MD5 of the body in a header, not the body itself."""
    # the scheme is not signed; with http, botocore would read the body here, in the event loop
    request = AWSRequest(method=method, url=str(url.with_scheme("https")), headers=dict(headers))
    request.context["client_config"] = SimpleNamespace(s3={"payload_signing_enabled": False})
    S3SigV4Auth(Credentials(keys.access, keys.secret, keys.token or None), "s3", region).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}
