"""
Options that several commands share: those of ARC's clients, with the same letters and meaning, and those of the
commands of the service. This host is the only endpoint.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from arex.cli import complete
from arex.cli.complete import LEVELS
from arex.cli.output import document_due
from arex.cli.site import Site
from arex.errors import ArexError
from arex.model.arc import LOCAL_NAMES
from arex.suggest import closest

_F = TypeVar("_F", bound=Callable[..., Any])

CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
_HERE: Final = ("localhost", "127.0.0.1", "::1")


#: Parameters of clients that only exist so that commands for ARC's clients work.
_FOR_ARC: Final = frozenset({"conffile", "listplugins", "elements", "cluster", "types", "info_types", "direct", "same"})


class GroupedCommand(click.Command):
    """A command whose help has examples, and a separate list of the options for compatibility with ARC."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:  # noqa: ANN401 - click's
        """``examples`` are lines that are printed as they are."""
        super().__init__(*args, **kwargs)
        self.examples = examples  #: one command line each

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        ours: list[tuple[str, str]] = []
        arcs: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (row := param.get_help_record(ctx)) is not None:
                (arcs if param.name in _FOR_ARC else ours).append(row)
        for title, rows in (("Options", ours), ("Accepted for compatibility with ARC", arcs)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line}\n" for line in self.examples.strip().splitlines()))


class EndpointElsewhere(ArexError):
    """The options select a service on another host, or a service of another type."""


#: For commands of the service, whose ``-c`` is free.
config_option: Final = click.option(
    "--config",
    "-c",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration file, arc.conf or YAML (default: search the usual places).",
)


