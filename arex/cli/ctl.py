"""``arexctl``: administration of jobs, runtime environments, cache and session directories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from arex.cli.lazy import LazyGroup

#: As for ``arex``.
SUBCOMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "rte": ("arex.cli.ctl_rte:group", "List, enable and configure runtime environments."),
    "cache": ("arex.cli.ctl_cache:group", "List, clean and measure the cache of input files."),
    "job": ("arex.cli.ctl_job:group", "Show, cancel and remove the jobs of all owners."),
    "session": ("arex.cli.ctl_session:group", "Measure and clean session directories."),
}


@click.command(cls=LazyGroup, subcommands=SUBCOMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="arex", message="%(prog)s %(version)s")
def command() -> None:
    """Administer a computing element: jobs, runtime environments, cache, session directories."""
