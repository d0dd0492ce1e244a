"""``arcsub -- COMMAND``: a job from a command instead of a description. Nothing in its arguments is expanded."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from arex.cli import options

if TYPE_CHECKING:
    from arex.jobdesc import JobDescription
    from arex.jobdesc.model import InputFile, OutputFile

_F = TypeVar("_F", bound=Callable[..., Any])
_META: Final = "arex.cli.jobcommand"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*", re.ASCII)
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
#: What the job script of ARC expands or drops in arguments.
_EXPANDED: Final = re.compile(r"[$`\n\r]")
_VARIABLE: Final = "AREX_COMMAND"
_NEWLINE: Final = "arex_newline"


class CommandWithJob(options.GroupedCommand):
    """A click command that takes everything behind ``--`` as the command of a job."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_META] = args[at + 1 :]
            args = args[:at]
            if not ctx.meta[_META]:
                raise click.UsageError("expected a command behind --", ctx)
        return super().parse_args(ctx, args)


def words() -> list[str]:
    """The command of this invocation; empty if there is none."""
    found: list[str] = click.get_current_context().meta.get(_META, [])
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the options ask for the job of a command."""

    walltime_s: int | None = None
    memory_mb: int | None = None
    slots: int | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    name: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    runtimes: tuple[str, ...] = ()
    #: option, for messages -> whether it was given
    given: Mapping[str, bool] = field(default_factory=dict)

    @property
    def first_given(self) -> str:
        """The first of the options that was used; empty: none."""
        return next((option for option, is_given in self.given.items() if is_given), "")


def _walltime(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    from arex.jobdesc import quantities  # noqa: PLC0415 - only with this option

    try:
        return None if value is None else quantities.seconds(value, 60)
    except ValueError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc


def _memory(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    from arex.jobdesc import quantities  # noqa: PLC0415 - only with this option

    try:
        return None if value is None else quantities.megabytes(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    for value in values:
        if not _NAME.fullmatch(value.partition("=")[0]) or "=" not in value:
            raise click.BadParameter(f"{value[:80]!r}: expected NAME=VALUE", ctx, param)
    return tuple((name, text) for name, _, text in (value.partition("=") for value in values))


def command_options(function: _F) -> _F:
    """Add the options that describe the job of a command; ``wanted`` takes their values."""
    for option in reversed((
        click.option("--walltime", callback=_walltime, metavar="TIME", help="Longest run time of the command: minutes, "
            "1h30m, 01:30:00."),
        click.option("--memory", callback=_memory, metavar="SIZE", help="Memory of each slot: MB, 4G, 512M."),
        click.option("--slots", type=click.IntRange(min=1), help="Number of slots (cores) of the command."),
        click.option("--input", "inputs", multiple=True, metavar="FILE[=NAME]", help="Upload a file, under its name or "
            "another one. NAME=URL: the service downloads it."),
        click.option("--output", "outputs", multiple=True, metavar="FILE[=URL]", help="Keep a file that the command "
            "writes, or upload it to a URL, or copy it to an absolute path."),
        click.option("--name", default="", help="Name of the job (default: the name of the program)."),
        click.option("--env", "environment", multiple=True, callback=_pairs, metavar="NAME=VALUE", help="Set an "
            "environment variable."),
        click.option("--rte", "runtimes", multiple=True, metavar="NAME", help="Use a runtime environment."),
    )):  # fmt: skip
        function = option(function)
    return function


def wanted(values: dict[str, Any]) -> Wanted:
    """Take the values of ``command_options`` out of the values of all options."""
    names = {
        "walltime": "--walltime", "memory": "--memory", "slots": "--slots", "inputs": "--input", "outputs": "--output",
        "name": "--name", "environment": "--env", "runtimes": "--rte",
    }  # fmt: skip
    found = {name: values.pop(name) for name in names}
    given = {option: bool(found[name]) for name, option in names.items()}
    return Wanted(walltime_s=found.pop("walltime"), memory_mb=found.pop("memory"), **found, given=given)


def check_no_description(command: Sequence[str], wanted: Wanted, *, described: bool) -> None:
    """
    A job comes either from a command, with these options, or from a description, which says all that itself.

    Raises:
        click.UsageError: both, or options without a command.
    """
    if command and described:
        raise click.UsageError("expected either job descriptions or a command behind --, not both")
    if not command and wanted.first_given:
        raise click.UsageError(
            f"{wanted.first_given} belongs to a command (arcsub {wanted.first_given} ... -- COMMAND): "
            "in a job description, write the attribute instead"
        )


def check_program(label: str, text: bytes) -> None:
    """
    Refuse a program that is given in place of a description.

    Raises:
        click.ClickException: with the command that runs it.
    """
    if text.startswith(b"\x7fELF") or re.match(rb"#![ \t]*/", text):
        program = click.get_current_context().info_name or "arcsub"
        path = label if "/" in label else f"./{label}"
        raise click.ClickException(f"{label} is a program, not a description; to run it: {program} -- {path}")


def job_of(command: Sequence[str], wanted: Wanted, directory: Path) -> JobDescription:
    """
    The job that runs a command, with its output in ``stdout.txt`` and ``stderr.txt``.

    A program in ``directory`` is uploaded. Any other one must be on the node, at its path or on ``PATH``.

    Raises:
        click.ClickException: a file is missing.
    """
    from arex.jobdesc.model import InputFile, JobDescription, Location, Resources  # noqa: PLC0415 - only here
    from arex.jobdesc.software import software  # noqa: PLC0415

    program, *arguments = command
    inputs = [_input(text, directory) for text in wanted.inputs]
    uploaded = _uploaded(program, directory)
    name = Path(program).name
    if uploaded is not None:
        inputs.append(InputFile(name=name, sources=(Location(url=str(uploaded)),), executable=True))
    executable, arguments, variables = _literal(name if uploaded else program, arguments, uploaded=uploaded is not None)
    return JobDescription(
        name=wanted.name or name,
        executable=executable,
        arguments=tuple(arguments),
        stdout="stdout.txt",
        stderr="stderr.txt",
        environment=(*wanted.environment, *variables),
        resources=Resources(
            walltime_s=wanted.walltime_s,
            memory_mb=wanted.memory_mb,
            slots=wanted.slots,
            runtimes=tuple(software(one) for one in wanted.runtimes),
        ),
        inputs=tuple(inputs),
        outputs=tuple(map(_output, wanted.outputs)),
    )


def _uploaded(program: str, directory: Path) -> Path | None:
    """The path of a program that is a file of the client; None if it is one of the node."""
    if program.startswith("/"):
        return None
    path = directory / program
    if path.is_file():
        return path
    if "/" in program:
        raise click.ClickException(f"there is no file {program} in {directory}")
    return None


def not_found(command: Sequence[str], directory: Path) -> str:
    """A warning if there is no such program on this host; the node may have it."""
    program = command[0]
    if _uploaded(program, directory) is not None or shutil.which(program) is not None:
        return ""
    return f"there is no program {program} on PATH here, nor a file {program} in {directory}"


def _literal(program: str, arguments: Sequence[str], *, uploaded: bool) -> tuple[str, list[str], list[tuple[str, str]]]:
    """
    Executable, arguments and variables of a job that runs this command word by word.

    The job script expands ``$`` and backticks in arguments, and drops line feeds, as A-REX does, but it does not expand
    what it puts in the place of a variable.
    """
    if not any(_EXPANDED.search(word) for word in (program, *arguments)):
        if uploaded or program.startswith("/"):
            return program, [*arguments], []
        return "/usr/bin/env", [program, *arguments], []
    from arex.jobdesc.shellwords import quoted  # noqa: PLC0415 - few commands need it

    line = " ".join(map(quoted, (f"./{program}" if uploaded else program, *arguments)))
    newline = ""
    if "\n" in line:  # line feeds are in single quotes
        line = line.replace("\n", f"'\"${_NEWLINE}\"'")
        newline = f"{_NEWLINE}=$(printf '\\nx'); {_NEWLINE}=${{{_NEWLINE}%x}}; "
    return "/bin/sh", ["-c", f"${_VARIABLE}"], [(_VARIABLE, f"unset {_VARIABLE}; {newline}exec {line}")]


def _input(text: str, directory: Path) -> InputFile:
    from arex.jobdesc.model import InputFile, Location  # noqa: PLC0415 - only for commands

    left, equals, right = (text, "", "") if (directory / text).exists() else text.partition("=")
    if _URL.match(text):
        left, equals, right = Path(text.partition("?")[0]).name, "=", text
    if _URL.match(right):
        return InputFile(name=left, sources=(_location(right),))
    relative = not left.startswith("/") and ".." not in Path(left).parts
    name = right if equals else left.removeprefix("./") if relative else Path(left).name
    return InputFile(name=name, sources=(Location(url=str(directory / left)),))


def _location(url: str) -> Any:  # noqa: ANN401 - a Location, whose module is imported late
    from arex.jobdesc.model import Location  # noqa: PLC0415 - only for commands
    from arex.model.url import parse_url, sort_options  # noqa: PLC0415

    try:
        found = parse_url(url)
    except ValueError as exc:
        raise click.ClickException(f"{url[:80]}: {exc}") from exc
    return Location(url=found.plain(), options=sort_options(found.arc_options.items()), locations=found.locations)


def _output(text: str) -> OutputFile:
    from arex.jobdesc.model import OutputFile, Target  # noqa: PLC0415 - only for commands
    from arex.model.url import local_path  # noqa: PLC0415

    name, _, where = text.partition("=")
    if not where:
        return OutputFile(name=name)
    if not _URL.match(where) or where.lower().startswith("file:"):
        return OutputFile(name=name, local=Target(url=os.path.abspath(local_path(where))))  # noqa: PTH100
    place = _location(where)
    return OutputFile(name=name, targets=(Target(url=place.url, options=place.options, locations=place.locations),))