def wants_document(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    """Note that a document is due, which then also has errors that end the command."""
    del param
    if value:
        document_due.set(ctx.command_path)
    return value


json_option: Final = click.option(
    "--json", "as_json", is_flag=True, is_eager=True, callback=wants_document,
    help="Print the result as one JSON document.",
)  # fmt: skip


def _level(ctx: click.Context, param: click.Parameter, value: str) -> int:
    text = value.upper()
    if text in LEVELS:
        return LEVELS.index(text)
    if text.isdigit() and int(text) < len(LEVELS):
        return int(text)
    raise click.BadParameter(f"{value!r} is not one of {', '.join(LEVELS)}", ctx, param)


def common(function: _F) -> _F:
    """Add the options ``-z -t -d -P -v`` of all ARC clients, ``--config`` and ``--json``."""
    for option in reversed((
        json_option,
        click.option(
            "--config", type=click.Path(path_type=Path), help="Configuration file of the service (default: search "
                "the usual places)."
        ),
        click.option(
            "-z", "--conffile", type=click.Path(), expose_value=False,
            help="Ignored; accepted for compatibility with ARC.",
        ),
        click.option("-t", "--timeout", type=click.IntRange(min=1), help="Maximum waiting time in seconds."),
        click.option("-d", "--debug", callback=_level, default="WARNING", shell_complete=complete.level,
            help=f"Log level: {', '.join(LEVELS)}, or 0 to 5 (default: WARNING)."),
        click.option(
            "-P", "--listplugins", is_flag=True, is_eager=True, expose_value=False, callback=_list_plugins,
            help="List the available plugins.",
        ),
        click.version_option(None, "-v", "--version", package_name="arex", message="%(prog)s %(version)s"),
    )):  # fmt: skip
        function = option(function)
    return function


def _list_plugins(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        for name in LOCAL_NAMES:
            click.echo(name)
        ctx.exit()


def joblist(function: _F) -> _F:
    return click.option(
        "-j",
        "--joblist",
        type=click.Path(path_type=Path),
        help="File with the list of jobs (default: ~/.arc/jobs.dat).",
    )(function)


def _age(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Seconds in ``90s``, ``2h``, ``1d12h``; a bare number could be anything, and commands remove what it selects."""
    if value is None:
        return None
    from arex.jobdesc.times import read_period  # noqa: PLC0415 - needed only with this option

    seconds, fault = read_period(value)
    if value.isdecimal():
        raise click.BadParameter(f"{value} of what? Write {value}s, {value}m, {value}h or {value}d", ctx, param)
    if fault or value.startswith("-"):
        raise click.BadParameter(f"{value!r} is not a period of time, such as 90s, 2h or 1d", ctx, param)
    return seconds


def selection(function: _F) -> _F:
    """Add the options that select jobs: by name, from a file, all jobs, by state, queue, age or label, by resource."""
    for option in reversed((
        click.argument("jobs", nargs=-1, shell_complete=complete.job, metavar="[JOB]..."),
        click.option("-a", "--all", "everything", is_flag=True, help="Select all jobs in the list of jobs."),
        click.option("-c", "--cluster", multiple=True, help="Select only jobs of this resource."),
        click.option(
            "-s", "--status", "states", multiple=True, shell_complete=complete.state,
            help="Select only jobs in this state.",
        ),
        click.option("-r", "--rejectmanagement", "rejected", multiple=True, help="Exclude jobs of this resource."),
        click.option(
            "-i", "--jobids-from-file", "id_files", multiple=True, type=click.Path(path_type=Path),
            help="File with job ids, one on each line.",
        ),
        click.option("--name", "names", multiple=True, metavar="PATTERN", help="Select only jobs whose name matches "
            "this pattern, such as 'sim*'."),
        click.option(
            "--queue", "queues", multiple=True, shell_complete=complete.queue, help="Select only jobs of this queue."
        ),
        click.option("--label", "labels", multiple=True, metavar="KEY[=VALUE]", help="Select only jobs with this "
            "label."),
        click.option("--older", "older_s", metavar="TIME", callback=_age, help="Select only jobs that were submitted "
            "at least so long ago, for example 2h."),
        click.option("--newer", "newer_s", metavar="TIME", callback=_age, help="Select only jobs that were submitted "
            "at most so long ago."),
    )):  # fmt: skip
        function = option(function)
    return joblist(function)


def lenient(function: _F) -> _F:
    return click.option(
        "--lenient",
        is_flag=True,
        help="Submit descriptions as ARC does, with a warning for what can only be a mistake (default: refuse them).",
    )(function)


def instead_of_submission(function: _F) -> _F:
    """Add ``-D`` and ``-x``, which test or print a job instead of running it."""
    for option in reversed((
        click.option(
            "-D", "--dryrun", is_flag=True, help="Submit the job without running it, as a test of the description."
        ),
        click.option(
            "-x", "--dumpdescription", is_flag=True,
            help="Print the description that would be submitted, without submitting it.",
        ),
    )):  # fmt: skip
        function = option(function)
    return function


def endpoint(function: _F) -> _F:
    """Add ARC's options for the target service; this host is the only possible target."""
    for option in reversed((
        click.option("-C", "--computing-element", "elements", multiple=True, help="Target host; only this host is "
            "supported."),
        click.option("-c", "--cluster", multiple=True, help="Same as -C; accepted for compatibility with ARC 5."),
        click.option(
            "-T", "-S", "--submission-endpoint-type", "--submissioninterface", "types", multiple=True,
            help=f"Interface for submission: {', '.join(LOCAL_NAMES)}.",
        ),
        click.option("-Q", "--info-endpoint-type", "info_types", multiple=True, help="Ignored; accepted for "
            "compatibility with ARC."),
        click.option("-I", "--infointerface", "info_interfaces", multiple=True, hidden=True),
        click.option("-Y", "--registry", multiple=True, hidden=True),
        click.option("-g", "--index", multiple=True, hidden=True),
        click.option("-b", "--broker", hidden=True),
        click.option("-R", "--rejectdiscovery", multiple=True, hidden=True),
        click.option("--direct", is_flag=True, help="Ignored; arex does no brokering."),
    )):  # fmt: skip
        function = option(function)
    return function


def require_local(
    site: Site, *, types: tuple[str, ...], info_types: tuple[str, ...], elements: tuple[str, ...], registries: bool
) -> None:
    """
    Check that the options select this host.

    Raises:
        EndpointElsewhere: they select a service that only ARC's own clients support.
    """
    wanted = [*types, *(one for one in info_types if one.upper() != "NONE")]
    for one in wanted:
        if one.lower() not in LOCAL_NAMES:
            near = closest(one, LOCAL_NAMES)
            raise EndpointElsewhere(_elsewhere(f"the interface {one}", site, f"did you mean {near}?" if near else ""))
    if registries:
        raise EndpointElsewhere(_elsewhere("services from a registry", site))
    if not types:
        for element in elements:
            if not is_here(element, site):
                is_file = Path(element).is_file()
                hint = f"to name a configuration file, use --config {element}" if is_file else ""
                raise EndpointElsewhere(_elsewhere(element, site, hint))


def _elsewhere(what: str, site: Site, hint: str = "") -> str:
    hint = hint or f"use ARC's own client, usually {Path('/usr/bin') / site.program}"
    return (
        f"{what}: this command only supports the control directory of this host ({site.config.arex.controldir}); {hint}"
    )


def is_here(element: str, site: Site) -> bool:
    """Whether a host name or URL refers to the control directory of this host."""
    if element.startswith("file:"):
        return True
    return element.lower() in {*_HERE, os.uname().nodename.lower(), site.config.common.hostname.lower()}
