from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from arex.config.load import load
from arex.config.model import Configuration
from arex.config.values import SessionDir
from infoprovider.collect import collect
from infoprovider.model import Element, Nodes, Share
from infoprovider.publish import InfoPublisher
from infoprovider.xml import document
from tests import environments
from tests.fakes.clock import FakeClock, SkippingClock
from tests.permissions import closed

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
REAL = environments.DATA / "fixtures" / "_misc" / "real_daemon" / "info.xml"
GLUE = "{http://schemas.ogf.org/glue/2009/03/spec_2.0_r1}"

ELEMENT = Element(
    hostname="ce.example.org",
    domain="example",
    lrms="fork",
    created=NOW,
    shares=(
        Share(name="short", max_walltime_s=3600, max_cputime_s=7200, max_slots=4, max_memory_mb=2000),
        Share(name="long"),
    ),
    nodes=Nodes(
        architecture="x86_64", cpu_model="a <fast> one", cores=8, memory_mb=16000, os_family="linux", os_name="debian",
        os_version="12",
    ),
    slots=8,
    free_gb=100,
    lifetime_s=604800,
    states={"ACCEPTED": 1, "PREPARING": 2, "SUBMIT": 3, "INLRMS": 4, "FINISHING": 5},
    runtimes=(("ENV/PROXY", ""), ("APPS/X", "1.2")),
)  # fmt: skip


def _root(element: Element) -> etree._Element:
    return etree.fromstring(document(element))


def _text(element: Element, *path: str) -> str | None:
    found = _root(element).find(".//" + "/".join(f"{GLUE}{name}" for name in path))
    return None if found is None else found.text


def test_the_way_to_the_service_is_the_one_that_clients_go() -> None:
    assert (
        _root(ELEMENT).find(
            "/".join([*(f"{GLUE}{n}" for n in ("Domains", "AdminDomain", "Services", "ComputingService"))])
        )
        is not None
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("ComputingShare", "Name"), "short"),
        (("ComputingShare", "MappingQueue"), "short"),
        (("ComputingShare", "MaxWallTime"), "3600"),
        (("ComputingShare", "MaxCPUTime"), "7200"),
        (("ComputingShare", "MaxSlotsPerJob"), "4"),
        (("ComputingShare", "MaxMainMemory"), "2000"),
        (("ComputingManager", "TotalSlots"), "8"),
        (("ComputingManager", "WorkingAreaFree"), "100"),
        (("ComputingManager", "WorkingAreaLifeTime"), "604800"),
        (("ExecutionEnvironment", "MainMemorySize"), "16000"),
        (("ExecutionEnvironment", "OSName"), "debian"),
        (("ExecutionEnvironment", "OSVersion"), "12"),
        (("ExecutionEnvironment", "OSFamily"), "linux"),
        (("ExecutionEnvironment", "Platform"), "x86_64"),
        (("ExecutionEnvironment", "CPUModel"), "a <fast> one"),
        (("ApplicationEnvironment", "AppName"), "ENV/PROXY"),
        (("ApplicationEnvironment", "AppVersion"), "1.2"),
        (("ComputingShare", "ServingState"), "production"),
        (("ComputingService", "TotalJobs"), "15"),
        (("ComputingService", "RunningJobs"), "4"),
        (("ComputingService", "WaitingJobs"), "3"),
        (("ComputingService", "StagingJobs"), "7"),
        (("ComputingService", "PreLRMSWaitingJobs"), "6"),
    ],
    ids=lambda value: "/".join(value) if isinstance(value, tuple) else value,
)
def test_what_a_broker_needs_is_there(path: tuple[str, ...], value: str) -> None:
    assert value == _text(ELEMENT, *path)


def test_a_limit_that_is_not_set_is_not_published() -> None:
    long = _root(ELEMENT).findall(f".//{GLUE}ComputingShare")[1]

    assert ["long"] == [node.text for node in long.findall(f"{GLUE}Name")]
    assert [] == [node for node in long if etree.QName(node).localname.startswith("Max")]


def test_every_element_of_ours_stands_where_arc_has_it() -> None:
    """Under the parent that the real service's document has it under."""

    def pairs(root: etree._Element) -> set[tuple[str, str]]:
        return {
            (etree.QName(parent).localname, etree.QName(node).localname)
            for node in root.iter("{*}*")
            if (parent := node.getparent()) is not None
        }

    ours = pairs(_root(ELEMENT))
    real = pairs(etree.fromstring(REAL.read_bytes()))
    rare = {("ApplicationEnvironment", "AppVersion"), ("ApplicationEnvironments", "ApplicationEnvironment")}
    rare |= {("ComputingManager", "ApplicationEnvironments")}
    missing = {(parent, name) for parent, name in ours - real if parent != "ApplicationEnvironment"} - rare
    known = {name for _, name in real}

    assert [] == sorted((parent, name) for parent, name in missing if name in known and name not in {"ID", "Name"})


