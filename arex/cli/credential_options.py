"""Options that select the credential for jobs, instead of the default one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from arex.cli.site import Site
from plugins.local import LocalPlugin

_F = TypeVar("_F", bound=Callable[..., Any])


def credential_options(function: _F) -> _F:
    """Add ``--proxy`` and ``--token``. Both are paths, because other users can see the command line."""
    for option in reversed((
        click.option("--proxy", type=click.Path(path_type=Path), help="Proxy file with its key, used as the "
            "credential of the jobs."),
        click.option("--token", type=click.Path(path_type=Path), help="File with a token, used as the credential of "
            "the jobs."),
    )):  # fmt: skip
        function = option(function)
    return function


def use(site: Site, proxy: Path | None, token: Path | None) -> None:
    """
    Use the credential from the options for this command, if there is one.

    Raises:
        CredentialError: the credential cannot be used, or is of the wrong kind.
    """
    if proxy is not None and token is not None:
        raise click.UsageError("--proxy and --token cannot be used together: a job has only one credential")
    if proxy is not None:
        from arex.credentials import read  # noqa: PLC0415 - few jobs have one

        read(proxy)
    if token is not None:
        from arex.credentials.token import read as read_token  # noqa: PLC0415 - the same

        read_token(token)
    if (given := proxy or token) is not None:
        site.plugin = LocalPlugin(site.config, credential=given)
