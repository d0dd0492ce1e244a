"""File lists of one job, on disk and as handlers see them."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.errors import UnsafePath
from arex.gm import outputs
from arex.gm.context import JobContext, KnownJob
from arex.gm.outputs import Ending, expand
from arex.gm.publishing import joblog
from arex.model.files import FileEntry
from arex.model.ids import JobId, LocalId
from arex.model.local import JobLocal
from arex.model.state import State, Status
from tests import permissions
from tests.trees import deep
from tests.unit.arex.gm.service import make_services

JOB = JobId("one")
XRSL = (
    '&(executable="/bin/true")(inputfiles=("up" "")("down" "file:///data/down"))'
    '(outputfiles=("kept" "")("sent" "http://host/sent"))(rerun="9")(lifetime="99999999")'
)


@pytest.fixture
def session(tmp_path: Path) -> Path:
    path = tmp_path / "session" / JOB
    path.mkdir(parents=True)
    return path


@pytest.fixture
def context(tmp_path: Path, session: Path) -> JobContext:
    services = make_services(
        tmp_path,
        sessiondirs=(session.parent,),
        maxrerun=3,
        delegations=tmp_path / "delegations",
        joblog=tmp_path / "jobs.log",
    )
    services.store.reserve(JOB, XRSL.encode())
    now = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    return JobContext(
        job=KnownJob(id=JOB, status=Status(State.FINISHING), place=None, local=JobLocal(), changed=now),
        services=services,
    )


def with_local(context: JobContext, **facts: object) -> JobContext:
    context.job = replace(context.job, local=replace(context.job.local, **facts))  # type: ignore[arg-type]
    return context


# --- from the description ---------------------------------------------------------------------------------------------


def test_what_the_description_says_is_cut_to_what_the_site_allows(context: JobContext) -> None:
    local, inputs, made = outputs.from_description(context)

    assert (3, timedelta(days=7)) == (local.rerun, local.lifetime)
    assert ("fake", "q") == (local.lrms, local.queue)
    assert (1, 1) == (local.downloads, local.uploads)
    assert {"/up": False, "/down": True} == {entry.pfn: entry.remote for entry in inputs}
    assert {"/kept": False, "/sent": True} == {entry.pfn: entry.remote for entry in made}


def test_what_the_client_decided_stays(context: JobContext) -> None:
    with_local(context, queue="long", lrms="other", rerun=1)

    local, _, _ = outputs.from_description(context)

    assert ("long", "other", 1) == (local.queue, local.lrms, local.rerun)


@pytest.mark.parametrize(
    ("delegation", "parts"),
    [
        ("abc", ("abc",)),
        ("abcd", ("abcd",)),
        ("abcdefgh", ("abc", "defgh"[:3], "gh")),
        ("0123456789", ("012", "345", "6789")),
    ],
)
def test_a_delegation_is_found_where_the_store_of_arc_has_it(
    context: JobContext, delegation: str, parts: tuple[str, ...]
) -> None:
    """In threes; the last piece has one to four characters."""
    with_local(context, delegationid=delegation)

    _, inputs, _ = outputs.from_description(context)

    [credential] = [entry.credential for entry in inputs if entry.remote]
    assert str(context.settings.delegations.joinpath(*parts)) == credential


@pytest.mark.parametrize("delegation", ["", "../../etc/passwd", "a/b", "a.b", "ä", "a b"])
def test_a_delegation_that_could_lead_elsewhere_is_none(context: JobContext, delegation: str) -> None:
    """The proxy of the job itself is taken."""
    with_local(context, delegationid=delegation)

    _, inputs, _ = outputs.from_description(context)

    [credential] = [entry.credential for entry in inputs if entry.remote]
    assert context.store.layout.job_file(JOB, "proxy") == credential


# --- failure and another try ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "rerun", "names"),
    [(Ending.FAILURE, 2, {"/kept", "/sent", "/up"}), (Ending.FAILURE, 0, {"/kept", "/sent"}),
     (Ending.CANCEL, 2, {"/kept", "/sent"})],
)  # fmt: skip
def test_uploaded_inputs_are_kept_for_another_try_only(
    context: JobContext, ending: Ending, rerun: int, names: set[str]
) -> None:
    local = outputs.rewrite(context, JobLocal(rerun=rerun), ending)

    written = context.store.read_entries(JOB, "output") or []
    assert names == {entry.pfn for entry in written}
    assert sum(entry.remote for entry in written) == local.uploads


def test_another_try_leaves_out_what_is_here_and_what_was_sent(context: JobContext, session: Path) -> None:
    _, _, made = outputs.from_description(context)
    (session / "up").write_text("here")
    context.store.put_entries(JOB, "output_status", [entry for entry in made if entry.remote])

    outputs.for_restart(context)

    assert ["/down"] == [entry.pfn for entry in context.store.read_entries(JOB, "input") or []]
    assert ["/kept"] == [entry.pfn for entry in context.store.read_entries(JOB, "output") or []]
    assert outputs.missing_downloads(context)
    (session / "down").write_text("here")
    outputs.for_restart(context)
    assert not outputs.missing_downloads(context)


def test_a_delivery_is_noted_once_however_often_it_is_told(context: JobContext) -> None:
    _, _, made = outputs.from_description(context)
    context.store.put_entries(JOB, "output", made)
    remote = [entry for entry in made if entry.remote]

    for _ in range(2):
        outputs.delivered(context, context.store.read_entries(JOB, "output") or [], remote)

    assert ["/kept"] == [entry.pfn for entry in context.store.read_entries(JOB, "output") or []]
    assert remote == context.store.read_entries(JOB, "output_status")


# --- names that the job chose -----------------------------------------------------------------------------------------


def test_a_list_that_the_job_wrote_becomes_its_lines(session: Path) -> None:
    (session / "list").write_text("a file:///data/a\n/b\n")

    assert [FileEntry("/list"), FileEntry("/a", "file:///data/a", "cred"), FileEntry("/b", "", "cred")] == expand(
        session, [FileEntry("/@list", "", "cred")]
    )


def test_a_list_that_the_job_did_not_write_is_missing(session: Path) -> None:
    with pytest.raises(outputs.OutputListMissing, match="Error reading user generated output file list in list"):
        expand(session, [FileEntry("/@list")])


def test_a_failed_job_need_not_write_its_list(session: Path) -> None:
    assert [FileEntry("/list")] == expand(session, [FileEntry("/@list")], failed=True)


def test_all_files_of_a_closed_and_deep_directory_are_outputs(session: Path) -> None:
    depth = 1200
    with deep(session / "out", depth):
        (session / "out" / "link").symlink_to("/etc")
        os.mkfifo(session / "out" / "pipe")
        (session / "out" / "closed").mkdir()
        (session / "out" / "closed" / "file").touch()
        with permissions.closed(session / "out" / "closed"):
            found = expand(session, [FileEntry("/out/", "http://host/there")])

    below = f"{'d/' * depth}file"
    assert found == [
        FileEntry("/out/closed/file", "http://host/there/closed/file"),
        FileEntry(f"/out/{below}", f"http://host/there/{below}"),
    ]


def test_a_directory_of_outputs_that_cannot_be_read_is_refused(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the owner would not know that files are missing."""
    (session / "out" / "foreign").mkdir(parents=True)
    listdir = os.listdir

    def refuse(fd: int) -> list[str]:
        if "foreign" in os.readlink(f"/proc/self/fd/{fd}"):
            raise PermissionError(13, "Permission denied")
        return listdir(fd)

    monkeypatch.setattr(os, "listdir", refuse)

    with pytest.raises(UnsafePath, match="the files in out/foreign cannot be read: Permission denied"):
        expand(session, [FileEntry("/out/", "http://host/there")])


