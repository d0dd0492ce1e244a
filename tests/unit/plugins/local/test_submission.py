"""What a submission leaves in the control directory, and what a failed one does not."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.config.model import Configuration, WsJobsBlock
from arex.config.values import MaxJobs, SessionDir
from arex.controldir import atomic, codec
from arex.controldir.store import ControlDir
from arex.errors import ControlDirError
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.jobdesc.model import InputFile
from arex.model.ids import JobId
from arex.model.state import Status
from plugins.local import LocalPlugin
from plugins.local.plugin import Outcome
from plugins.local.submission import Refused, Submitted
from tests import environments
from tests.fakes.clock import FakeClock
from tests.unit.plugins.local.conftest import SUBJECT

FIXTURES = environments.DATA / "fixtures"
HELLO = '&(executable=/bin/echo)(arguments="hello world")(stdout=out.txt)(jobname=hello)'


def made(outcomes: list[Outcome]) -> list[Submitted]:
    jobs = [outcome for outcome in outcomes if isinstance(outcome, Submitted)]
    assert len(jobs) == len(outcomes), [one.error for one in outcomes if isinstance(one, Refused)]
    return jobs


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Refused)
    return str(outcome.error)


def files_below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def recorded(case: str) -> tuple[Path, str]:
    [description] = (FIXTURES / case / "ctl").glob("job.*.description")
    return description.parent, description.name.removeprefix("job.").removesuffix(".description")


@pytest.mark.parametrize(
    "case",
    ["client_a1", "client_dynout", "client_hello", "client_http", "client_opts", "client_rte", "client_special2",
     "client_upl"],
)  # fmt: skip
def test_a_job_is_written_byte_for_byte_as_arcsub_wrote_it(case: str, config: Configuration) -> None:
    """But for the credential, which no job needs here, and the requested lifetime, which ARC garbles."""
    there, old = recorded(case)
    local = codec.parse_local((there / f"job.{old}.local").read_bytes())
    assert local.starttime is not None
    plugin = LocalPlugin(config, subject=SUBJECT, clock=FakeClock(local.starttime))
    [description] = parse((there / f"job.{old}.description").read_bytes(), DescriptionDialect.USER)
    cwd = there.parent / "session" / old

    [job] = made(plugin.submit(description, cwd=cwd))

    here = config.arex.controldir
    for suffix in ("description", "grami", "local", "input_status"):
        theirs = (there / f"job.{old}.{suffix}").read_bytes().replace(old.encode(), job.id.encode())
        theirs = theirs.replace(b"/CONTROLDIR", os.fsencode(here))
        theirs = theirs.replace(b"/SESSIONDIR", os.fsencode(config.arex.sessiondir[0].path))
        ours = (here / f"job.{job.id}.{suffix}").read_bytes()
        assert comparable(theirs) == comparable(ours), suffix
    assert (here / "accepting" / f"job.{job.id}.status").read_bytes() == b"ACCEPTED"


def comparable(text: bytes) -> bytes:
    return re.sub(rb"^(delegationid|delegexpiretime|lifetime)=.*\n", b"", text, flags=re.MULTILINE)


def test_a_requested_lifetime_is_written_as_seconds(plugin: LocalPlugin) -> None:
    [job] = made(plugin.submit('&(executable=/bin/true)(lifetime="2 hours")'))

    data = plugin.store.read(job.id, "local")

    assert data is not None
    assert b"\nlifetime=7200\n" in data


def test_all_files_are_for_their_owner_only(plugin: LocalPlugin, config: Configuration) -> None:
    [job] = made(plugin.submit(HELLO))

    root = config.arex.controldir
    modes = {stat.S_IMODE(os.stat(root / name).st_mode) for name in files_below(root)}

    assert modes == {0o600}
    assert stat.S_IMODE(os.stat(job.session).st_mode) == 0o700


def test_uploads_are_there_and_confirmed_before_the_job_exists(
    plugin: LocalPlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon never waits for a client of ours; directories are made, the x bit is kept."""
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    os.chmod(tmp_path / "run.sh", 0o755)
    (tmp_path / "data").write_text("1")
    seen: dict[str, object] = {}
    put_status = ControlDir.put_status

    def spy(store: ControlDir, job: JobId, status: Status, at: None) -> object:
        session = tmp_path / "session" / job
        seen["confirmed"] = store.read(job, "input_status")
        seen["files"] = files_below(session)
        seen["mode"] = stat.S_IMODE(os.stat(session / "run.sh").st_mode)
        return put_status(store, job, status, at)

    monkeypatch.setattr(ControlDir, "put_status", spy)
    text = '&(executable=run.sh)(inputfiles=("deep/er/file" "data"))'

    made(plugin.submit(text, cwd=tmp_path))

    assert seen == {"confirmed": b"\n/deep/er/file\n/run.sh\n", "files": {"deep/er/file", "run.sh"}, "mode": 0o700}


