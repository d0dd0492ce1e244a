"""Requests and results: what clients write into a control directory, and what they get out of a session."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from arex.config.model import Configuration
from arex.controldir.layout import Mark
from arex.errors import ControlDirError, CredentialError, JobRefused, NoSuchJob
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status
from plugins.local import LocalPlugin
from plugins.local.status import ClientState
from plugins.local.submission import Refused, Submitted
from plugins.local.view import Output
from tests.unit.plugins.local.conftest import SUBJECT

SLEEP = "&(executable=/bin/sleep)(arguments=9)(stdout=out.txt)(jobname=sleeper)"


@pytest.fixture
def job(plugin: LocalPlugin) -> JobId:
    return submit(plugin)


def submit(plugin: LocalPlugin, text: str = SLEEP) -> JobId:
    [outcome] = plugin.submit(text)
    assert isinstance(outcome, Submitted)
    return outcome.id


def move(plugin: LocalPlugin, job: JobId, state: State) -> None:
    """What a daemon would do."""
    found = plugin.store.read_status(job)
    assert found is not None
    plugin.store.put_status(job, Status(state), found.place)


def fail(plugin: LocalPlugin, job: JobId, **facts: object) -> None:
    local = plugin.store.read_local(job) or JobLocal()
    plugin.store.put_local(job, replace(local, **facts))  # type: ignore[arg-type]
    plugin.store.append(job, "failed", "LRMS error: (1) no\n")
    move(plugin, job, State.FINISHED)


def marks(plugin: LocalPlugin, job: JobId) -> set[Mark]:
    return {mark for mark in Mark if plugin.store.has_mark(job, mark)}


def session_of(plugin: LocalPlugin, job: JobId) -> Path:
    directory = plugin.one(job).sessiondir
    assert directory is not None
    return directory


@pytest.mark.parametrize(("clean", "expected"), [(False, {Mark.CANCEL}), (True, {Mark.CANCEL, Mark.CLEAN})])
def test_kill_leaves_the_marks_of_arckill(plugin: LocalPlugin, job: JobId, clean: bool, expected: set[Mark]) -> None:
    plugin.kill(job, clean=clean)

    assert expected == marks(plugin, job)


def test_a_finished_job_is_not_killed(plugin: LocalPlugin, job: JobId) -> None:
    move(plugin, job, State.FINISHED)

    with pytest.raises(JobRefused, match="already finished"):
        plugin.kill(job)


def test_only_finished_jobs_are_cleaned(plugin: LocalPlugin, job: JobId) -> None:
    with pytest.raises(JobRefused, match="not finished"):
        plugin.clean(job)
    move(plugin, job, State.FINISHED)

    plugin.clean(job)

    assert marks(plugin, job) == {Mark.CLEAN}


def test_a_restart_needs_a_failure_and_a_rerun(plugin: LocalPlugin) -> None:
    fine, spent, never, good = (submit(plugin) for _ in range(4))
    move(plugin, fine, State.FINISHED)
    fail(plugin, spent, failedstate=State.INLRMS, rerun=0)
    fail(plugin, never, rerun=2)
    fail(plugin, good, failedstate=State.INLRMS, rerun=1)

    with pytest.raises(JobRefused, match="Job has not failed"):
        plugin.restart(fine)
    with pytest.raises(JobRefused, match="No more restarts allowed"):
        plugin.restart(spent)
    with pytest.raises(JobRefused, match="never started"):
        plugin.restart(never)
    plugin.restart(good)

    assert [marks(plugin, one) for one in (fine, spent, never, good)] == [set(), set(), set(), {Mark.RESTART}]


def test_an_invalid_credential_does_not_prevent_a_submission(
    config: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner is the account then, and the fault can be shown."""
    (tmp_path / "proxy").write_text("garbage")
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "proxy"))
    plugin = LocalPlugin(config)

    submit(plugin)

    assert plugin.subject.startswith("/O=local/CN=")
    assert "contains no certificate" in plugin.credential_fault


