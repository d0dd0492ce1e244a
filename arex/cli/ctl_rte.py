"""``arexctl rte``: manage runtime environments that jobs can request or that all jobs get, and their parameters."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

import lrms
from arex.cli.options import CONTEXT, config_option, json_option
from arex.cli.output import document, printable, remark, say
from arex.config.load import load
from arex.config.model import Configuration
from arex.errors import ArexError
from arex.rte import DEFAULT, DUMMY, ENABLED, Catalog, Linked, NoSuchRuntime, Param
from arex.rte.listing import about, rows

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: Directory of the scripts that are part of arex.
SYSTEM: Final = Path(lrms.__file__).resolve().parent / "rte"

_force = click.option("-f", "--force", is_flag=True, help="Replace a link to another script.")


@click.group("rte", context_settings=CONTEXT)
@config_option
def group(config_file: Path | None) -> None:
    """Enable, disable and configure runtime environments."""
    del config_file  # commands find it in the context


def _config(ctx: click.Context) -> Configuration:
    """The configuration file of the innermost ``--config`` option, of this group or of the program."""
    above: click.Context | None = ctx
    while above is not None:
        if file := above.params.get("config_file") or above.params.get("config"):
            return load(Path(file), os.environ)[0]
        above = above.parent
    return load(None, os.environ)[0]


def _catalog(ctx: click.Context) -> Catalog:
    arex = _config(ctx).arex
    return Catalog(arex.controldir, SYSTEM, arex.runtimedir)


# --- completion -------------------------------------------------------------------------------------------------------


def _completing(
    names: Callable[[Catalog], list[str]],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for completion only

        with contextlib.suppress(ArexError, OSError):  # the completion of a shell cannot show errors
            return [CompletionItem(name) for name in sorted(names(_catalog(ctx))) if name.startswith(incomplete)]
        return []

    return complete


def _names_without(place: str) -> Callable[[Catalog], list[str]]:
    return lambda catalog: list(catalog.available().keys() - catalog.linked(place).keys())


def _names_in(place: str) -> Callable[[Catalog], list[str]]:
    return lambda catalog: [*catalog.linked(place)]


def _all(catalog: Catalog) -> list[str]:
    return list({*catalog.available(), *catalog.linked(ENABLED)})


def _complete_param(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - for completion only

    with contextlib.suppress(ArexError, OSError):
        params = _catalog(ctx).params(ctx.params.get("rte") or "")
        return [CompletionItem(one.name, help=one.description) for one in params if one.name.startswith(incomplete)]
    return []


def _complete_value(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - for completion only

    with contextlib.suppress(ArexError, OSError):
        params = {one.name: one for one in _catalog(ctx).params(ctx.params.get("rte") or "")}
        allowed = params[name].allowed if (name := ctx.params.get("parameter") or "") in params else ()
        return [CompletionItem(value) for value in allowed if value.startswith(incomplete)]
    return []


_one = click.argument("rte", shell_complete=_completing(_all))


# --- links ------------------------------------------------------------------------------------------------------------


@group.command()
@click.argument("rtes", nargs=-1, required=True, metavar="RTE...", shell_complete=_completing(_names_without(ENABLED)))
@_force
@click.option("-d", "--dummy", is_flag=True, help="Publish names that have no script.")
@json_option
@click.pass_context
def enable(ctx: click.Context, rtes: tuple[str, ...], *, force: bool, dummy: bool, as_json: bool) -> None:
    """Allow jobs to request runtime environments. RTE is a name, a pattern, or the path of a script."""
    _link(_catalog(ctx), rtes, ENABLED, force=force, dummy=dummy, as_json=as_json)


@group.command()
@click.argument("rtes", nargs=-1, required=True, metavar="RTE...", shell_complete=_completing(_names_without(DEFAULT)))
@_force
@json_option
@click.pass_context
def default(ctx: click.Context, rtes: tuple[str, ...], *, force: bool, as_json: bool) -> None:
    """Use runtime environments for every job. Jobs get them even if they do not request them."""
    _link(_catalog(ctx), rtes, DEFAULT, force=force, dummy=False, as_json=as_json)


def _link(catalog: Catalog, wanted: tuple[str, ...], place: str, *, force: bool, dummy: bool, as_json: bool) -> None:
    """Create links. All names are checked first, so that a misspelt name does not leave the others changed."""
    available = catalog.available()
    chosen: Mapping[str, Path] = (
        dict.fromkeys(wanted, DUMMY)
        if dummy
        else {name: available[name] for each in wanted for name in catalog.choose(each, available)}
    )
    done = {name: catalog.link(name, target, place, force=force) for name, target in chosen.items()}
    for name, new in done.items():
        if not new:
            remark(f"{printable(name)} is already {place}")
    if as_json:
        document(runtimes=[{"name": name, "path": chosen[name], "changed": new} for name, new in done.items()])


@group.command()
@click.argument("rtes", nargs=-1, required=True, metavar="RTE...", shell_complete=_completing(_names_in(ENABLED)))
@json_option
@click.pass_context
def disable(ctx: click.Context, rtes: tuple[str, ...], *, as_json: bool) -> None:
    """No longer allow jobs to request runtime environments."""
    _unlink(_catalog(ctx), rtes, ENABLED, as_json=as_json)


@group.command()
@click.argument("rtes", nargs=-1, required=True, metavar="RTE...", shell_complete=_completing(_names_in(DEFAULT)))
@json_option
@click.pass_context
def undefault(ctx: click.Context, rtes: tuple[str, ...], *, as_json: bool) -> None:
    """No longer use runtime environments for every job."""
    _unlink(_catalog(ctx), rtes, DEFAULT, as_json=as_json)


def _unlink(catalog: Catalog, wanted: tuple[str, ...], place: str, *, as_json: bool) -> None:
    linked = catalog.linked(place)
    names = list(dict.fromkeys(name for each in wanted for name in _linked_names(catalog, each, linked, place)))
    for name in names:
        catalog.unlink(name, place)
    if as_json:
        document(runtimes=[{"name": name, "path": linked[name].target, "changed": True} for name in names])


def _linked_names(catalog: Catalog, wanted: str, linked: Mapping[str, Linked], place: str) -> list[str]:
    if wanted.startswith("/"):
        names = [name for name, one in linked.items() if str(one.target) == wanted]
        if names:
            return names
    elif wanted in catalog.available() and wanted not in linked:
        raise NoSuchRuntime(f"{wanted} is not {place}")
    return catalog.choose(wanted, linked)


# --- listing ----------------------------------------------------------------------------------------------------------


@group.command("list")
@click.option("-l", "--long", "is_long", is_flag=True, help="Also print descriptions and paths.")
@click.option("-e", "--enabled", "which", flag_value="enabled", help="List enabled runtime environments.")
@click.option("-d", "--default", "which", flag_value="default", help="List runtime environments that every job gets.")
@click.option(
    "-a", "--available", "which", flag_value="available", help="List runtime environments that can be enabled."
)
@click.option("-s", "--system", "which", flag_value="system", help="List runtime environments that come with arex.")
@click.option(
    "-u", "--user", "which", flag_value="user", help="List runtime environments in the directories of the site."
)
@click.option(
    "-n", "--dummy", "which", flag_value="dummy", help="List runtime environments that are enabled without a script."
)
@json_option
@click.pass_context
def show(ctx: click.Context, which: str | None, *, is_long: bool, as_json: bool) -> None:
    """List runtime environments and how they are used."""
    catalog = _catalog(ctx)
    if as_json:
        document(runtimes=[row for row in rows(catalog) if which is None or which in row.kinds])
    elif which is not None:
        for name, path in sorted(_some(catalog, which).items()):
            say(f"{name:32} -> {path}" if is_long else _marked(catalog, name, path))
    elif is_long:
        _show_long(catalog)
    else:
        for row in rows(catalog):
            say(f"{printable(row.name):32} ({', '.join(kind for kind in row.kinds if kind != 'available')})")


def _some(catalog: Catalog, which: str) -> Mapping[str, Path]:
    match which:
        case "enabled" | "default":
            return {name: one.target for name, one in catalog.linked(which).items()}
        case "dummy":
            return {name: one.target for name, one in catalog.linked(ENABLED).items() if one.dummy}
        case "system":
            return catalog.system()
        case "user":
            return catalog.user()
        case _:
            return catalog.available()


def _marked(catalog: Catalog, name: str, path: Path) -> str:
    broken = any(one.broken and one.target == path for one in _links(catalog, name).values())
    return f"{printable(name)} (broken)" if broken else printable(name)


def _links(catalog: Catalog, name: str) -> dict[str, Linked]:
    return {place: linked[name] for place in (ENABLED, DEFAULT) if name in (linked := catalog.linked(place))}


def _show_long(catalog: Catalog) -> None:
    user_dirs = ", ".join(map(str, catalog.user_dirs)) or "no directory (set runtimedir in [arex])"
    for head, found in (
        (f"Environments of arex in {catalog.system_dir}", catalog.system()),
        (f"Environments of the site in {user_dirs}", catalog.user()),
    ):
        say(f"{head}:")
        for name, path in sorted(found.items()):
            say(f"\t{printable(name):32} # {printable(about(path))}")
    for head, place in (("Enabled", ENABLED), ("Default", DEFAULT)):
        say(f"{head}:")
        for name, one in catalog.linked(place).items():
            say(f"\t{printable(name):32} -> {one.target}{' (broken)' if one.broken else ''}")


# --- scripts and parameters -------------------------------------------------------------------------------------------


@group.command()
@_one
@click.pass_context
def cat(ctx: click.Context, rte: str) -> None:
    """Print a script with its parameters, as jobs get it."""
    catalog = _catalog(ctx)
    click.echo(catalog.params_text(rte) + catalog.text(rte), nl=False)


@group.group(context_settings=CONTEXT)
def params() -> None:
    """Show and set parameters of a runtime environment."""


@click.command("get")
@_one
@click.option("-l", "--long", "is_long", is_flag=True, help="Also print defaults, allowed values and descriptions.")
@json_option
@click.pass_context
def get(ctx: click.Context, rte: str, *, is_long: bool, as_json: bool) -> None:
    """Print the parameters of a runtime environment."""
    catalog = _catalog(ctx)
    values = catalog.values(rte)
    found = [(one, values.get(one.name, one.default)) for one in catalog.params(rte)]
    if as_json:
        document(parameters=[_facts(one, value, is_set=one.name in values) for one, value in found])
        return
    for one, value in found:
        say(_shown(one, value) if is_long else f"{one.name}={value}")


def _facts(one: Param, value: str, *, is_set: bool) -> dict[str, str | bool]:
    return {
        "name": one.name,
        "value": value,
        "set": is_set,
        "default": one.default,
        "values": one.values,
        "description": one.description,
    }


def _shown(one: Param, value: str) -> str:
    facts = f"default: {one.default or 'undefined'}; values: {one.values}"
    return f"{one.name:>16} = {value or 'undefined':10} {printable(one.description)} ({facts})"


@click.command("set")
@_one
@click.argument("parameter", shell_complete=_complete_param)
@click.argument("value", shell_complete=_complete_value)
@click.pass_context
def put(ctx: click.Context, rte: str, parameter: str, value: str) -> None:
    """Set a parameter of a runtime environment."""
    _catalog(ctx).set_value(rte, parameter, value)


@click.command("unset")
@_one
@click.argument("parameter", shell_complete=_complete_param)
@click.pass_context
def unset(ctx: click.Context, rte: str, parameter: str) -> None:
    """Reset a parameter of a runtime environment to its default."""
    _catalog(ctx).set_value(rte, parameter, None)


for _command in (get, put, unset):
    params.add_command(_command)
    group.add_command(_command, f"params-{_command.name}")  # as in arcctl
