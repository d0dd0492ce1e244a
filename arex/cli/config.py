"""``arex config check | show | explain``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from arex.cli import complete
from arex.cli.options import CONTEXT, json_option
from arex.cli.output import document, failure
from arex.config import explain as explaining
from arex.config.build import HAS_NO_EFFECT
from arex.config.load import load, load_despite_faults
from arex.config.show import as_dict
from arex.config.show import show as shown
from arex.errors import ConfigError, Fault

_file = click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
_OPTION: Final = re.compile(r"\[([^\]]*)\](?: (.*))?")


@click.group("config", context_settings=CONTEXT)
def group() -> None:
    """Check and show the configuration."""


@group.command()
@_file
@json_option
def check(file: Path | None, *, as_json: bool) -> None:
    """
    Check a configuration and this host, and print all errors.

    Beyond the file, arex looks for the backend and the commands of the batch system, and whether you can write the
    directories and logs. Warnings come before notes on options without effect. The exit code is 2 if there are errors.
    """
    from arex.cli.inspection import inspect  # noqa: PLC0415 - for this command only

    try:
        config, warnings, faults = load_despite_faults(file, os.environ)
    except ConfigError as exc:
        _report(file, list(exc.faults), [], as_json=as_json)
        click.get_current_context().exit(exc.exit_code)
    more_faults, more_warnings = inspect(config)
    faults = [*faults, *(each for each in more_faults if each not in faults)]
    _report(config.source, faults, [*more_warnings, *warnings], as_json=as_json)
    if faults:
        click.get_current_context().exit(ConfigError.exit_code)


def _report(source: Path | None, faults: Sequence[Fault], found: Sequence[Fault], *, as_json: bool) -> None:
    """Print faults, warnings and notes, and how many of each there are."""
    notes = [each for each in found if each.what in HAS_NO_EFFECT]
    warnings = [each for each in found if each.what not in HAS_NO_EFFECT]
    kinds = (("faults", "error", faults), ("warnings", "warning", warnings), ("notes", "note", notes))
    if as_json:
        errors = [failure(each.what, name=each.option or "", source=str(each.file or "")) for each in faults]
        records: dict[str, object] = {name: [_record(label, each) for each in those] for name, label, those in kinds}
        document(errors=errors, ok=not faults, configuration=str(source or ""), **records)
        return
    for _, label, those in kinds:
        for each in those:
            click.echo(f"{label}: {each}", err=True)
    numbers = [_count(len(faults), "error"), _count(len(warnings), "warning")]
    if notes:
        numbers.append(f"{_count(len(notes), 'line')} without effect in arex")
    click.echo(f"{source or 'the defaults'}: {', '.join(numbers)}")


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _record(kind: str, fault: Fault) -> dict[str, str | int | None]:
    """A fault for programs; ``block`` and ``option`` are None where it is about neither."""
    where = _OPTION.fullmatch(fault.option or "")
    return {
        "kind": kind,
        "file": None if fault.file is None else str(fault.file),
        "line": fault.line,
        "block": where[1] if where else None,
        "option": where[2] if where else fault.option,
        "message": fault.what,
        "cure": fault.cure,
    }


@group.command()
@_file
@click.option("--defaults", is_flag=True, help="Also show options with default values.")
@json_option
def show(file: Path | None, *, defaults: bool, as_json: bool) -> None:
    """Print the effective configuration."""
    config, _ = load(file, os.environ)
    if as_json:
        document(configuration=as_dict(config))
    else:
        click.echo(shown(config, defaults=defaults), nl=False)


@group.command()
@click.argument("option", required=False, shell_complete=complete.config_option)
def explain(option: str | None) -> None:
    """Explain an option, for example: arex config explain maxjobs. Without one, list the options with an effect."""
    click.echo(explaining.overview() if option is None else explaining.explain(option))