def test_a_daemon_is_seen_without_being_woken(plugin: LocalPlugin, job: JobId) -> None:
    del job
    before = plugin.served
    os.mkfifo(plugin.store.root / "gm.fifo", 0o600)
    without = plugin.served
    fd = os.open(plugin.store.root / "gm.fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert (before, without, plugin.served) == (False, False, True)
        assert os.read(fd, 10) == b""
    finally:
        os.close(fd)


def test_a_job_without_a_delegation_has_nothing_to_renew(plugin: LocalPlugin, job: JobId) -> None:
    with pytest.raises(JobRefused, match="nothing to renew"):
        plugin.renew(job)


def test_a_user_without_a_proxy_can_renew_nothing(
    plugin: LocalPlugin, job: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arex.credentials.find", lambda: None)
    plugin.store.put_local(job, replace(plugin.store.read_local(job) or JobLocal(), delegationid="0123456789ab"))

    with pytest.raises(CredentialError, match="no proxy"):
        plugin.renew(job)


def test_a_request_rings_the_daemon_with_id_and_nul(plugin: LocalPlugin, job: JobId) -> None:
    os.mkfifo(plugin.store.root / "gm.fifo", 0o600)
    fd = os.open(plugin.store.root / "gm.fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        plugin.kill(job)

        assert os.read(fd, 1000) == job.encode() + b"\0"
    finally:
        os.close(fd)


def test_a_submission_without_a_daemon_says_so(plugin: LocalPlugin) -> None:
    [outcome] = plugin.submit(SLEEP)

    assert isinstance(outcome, Submitted)
    assert not outcome.announced


def test_results_of_an_unfinished_job_are_refused(plugin: LocalPlugin, job: JobId, tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match="it is Accepted"):
        plugin.fetch(job, tmp_path / "here")


def test_results_are_copied(plugin: LocalPlugin, job: JobId, tmp_path: Path) -> None:
    (session_of(plugin, job) / "out.txt").write_text("well done")
    move(plugin, job, State.FINISHED)

    done = plugin.fetch(job, tmp_path / "here")

    assert (done.files, (tmp_path / "here" / "out.txt").read_text()) == (1, "well done")


def test_output_that_does_not_exist_yet_is_an_error(plugin: LocalPlugin, job: JobId) -> None:
    with pytest.raises(ControlDirError, match="Job has no stdout"):
        b"".join(plugin.cat(job))


def test_a_job_that_keeps_no_output_says_so(plugin: LocalPlugin, job: JobId) -> None:
    with pytest.raises(JobRefused, match="does not store its stderr"):
        b"".join(plugin.cat(job, Output.STDERR))


def test_the_log_of_a_job_can_be_read(plugin: LocalPlugin, job: JobId) -> None:
    plugin.store.note(job, "a line")

    assert b"".join(plugin.cat(job, Output.LOG)) == b"a line\n"


def test_a_link_in_the_session_directory_is_not_read(plugin: LocalPlugin, job: JobId) -> None:
    (session_of(plugin, job) / "out.txt").symlink_to("/etc/passwd")

    with pytest.raises(ControlDirError):
        b"".join(plugin.cat(job))


def test_output_is_followed_to_its_end(config: Configuration) -> None:
    """A file that comes late and grows is yielded once, whole."""
    scenes: Iterator[str]

    def pause(_: float) -> None:
        scene = next(scenes)
        if scene == "end":
            move(plugin, job, State.FINISHED)
        else:
            with (session_of(plugin, job) / "out.txt").open("a") as stream:
                stream.write(scene)

    scenes = iter(["one ", "two ", "three", "end"])
    plugin = LocalPlugin(config, subject=SUBJECT, pause=pause)
    job = submit(plugin)

    assert b"".join(plugin.cat(job, followed=True)) == b"one two three"


def test_watching_tells_every_change_and_ends_with_the_job(config: Configuration) -> None:
    steps = iter([State.PREPARING, State.PREPARING, State.SUBMIT, State.FINISHED])
    plugin = LocalPlugin(config, subject=SUBJECT, pause=lambda _: move(plugin, job, next(steps)))
    job = submit(plugin)

    seen = [status.state for status in plugin.watch([job])]

    assert seen == [ClientState.ACCEPTED, ClientState.PREPARING, ClientState.SUBMITTING, ClientState.FINISHED]


def test_a_watched_job_that_disappears_is_reported_as_deleted(config: Configuration) -> None:
    plugin = LocalPlugin(config, subject=SUBJECT, pause=lambda _: plugin.store.forget(job))
    job = submit(plugin)

    assert [status.state for status in plugin.watch([job])] == [ClientState.ACCEPTED, ClientState.DELETED]


def test_watching_ends_with_its_time(config: Configuration) -> None:
    plugin = LocalPlugin(config, subject=SUBJECT, pause=lambda _: None)
    job = submit(plugin)

    assert len(list(plugin.watch([job], timeout_s=5))) == 1


def test_watching_a_job_that_never_was_raises(plugin: LocalPlugin) -> None:
    with pytest.raises(NoSuchJob):
        list(plugin.watch(["nosuch"]))


def test_threads_share_a_plugin(plugin: LocalPlugin) -> None:
    failures: list[BaseException] = []

    def feed() -> None:
        try:
            plugin.submit([SLEEP] * 10)
        except BaseException as exc:  # noqa: BLE001 - told below
            failures.append(exc)

    threads = [threading.Thread(target=feed) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (failures, len(plugin.jobs())) == ([], 40)


def test_what_is_described_is_what_would_be_submitted(plugin: LocalPlugin) -> None:
    """Also where only an alternative is possible here."""
    text = "|(&(executable=/bin/true)(queue=nosuch))(&(executable=/bin/false)(queue=q2))"

    [document] = plugin.describe(text)
    [job] = plugin.submit(text)

    assert isinstance(job, Submitted)
    assert document.encode() == plugin.store.read(job.id, "description")


def test_what_would_be_refused_is_not_described(plugin: LocalPlugin) -> None:
    with pytest.raises(JobRefused):
        plugin.describe("|(&(executable=/bin/true)(queue=nosuch))(&(executable=/bin/false)(queue=neither))")


def test_a_relation_on_a_runtime_environment_becomes_the_latest_that_fits(plugin: LocalPlugin) -> None:
    """ADL has names only, so the client chooses, as ARC's broker does."""
    enabled = plugin.store.root / "rte" / "enabled" / "APPS"
    enabled.mkdir(parents=True)
    for version in ("1.0", "2.0", "10.0"):
        (enabled / f"X-{version}").write_text(":")

    [text] = plugin.describe('&(executable=/bin/true)(runtimeenvironment>="APPS/X-1.5")')

    assert "<Name>APPS/X</Name>" in text.replace("-10.0", "")
    assert "10.0" in text
    [refused] = plugin.submit(['&(executable=/bin/true)(runtimeenvironment>"APPS/X-10.0")'])
    assert isinstance(refused, Refused)
    assert "APPS/X" in str(refused.error)
