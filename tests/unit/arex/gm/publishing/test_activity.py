from __future__ import annotations

import os
import pwd
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from arex.config.values import MaxJobs
from arex.controldir.layout import FlatLayout
from arex.controldir.store import ControlDir
from arex.gm.context import JobContext, KnownJob, Services, Settings
from arex.gm.limits import Limits
from arex.gm.publishing import activity
from arex.model.arc import CANCELLED
from arex.model.ids import JobId, LocalId
from arex.model.local import JobLocal
from arex.model.report import Phase, Report, Usage
from arex.model.state import State, Status
from tests.fakes.clock import FakeClock
from tests.unit.arex.gm.service import describe

JOB = JobId("abc")
#: The table of states in the description of ARC's interfaces: status, phase, arcrest, emies and attributes, bes.
TABLE = [
    ("ACCEPTED", "", "ACCEPTING", "accepted", {"client-stagein-possible"}, "Pending"),
    ("PENDING:ACCEPTED", "", "ACCEPTED", "accepted", {"client-stagein-possible", "server-paused"}, "Pending"),
    ("PREPARING", "", "PREPARING", "preprocessing", {"client-stagein-possible", "server-stagein"}, "Running"),
    (
        "PENDING:PREPARING", "", "PREPARED", "preprocessing",
        {"client-stagein-possible", "server-stagein", "server-paused"}, "Running",
    ),
    ("SUBMIT", "", "SUBMITTING", "processing-accepting", set(), "Running"),
    ("INLRMS", "Q", "QUEUING", "processing-queued", set(), "Running"),
    ("INLRMS", "R", "RUNNING", "processing-running", {"app-running"}, "Running"),
    ("INLRMS", "S", "HELD", "processing-running", {"batch-suspend"}, "Running"),
    ("INLRMS", "E", "EXITINGLRMS", "processing-running", set(), "Running"),
    ("INLRMS", "O", "OTHER", "processing-running", set(), "Running"),
    ("PENDING:INLRMS", "", "EXECUTED", "processing-queued", {"server-paused"}, "Running"),
    ("FINISHING", "", "FINISHING", "postprocessing", {"client-stageout-possible", "server-stageout"}, "Running"),
    ("CANCELING", "", "KILLING", "processing", {"processing-cancel"}, "Running"),
    ("FINISHED", "", "FINISHED", "terminal", {"client-stageout-possible"}, "Finished"),
    ("DELETED", "", "WIPED", "terminal", {"expired"}, "Finished"),
]  # fmt: skip


def _values(states: list[str], kind: str) -> list[str]:
    return [text.partition(":")[2] for text in states if text.startswith(f"{kind}:")]


def _status(text: str) -> Status:
    return Status(State(text.removeprefix("PENDING:")), text.startswith("PENDING:"))


@pytest.mark.parametrize(
    ("word", "phase", "rest", "emies", "attributes", "bes"), TABLE, ids=[f"{r[0]} {r[1]}" for r in TABLE]
)
def test_states_are_named_as_in_arcs_table(
    word: str, phase: str, rest: str, emies: str, attributes: set[str], bes: str
) -> None:
    states = activity.states(_status(word), phase, JobLocal(), [])

    assert [rest] == _values(states, "arcrest")
    assert [emies] == _values(states, "emies")
    assert attributes == set(_values(states, "emiesattr"))
    assert [bes] == _values(states, "bes")
    assert [f"{word}:{phase}" if phase else word] == _values(states, "nordugrid")


@pytest.mark.parametrize(
    ("state", "part"),
    [
        (None, "validation"), (State.ACCEPTED, "validation"), (State.PREPARING, "preprocessing"),
        (State.SUBMIT, "processing"), (State.INLRMS, "processing"), (State.FINISHING, "postprocessing"),
    ],
)  # fmt: skip
def test_a_failure_names_the_part_in_which_it_happened(state: State | None, part: str) -> None:
    failed = activity.states(Status(State.FINISHED), "", JobLocal(failedstate=state), ["LRMS error: (3)"])
    killed = activity.states(Status(State.FINISHED), "", JobLocal(failedstate=state), ["x", CANCELLED])

    assert (["FAILED"], ["Failed"]) == (_values(failed, "arcrest"), _values(failed, "bes"))
    assert f"{part}-failure" in _values(failed, "emiesattr")
    assert [f"FAILED::{state or ''}"] == _values(failed, "nordugrid")
    assert (["KILLED"], ["Cancelled"]) == (_values(killed, "arcrest"), _values(killed, "bes"))
    assert f"{part}-cancel" in _values(killed, "emiesattr")


# --- the document -----------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> ControlDir:
    store = ControlDir(FlatLayout(tmp_path / "ctl"))
    store.prepare("me")
    return store


def _context(store: ControlDir, status: Status, local: JobLocal, phase: str = "") -> JobContext:
    settings = Settings(sessiondirs=(store.root.parent,), lrms="fake", queue="q", hostname="ce.example.org")
    services = Services(store=store, settings=settings, limits=Limits(MaxJobs()), clock=FakeClock(), describe=describe)
    moment = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    job = KnownJob(id=JOB, status=status, place=None, local=local, changed=moment)
    return JobContext(job=job, services=services, phase=phase)


def test_a_job_that_was_not_admitted_yet_has_no_document(store: ControlDir) -> None:
    activity.publish(_context(store, Status(State.UNDEFINED), JobLocal()))

    assert not store.exists(JOB, "xml")


