"""What the commands for files at URLs have in common: options, URLs as users write them, and their access."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import click

from arex.cli.options import json_option
from arex.errors import CredentialError

if TYPE_CHECKING:
    from arex.config.model import Configuration
    from arex.model.url import Url
    from arex.staging.remote.access import RemoteAccess

_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T")

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
TIMEOUT_S: Final = 20
IGNORED: Final = "Ignored; accepted for compatibility with ARC."


def data_options(function: _F) -> _F:
    """Add the options of all commands for files at URLs."""
    for option in reversed((
        json_option,
        click.option("--config", type=click.Path(path_type=Path), help="Configuration file of the service, for "
            "x509_cert_dir, http_proxy and fsspec (default: search the usual places)."),
        click.option("-P", "--listplugins", is_flag=True, is_eager=True, expose_value=False, callback=_list_schemes,
            help="List the URL schemes that are supported."),
        click.option("-t", "--timeout", type=click.IntRange(min=1), default=TIMEOUT_S, help="Longest time in seconds "
            f"without an answer or without data (default: {TIMEOUT_S})."),
        click.option("-z", "--conffile", type=click.Path(), expose_value=False, help=IGNORED),
        click.option("-d", "--debug", expose_value=False, help=IGNORED),
        click.version_option(None, "-v", "--version", package_name="arex", message="%(prog)s %(version)s"),
    )):  # fmt: skip
        function = option(function)
    return function


def _list_schemes(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from arex.staging.movers.registry import TABLE  # noqa: PLC0415 - start-up time

        for scheme in sorted(TABLE):
            click.echo(scheme)
        ctx.exit()


def is_url(text: str) -> bool:
    return text.startswith("file:") or _SCHEME.match(text) is not None


def url_of(text: str) -> Url:
    """
    The URL that a user has written, or that of a path on this host.

    Raises:
        StagingError: it is no URL that can be used.
    """
    from arex.staging.url import parse_one  # noqa: PLC0415 - start-up time

    if is_url(text) and not re.match(r"file:(?!/)", text):
        return parse_one(text)
    path = os.path.abspath(text.removeprefix("file:"))  # noqa: PTH100 - links are kept as they are
    end = "/" if text.endswith("/") and path != "/" else ""
    return parse_one(f"file://{quote(path, errors='surrogateescape')}{end}")


def run(config: Path | None, timeout: int, work: Callable[[RemoteAccess], Awaitable[_T]], *, retries: int = 0) -> _T:
    """Call ``work`` with access to URLs, with the credential of the user and the settings of the site."""
    import asyncio  # noqa: PLC0415 - not needed for the help, and slow to load
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="arex-") as private:
        return asyncio.run(_run(_load(config), float(timeout), work, retries, Path(private)))


def _load(path: Path | None) -> Configuration:
    from arex.config.load import load_despite_faults  # noqa: PLC0415 - not needed for the help

    return load_despite_faults(path)[0]


async def _run(
    site: Configuration, limit_s: float, work: Callable[[RemoteAccess], Awaitable[_T]], retries: int, private: Path
) -> _T:
    from arex.staging.movers.base import MoverSettings  # noqa: PLC0415 - not needed for the help
    from arex.staging.movers.fsspec.allowed import Grants  # noqa: PLC0415
    from arex.staging.remote.access import RemoteAccess  # noqa: PLC0415

    trusted = Path(os.environ.get("X509_CERT_DIR") or site.common.x509_cert_dir)
    access = RemoteAccess(
        settings=MoverSettings(cert_dir=trusted, http_proxy=site.common.http_proxy, inactivity_s=limit_s),
        grants=Grants(site.staging.fsspec, site.staging.fsspec_options),
        credential=_credential(private),
        timeout_s=limit_s,
        retries=retries,
    )
    async with access:
        return await work(access)


def _credential(private: Path) -> Path | None:
    """A file with the user's proxy, or certificate and key, or token; None if there is none that a server accepts."""
    from arex.credentials import file, local_identity, token  # noqa: PLC0415 - not needed for the help

    path = file.find()
    if path is not None:
        try:
            found = file.read(path)
        except CredentialError:  # public files need none; a server that wants it says so
            found = None
        if found is not None and found.has_key and not local_identity.is_local(found):
            return path
    given = token.find()
    if given is None:
        return None
    copy = private / "token"  # the movers read files; this directory is for this user only
    copy.touch(mode=0o600)
    copy.write_bytes(given.secret)
    return copy