def test_a_service_that_takes_no_jobs_drains() -> None:
    assert "draining" == _text(replace(ELEMENT, accepts=False), "ComputingShare", "ServingState")


def test_no_endpoint_is_published_as_clients_of_arc_add_the_one_that_there_is() -> None:
    assert [] == list(_root(ELEMENT).iter(f"{GLUE}ComputingEndpoint", f"{GLUE}ComputingEndpointID"))


# --- collecting -------------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Configuration:
    (tmp_path / "session").mkdir()
    (tmp_path / "arc.conf").write_text(
        f"[common]\nhostname=ce.example.org\n[arex]\ncontroldir={tmp_path}/ctl\nsessiondir={tmp_path}/session\n"
        "[lrms]\nlrms=fork\n[infosys]\n[infosys/cluster]\nopsys=Debian-12\nnodememory=1234\nmaxwalltime=60\n"
        "[queue:one]\ncomment=<first>\n[queue:two]\nmaxwalltime=10\n",
        encoding="utf-8",
    )
    (tmp_path / "ctl" / "rte" / "enabled" / "APPS").mkdir(parents=True)
    for name in ("APPS/X-1.2", "ENV", "A-B"):
        (tmp_path / "ctl" / "rte" / "enabled" / name).touch()
    return load(tmp_path / "arc.conf", os.environ)[0]


def test_what_is_configured_is_collected(config: Configuration) -> None:
    element = collect(config, {"INLRMS": 1}, NOW)

    assert ("ce.example.org", "fork", ["one", "two"]) == (
        element.hostname, element.lrms, [share.name for share in element.shares],
    )  # fmt: skip
    assert ("debian", "12") == (element.nodes.os_name.lower(), element.nodes.os_version)
    assert 1234 == element.nodes.memory_mb
    assert [("A-B", ""), ("APPS/X", "1.2"), ("ENV", "")] == list(element.runtimes)
    assert element.free_gb is not None
    assert 0 < element.slots
    assert b"&lt;first&gt;" in document(element)


def test_a_session_root_that_cannot_be_looked_at_is_not_counted(config: Configuration, tmp_path: Path) -> None:
    (tmp_path / "theirs" / "sessiondir").mkdir(parents=True)
    theirs = SessionDir(path=tmp_path / "theirs" / "sessiondir")
    both = replace(config, arex=replace(config.arex, sessiondir=(theirs, *config.arex.sessiondir)))
    alone = replace(config, arex=replace(config.arex, sessiondir=(theirs,)))

    with closed(tmp_path / "theirs"):
        assert collect(both, {}, NOW).free_gb is not None
        assert collect(alone, {}, NOW).free_gb is None


def test_the_document_is_replaced_as_a_whole(config: Configuration, tmp_path: Path) -> None:
    (tmp_path / "ctl" / "info.xml").write_text("old")
    InfoPublisher(config, FakeClock()).write({}, tmp_path / "ctl")

    assert etree.fromstring((tmp_path / "ctl" / "info.xml").read_bytes()) is not None
    assert 0o600 == (tmp_path / "ctl" / "info.xml").stat().st_mode & 0o777


async def test_a_document_that_can_not_be_written_is_said_and_tried_again(
    config: Configuration, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "ctl" / "info.xml").mkdir()
    caplog.set_level(logging.WARNING)
    task = asyncio.create_task(InfoPublisher(config, SkippingClock()).run(dict, tmp_path / "ctl"))
    while caplog.text.count("cannot write info.xml") < 2:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()


def test_a_name_that_xml_can_not_hold_does_no_harm() -> None:
    """A file among the runtime environments may be called anything; the service must live."""
    hostile = "a\x00b\x1b\udcff\uffff<&>\"'"
    element = replace(
        ELEMENT,
        hostname=hostile,
        domain=hostile,
        shares=(Share(name=hostile, comment=hostile),),
        runtimes=((hostile, hostile),),
    )

    assert "a?b???<&>\"'" == _text(element, "Domains", "AdminDomain", "Name")


def test_a_runtime_environment_with_a_strange_name_is_published_all_the_same(
    config: Configuration, tmp_path: Path
) -> None:
    (tmp_path / "ctl" / "rte" / "enabled" / os.fsdecode(b"odd\x01\xff")).touch()

    InfoPublisher(config, FakeClock()).write({}, tmp_path / "ctl")

    assert b"<AppName>odd??</AppName>" in (tmp_path / "ctl" / "info.xml").read_bytes()