def _texts(document: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for node in etree.fromstring(document).iter():
        found.setdefault(etree.QName(node).localname, []).append(node.text or "")
    return found


def test_a_finished_job_tells_what_it_was_and_used(store: ControlDir) -> None:
    store.put(JOB, "failed", b"LRMS error: (3) wrong\n")
    store.put(
        JOB, "diag",
        b"exitcode=3\nwalltime=10\nUserTime=4.5s\nKernelTime=1.2s\nMaxResidentMemory=1372kB\nnodename=node1\n"
        b"LRMSStartTime=20261120080000Z\nLRMSEndTime=20261120080010Z\n",
    )  # fmt: skip
    local = JobLocal(
        jobname="hello", subject="/CN=me", queue="long", localid=LocalId("77"), failedstate=State.INLRMS, rerun=1,
        cleanuptime=datetime(2026, 11, 27, tzinfo=UTC), lifetime=timedelta(days=7),
    )  # fmt: skip
    texts = _texts(activity.document(_context(store, Status(State.FINISHED), local)))

    expected = {
        "ID": "urn:caid:ce.example.org:org.nordugrid.internal:abc", "IDFromEndpoint": "urn:idfe:abc", "Name": "hello",
        "Owner": "/CN=me", "Queue": "long", "ExitCode": "3", "Error": "LRMS error: (3) wrong", "ExecutionNode": "node1",
        "UsedTotalWallTime": "10", "UsedTotalCPUTime": "5", "UsedMainMemory": "2",
        "StartTime": "2026-11-20T08:00:00Z", "ComputingManagerEndTime": "2026-11-20T08:00:10Z",
        "EndTime": "2026-11-20T08:00:00Z", "WorkingAreaEraseTime": "2026-11-27T00:00:00Z",
        "ComputingShareID": "urn:ogf:ComputingShare:ce.example.org:long",
    }  # fmt: skip
    assert expected == {name: texts[name][0] for name in expected}
    assert "LocalIDFromManager" not in texts
    assert "nordugrid:xrsl" == texts["JobDescription"][0]
    assert pwd.getpwuid(os.geteuid()).pw_name == texts["LocalOwner"][0]


@pytest.mark.parametrize(
    ("failed", "rest"),
    [
        (
            State.INLRMS,
            "nordugrid:INLRMS file:inlrms bes:Running arcrest:OTHER emies:processing-running emiesattr:app-running",
        ),
        (
            State.PREPARING,
            (
                "nordugrid:PREPARING file:preparing bes:Running arcrest:PREPARING emies:preprocessing "
                "emiesattr:client-stagein-possible emiesattr:server-stagein"
            ),
        ),
        (State.SUBMIT, "nordugrid:SUBMIT file:submit bes:Running arcrest:SUBMITTING emies:processing-accepting"),
    ],
)
def test_a_failed_job_names_where_it_failed_as_a_rex_617_does(store: ControlDir, failed: State, rest: str) -> None:
    """Whether it may be restarted or not. The texts are from documents that A-REX 6.17 wrote."""
    local = JobLocal(failedstate=failed)
    document = activity.document(_context(store, Status(State.FINISHED), local))

    assert rest.split() == _texts(document)["RestartState"]


def test_a_running_job_shows_its_nodes_and_what_it_used_so_far(store: ControlDir) -> None:
    context = _context(store, Status(State.INLRMS), JobLocal(localid=LocalId("77")), "R")
    context.report = Report(
        phase=Phase.RUNNING, nodes=("wn1", "wn2"), usage=Usage(wall_s=60.5, user_s=50, system_s=3, max_rss_kb=1025)
    )
    texts = _texts(activity.document(context))

    assert ["wn1", "wn2"] == texts["ExecutionNode"]
    assert (["60"], ["53"], ["2"]) == tuple(
        texts[name] for name in ("UsedTotalWallTime", "UsedTotalCPUTime", "UsedMainMemory")
    )


def test_a_running_job_has_its_local_id_and_phase(store: ControlDir) -> None:
    context = _context(store, Status(State.INLRMS), JobLocal(localid=LocalId("77")), "R")
    activity.publish(context)

    assert activity.shows(context)
    assert not activity.shows(replace(context, phase="Q"))
    assert ["77"] == _texts(activity.document(context))["LocalIDFromManager"]


HOSTILE = ["<x/>&amp;]]>", "\x00\x01\x1b", "\udcff", "a\nb", "\ufffe", "\U0001f600", "x" * 100_000]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_of_a_job_makes_a_document_that_reads(store: ControlDir, text: str) -> None:
    local = JobLocal(jobname=text, subject=text, queue=text, gmlog=text, interface=text, localid=LocalId(text))
    store.put(JOB, "failed", text.encode("utf-8", "surrogateescape"))
    store.put(JOB, "diag", f"nodename={text}\nexitcode={text}\n".encode("utf-8", "surrogateescape"))

    assert _texts(activity.document(_context(store, Status(State.INLRMS), local)))["Name"]


@pytest.mark.parametrize("suffix", ["grami", "diag", "failed", "xml"])
@pytest.mark.parametrize("kind", ["junk", "link", "directory"])
def test_files_that_do_not_read_make_a_shorter_document(store: ControlDir, suffix: str, kind: str) -> None:
    path = Path(store.layout.job_file(JOB, suffix))
    match kind:
        case "junk":
            path.write_bytes(
                bytes(range(256)) * 40 + b"\nexitcode=" + b"9" * 6000 + b"\njoboption_count=" + b"9" * 6000
            )
        case "link":
            path.symlink_to("/etc/passwd")
        case _:
            path.mkdir()
    context = _context(store, Status(State.FINISHED), JobLocal(), "R")

    assert ["urn:idfe:abc"] == _texts(activity.document(context))["IDFromEndpoint"]
    assert not activity.shows(context)