def operations() -> list[str]:
    return ["begin", "put_local", "put", "put_status"]


@pytest.mark.parametrize("operation", operations())
def test_a_failure_before_the_commit_leaves_nothing(
    operation: str, plugin: LocalPlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").write_text("1")
    made(plugin.submit(HELLO))  # directories are there now
    before = files_below(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ControlDir, operation, full)

    [outcome] = plugin.submit("&(executable=/bin/true)(inputfiles=(data data))", cwd=tmp_path)

    assert "No space left on device" in reason(outcome)
    assert files_below(tmp_path) == before
    assert len(os.listdir(tmp_path / "session")) == 1


def test_an_interrupt_before_the_commit_leaves_nothing(
    plugin: LocalPlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(plugin.submit(HELLO))
    before = files_below(tmp_path)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ControlDir, "put_status", interrupted)
    with pytest.raises(KeyboardInterrupt):
        plugin.submit(HELLO)

    assert files_below(tmp_path) == before


@pytest.mark.parametrize("deadline", range(1, 10))
def test_a_process_killed_at_any_write_leaves_a_whole_job_or_none(
    deadline: int, plugin: LocalPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed: no clean-up runs. A status file is there only when everything else is."""
    writes = 0

    class Killed(BaseException):
        pass

    original = atomic.put

    def count(path: str, data: bytes, **how: object) -> None:
        nonlocal writes
        writes += 1
        if writes == deadline:
            raise Killed
        original(path, data, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(atomic, "put", count)
    monkeypatch.setattr("plugins.local.submission.Writer._undo", lambda *_: None)
    complete = {"description", "local", "grami", "input_status"}
    try:
        plugin.submit(HELLO)
    except Killed:
        assert plugin.jobs() == []
        return
    [job] = plugin.jobs()
    assert complete == {suffix for suffix in complete if plugin.store.exists(job, suffix)}


def test_one_bad_description_does_not_stop_the_others(plugin: LocalPlugin, tmp_path: Path) -> None:
    """Outcomes stand in the order of the descriptions; a text with two jobs has two."""
    texts = [HELLO, "&(executable", "&(executable=/bin/true)(inputfiles=(a missing))", f"+({HELLO})({HELLO})"]

    outcomes = plugin.submit(texts, cwd=tmp_path)

    assert [type(one).__name__ for one in outcomes] == ["Submitted", "Refused", "Refused", "Submitted", "Submitted"]
    assert [one.source for one in outcomes] == [0, 1, 2, 3, 3]
    assert len(plugin.jobs()) == 3


def test_a_closed_service_refuses_in_arcs_words(config: Configuration) -> None:
    plugin = LocalPlugin(replace(config, ws_jobs=WsJobsBlock(allownew=False)), subject=SUBJECT)

    [outcome] = plugin.submit(HELLO)

    assert reason(outcome) == "New job submission is not allowed"


def test_an_unknown_queue_is_refused_in_arcs_words(plugin: LocalPlugin) -> None:
    [outcome] = plugin.submit("&(executable=/bin/true)(queue=nope)")

    assert reason(outcome) == "Requested queue nope is not allowed for this user"


def test_a_description_above_maxjobdesc_is_refused(config: Configuration) -> None:
    plugin = LocalPlugin(replace(config, ws_jobs=WsJobsBlock(maxjobdesc=600)), subject=SUBJECT)

    [outcome] = plugin.submit(f'&(executable=/bin/true)(arguments="{"x" * 500}")')

    assert "too big" in reason(outcome)


def test_maxjobs_limits_the_jobs_in_the_control_directory(config: Configuration) -> None:
    arex = replace(config.arex, maxjobs=MaxJobs(total=2))
    plugin = LocalPlugin(replace(config, arex=arex), subject=SUBJECT)

    outcomes = plugin.submit([HELLO] * 3)

    assert [type(one).__name__ for one in outcomes] == ["Submitted", "Submitted", "Refused"]


def test_new_jobs_stay_out_of_draining_session_roots(config: Configuration, tmp_path: Path) -> None:
    roots = (SessionDir(path=tmp_path / "old", drain=True), SessionDir(path=tmp_path / "new"))
    plugin = LocalPlugin(replace(config, arex=replace(config.arex, sessiondir=roots)), subject=SUBJECT)

    jobs = made(plugin.submit([HELLO] * 5))

    assert {job.session.parent for job in jobs} == {tmp_path / "new"}


def test_with_draining_session_roots_only_arc_says_so(config: Configuration, tmp_path: Path) -> None:
    roots = (SessionDir(path=tmp_path / "old", drain=True),)
    plugin = LocalPlugin(replace(config, arex=replace(config.arex, sessiondir=roots)), subject=SUBJECT)

    [outcome] = plugin.submit(HELLO)

    assert reason(outcome) == "No non-draining session dirs available"


def test_an_excluded_queue_is_not_taken(plugin: LocalPlugin) -> None:
    [job] = made(plugin.submit("&(executable=/bin/true)(queue!=q1)"))

    local = plugin.store.read_local(job.id)

    assert local is not None
    assert local.queue == "q2"


def test_the_first_alternative_that_is_admitted_runs(plugin: LocalPlugin) -> None:
    [job] = made(plugin.submit("|(&(executable=/bin/true)(queue=nope))(&(executable=/bin/false)(queue=q2))"))

    local = plugin.store.read_local(job.id)

    assert local is not None
    assert local.args == ("/bin/false",)


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/etc/up", "x\ny"])
def test_uploads_never_leave_the_session_directory(name: str, plugin: LocalPlugin, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("1")
    description = JobDescription(executable="/bin/true", inputs=(InputFile(name=name),))
    source = f'&(executable=/bin/true)(inputfiles=("{name}" "data"))'

    outcomes = [*plugin.submit(source, cwd=tmp_path), *plugin.submit(description, cwd=tmp_path)]

    assert {type(one) for one in outcomes} == {Refused}
    assert not (tmp_path / "session").exists() or not os.listdir(tmp_path / "session")
    assert not (tmp_path / "up").exists()


def test_an_input_that_is_no_file_is_refused(plugin: LocalPlugin, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    [outcome] = plugin.submit("&(executable=/bin/true)(inputfiles=(data data))", cwd=tmp_path)

    assert reason(outcome) == "data is a directory: name its files one by one"


def test_a_control_directory_that_cannot_be_created_is_an_error(config: Configuration, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    arex = replace(config.arex, controldir=tmp_path / "file" / "ctl")

    with pytest.raises(ControlDirError, match="cannot prepare the control directory"):
        LocalPlugin(replace(config, arex=arex), subject=SUBJECT).submit(HELLO)


@given(name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_a_job_s_name_adds_no_line_to_its_facts(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the name is, the owner stays who it was."""
    root = tmp_path_factory.mktemp("hostile")
    arex = replace(Configuration().arex, controldir=root / "ctl", sessiondir=(SessionDir(path=root / "s"),))
    plugin = LocalPlugin(Configuration(arex=arex), subject=SUBJECT)
    [outcome] = plugin.submit(JobDescription(executable="/bin/true", name=name))
    if isinstance(outcome, Refused):  # characters that XML can't carry
        return

    local = plugin.store.read_local(outcome.id)

    assert local is not None
    assert (local.subject, local.extra, local.odd) == (SUBJECT, (), ())