@pytest.mark.parametrize("line", ["../../secret file:///data/x", "/../secret", "/a/../../secret"])
def test_a_list_that_leads_out_of_the_session_is_refused(session: Path, line: str) -> None:
    (session / "list").write_text(f"{line}\n")

    with pytest.raises(UnsafePath):
        expand(session, [FileEntry("/@list")])


def test_a_list_that_is_a_link_is_refused(session: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("/x file:///data/x\n")
    (session / "list").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UnsafePath):
        expand(session, [FileEntry("/@list")])


def test_a_directory_is_sent_file_by_file_and_no_link_of_it(session: Path) -> None:
    (session / "dir" / "deep").mkdir(parents=True)
    (session / "dir" / "b").write_text("b")
    (session / "dir" / "deep" / "a").write_text("a")
    (session / "dir" / "link").symlink_to("/etc/passwd")
    os.mkfifo(session / "dir" / "pipe")

    found = expand(session, [FileEntry("/dir/", "file:///data/dir/")])

    assert {"/dir/b": "file:///data/dir/b", "/dir/deep/a": "file:///data/dir/deep/a"} == {
        entry.pfn: entry.lfn for entry in found
    }


# --- logs for people --------------------------------------------------------------------------------------------------


def test_the_owner_sees_the_control_files_but_no_credential(context: JobContext, session: Path) -> None:
    with_local(context, gmlog="logs")
    for suffix in ("errors", "proxy", "grami", "failed"):
        context.store.put(JOB, suffix, suffix.encode())

    outputs.copy_logs(context)

    assert {"description", "errors", "failed"} == set(os.listdir(session / "logs"))


def test_a_log_directory_that_can_not_be_is_noted_and_no_reason_to_fail(context: JobContext, session: Path) -> None:
    with_local(context, gmlog="logs")
    (session / "logs").write_text("a file of the job")

    outputs.copy_logs(context)

    assert b"Cannot write the log directory" in (context.store.read(JOB, "errors") or b"")
    assert "a file of the job" == (session / "logs").read_text()


def log_of(context: JobContext) -> str:
    assert context.settings.joblog is not None
    return context.settings.joblog.read_text(encoding="utf-8")


def test_the_job_log_has_a_line_for_the_start_and_one_for_the_end(context: JobContext) -> None:
    with_local(context, jobname="hello", subject="/CN=me", queue="q", localid=LocalId("17"))
    joblog.started(context)
    joblog.finished(context)
    stamp = context.services.clock.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
    who = f"unix user: {os.geteuid()}:{os.getegid()}"

    same = f'- job id: {JOB}, {who}, name: "hello", owner: "/CN=me", lrms: fake, queue: q'
    assert [f"{stamp} Started {same}", f"{stamp} Finished {same}, lrmsid: 17"] == log_of(context).splitlines()


def test_no_name_of_a_job_makes_a_line_of_its_own(context: JobContext) -> None:
    with_local(context, jobname='x"\n2026-11-20 09:00:00 Started - \\', subject="a\rb")
    context.store.put(JOB, "failed", b"first\nsecond\n")
    joblog.finished(context)

    [line] = log_of(context).splitlines()
    assert r'name: "x\".2026-11-20 09:00:00 Started - \\", owner: "a.b"' in line
    assert 'failure: "first.second"' in line


def test_without_a_job_log_nothing_is_written(context: JobContext) -> None:
    log = context.settings.joblog
    assert log is not None
    context.services.settings = replace(context.services.settings, joblog=None)
    joblog.started(context)

    assert not log.exists()
