"""A credential that the user names for jobs, in place of the one that is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from arex.cli.site import Site
from plugins.local import LocalPlugin

_F = TypeVar("_F", bound=Callable[..., Any])


def credential_options(function: _F) -> _F:
    """``--proxy`` and ``--token``: files, as what is in them must not be seen on a command line."""
    for option in reversed((
        click.option("--proxy", type=click.Path(path_type=Path), help="Proxy, with its key, that the jobs get."),
        click.option("--token", type=click.Path(path_type=Path), help="File with a token that the jobs get."),
    )):  # fmt: skip
        function = option(function)
    return function


def use(site: Site, proxy: Path | None, token: Path | None) -> None:
    """
    Let a command work with the credential that was named, if one was.

    Raises:
        CredentialError: it can't be used, or is of the other kind.
    """
    if proxy is not None and token is not None:
        raise click.UsageError("--proxy and --token can't be used together: a job gets one credential")
    if proxy is not None:
        from arex.credentials import read  # noqa: PLC0415 - most jobs get none

        read(proxy)
    if token is not None:
        from arex.credentials.token import read as read_token  # noqa: PLC0415 - the same

        read_token(token)
    if (given := proxy or token) is not None:
        site.plugin = LocalPlugin(site.config, credential=given)
