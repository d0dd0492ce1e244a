"""``arcinfo``: the published information about the service on this host, and whether the service is running."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from arex import daemon
from arex.cli import options
from arex.cli.output import document, printable, say
from arex.cli.site import Site
from arex.controldir import atomic
from arex.errors import ControlDirError
from arex.model.arc import LOCAL_INTERFACE

_GLUE: Final = "{http://schemas.ogf.org/glue/2009/03/spec_2.0_r1}"


@dataclass(frozen=True, slots=True)
class ShareInfo:
    """Published information about a queue."""

    name: str
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """Published information about the computing service."""

    facts: dict[str, str]
    manager: dict[str, str]
    shares: list[ShareInfo]


@click.command(context_settings=options.CONTEXT)
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@click.option("-l", "--long", is_flag=True, help="Print all published information about queues.")
@click.option(
    "-L",
    "--list-configured-services",
    "listed",
    is_flag=True,
    help="Print the configured services; this host is the only one.",
)
@options.joblist
@options.endpoint
@options.common
def command(
    *,
    hosts: tuple[str, ...],
    long: bool,
    listed: bool,
    joblist: Path | None,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
    **where: object,
) -> int:
    """Show the computing element on this host."""
    del timeout
    site = Site(config, joblist, debug)
    elements = (*hosts, *where["elements"], *where["cluster"])  # type: ignore[misc]
    types = (*where["types"], *where["info_interfaces"])  # type: ignore[misc]
    options.require_local(site, types=types, info_types=(), elements=elements, registries=False)
    if listed:
        say(f"Computing service: localhost ({site.config.arex.controldir}) {LOCAL_INTERFACE}")
        return 0
    pid = daemon.holder(site.config.arex.controldir) if site.config.arex.controldir.is_dir() else None
    snapshot = daemon.read_snapshot(site.config.arex.controldir)
    service = published(site.config.arex.controldir)
    if as_json:
        document(running=site.plugin.served, pid=pid or None, status=snapshot, service=service)
    else:
        _show(site, service, pid, snapshot, long=long)
    return 0 if service is not None else 1


def published(controldir: Path) -> ServiceInfo | None:
    """
    The content of ``info.xml``; None if the file does not exist yet.

    Raises:
        ControlDirError: the file cannot be parsed, or does not describe a computing service.
    """
    data = atomic.read(str(controldir / "info.xml"))
    if data is None:
        return None
    from lxml import etree  # noqa: PLC0415 - for this command only

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as exc:
        raise ControlDirError(f"{controldir / 'info.xml'} cannot be parsed: {exc}") from exc
    service = root.find(f".//{_GLUE}ComputingService")
    if service is None:
        raise ControlDirError(f"{controldir / 'info.xml'} describes no computing service")
    manager = service.find(f"{_GLUE}ComputingManager")
    shares = [_leaves(share) for share in service.iterfind(f"{_GLUE}ComputingShare")]
    return ServiceInfo(
        _leaves(service),
        {} if manager is None else _leaves(manager),
        [ShareInfo(facts.get("MappingQueue") or facts.get("Name", ""), facts) for facts in shares],
    )


def _leaves(element: object) -> dict[str, str]:
    """Names and texts of the direct child elements that contain only text."""
    found: dict[str, str] = {}
    for child in element:  # type: ignore[attr-defined]
        if isinstance(child.tag, str) and len(child) == 0 and child.text:
            found.setdefault(child.tag.removeprefix(_GLUE), child.text.strip())
    return found


def _serving(site: Site, pid: int | None) -> str:
    if pid is not None:
        return f"running, pid {pid or 'unknown'}"
    return "running, by another program than arex" if site.plugin.served else "not running"


def _show(
    site: Site, service: ServiceInfo | None, pid: int | None, snapshot: daemon.Snapshot | None, *, long: bool
) -> None:
    say(f"Computing service: {site.config.common.hostname}")
    say(f"  Control directory: {site.config.arex.controldir}")
    say(f"  Service: {_serving(site, pid)}")
    if snapshot is not None and pid is not None:
        say(f"  Jobs: {', '.join(f'{state} {count}' for state, count in snapshot.states.items() if count) or 'none'}")
        say(f"  Batch system: {', '.join(f'{name} {health}' for name, health in snapshot.lrms.items())}")
    if service is None:
        say("  Nothing is published: the service has not run yet.")
        return
    for name in ("TotalJobs", "RunningJobs", "WaitingJobs", "QualityLevel"):
        if name in service.facts:
            say(f"  {name}: {printable(service.facts[name])}")
    for share in service.shares:
        say(f"  Queue: {printable(share.name)}")
        for name, text in share.facts.items():
            if long or name in {"ServingState", "TotalJobs", "RunningJobs", "WaitingJobs", "MaxWallTime"}:
                say(f"    {name}: {printable(text)}")
