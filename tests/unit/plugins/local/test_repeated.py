"""Submissions that are repeated, or were interrupted."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.config.model import Configuration
from arex.config.values import MaxJobs
from arex.controldir import fifo, unfinished
from arex.controldir.layout import LAYOUTS, Mark
from arex.controldir.store import ControlDir
from arex.errors import JobRefused
from arex.model.ids import JobId, is_job_id, job_id_of
from plugins.local import LocalPlugin
from plugins.local.creation import Outcome
from plugins.local.submission import Refused, Submitted
from tests.unit.plugins.local.conftest import SUBJECT

HELLO = '&(executable=/bin/echo)(arguments="hello world")(stdout=out.txt)(jobname=hello)'
TWO = f"+({HELLO})(&(executable=/bin/true))"


def ids(outcomes: list[Outcome]) -> list[JobId]:
    jobs = [outcome for outcome in outcomes if isinstance(outcome, Submitted)]
    assert len(jobs) == len(outcomes), outcomes
    return [job.id for job in jobs]


class Killed(BaseException):
    """Nothing is cleaned up after it."""


def kill(plugin: LocalPlugin, monkeypatch: pytest.MonkeyPatch, text: str = HELLO, token: str = "") -> None:
    """Submit a job, and be killed before its status file is there."""

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(ControlDir, "put_status", killed)
        broken.setattr("plugins.local.submission.Writer._undo", lambda *_: None)
        with pytest.raises(Killed):
            plugin.submit(text, token=token)


def age(plugin: LocalPlugin, seconds: float) -> None:
    """Make all descriptions older than they are."""
    for path in [*plugin.store.root.glob("job.*.description"), *plugin.store.root.glob("jobs/*/*/*/*/description")]:
        stamp = path.stat().st_mtime - seconds
        os.utime(path, (stamp, stamp))


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_ids_of_a_token_are_ids_and_always_the_same() -> None:
    found = {job_id_of(token, number) for token in ("a", "b", "ä\udcff") for number in range(10)}

    assert 30 == len(found)
    assert all(is_job_id(job) and len(job) == 54 for job in found)
    assert job_id_of("a", 1) == job_id_of("a", 1)


def test_a_repeated_submission_returns_its_jobs(plugin: LocalPlugin) -> None:
    first = ids(plugin.submit([TWO, HELLO], token="mine"))

    again = plugin.submit([TWO, HELLO], token="mine")
    other = ids(plugin.submit([TWO, HELLO], token="other"))

    assert first == ids(again)
    assert set(plugin.jobs()) == {*first, *other}
    assert 6 == len({*first, *other})
    assert [(0, "hello"), (0, ""), (1, "hello")] == [
        (one.source, one.name) for one in again if isinstance(one, Submitted)
    ]
    assert all((one.session / "x").parent.is_dir() for one in again if isinstance(one, Submitted))


def test_a_submission_that_was_created_in_part_is_completed(plugin: LocalPlugin) -> None:
    [first] = ids(plugin.submit(HELLO, token="mine"))

    assert first == ids(plugin.submit(TWO, token="mine"))[0]
    assert 2 == len(plugin.jobs())


def test_a_repeated_submission_is_not_limited_by_maxjobs(config: Configuration) -> None:
    config = replace(config, arex=replace(config.arex, maxjobs=MaxJobs(total=1)))
    plugin = LocalPlugin(config, subject=SUBJECT)
    first = ids(plugin.submit(HELLO, token="mine"))

    assert first == ids(plugin.submit(HELLO, token="mine"))
    [refused] = plugin.submit(HELLO, token="other")
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, JobRefused)


def test_a_submission_that_was_killed_is_repeated(plugin: LocalPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(plugin, monkeypatch, token="mine")
    age(plugin, time.time() - plugin._clock.now().timestamp() + 60)

    [job] = ids(plugin.submit(HELLO, token="mine"))

    assert [job] == plugin.jobs()
    assert job == job_id_of("mine", 0)


def test_a_submission_that_is_at_work_is_not_repeated(plugin: LocalPlugin) -> None:
    job = job_id_of("mine", 0)
    plugin.store.prepare("me")
    at_work = plugin.store.begin(job, b"&")
    age(plugin, 10**8)

    [outcome] = plugin.submit(HELLO, token="mine")
    os.close(at_work)

    assert isinstance(outcome, Refused)
    assert "is at work, or was just interrupted" in str(outcome.error)
    assert b"&" == plugin.store.read(job, "description")


# --- notification -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["directory", "closed"])
def test_a_pipe_that_fails_changes_nothing_about_jobs_and_requests(plugin: LocalPlugin, kind: str) -> None:
    plugin.store.prepare("me")
    if kind == "directory":
        (plugin.store.root / fifo.NAME).mkdir()
    else:
        os.mkfifo(plugin.store.root / fifo.NAME, 0)

    [job] = ids(plugin.submit(HELLO))
    plugin.kill(job)

    assert plugin.store.has_mark(job, Mark.CANCEL)


# --- what killed submissions leave ------------------------------------------------------------------------------------


@pytest.fixture(params=["flat", "nested"])
def either(request: pytest.FixtureRequest, config: Configuration) -> LocalPlugin:
    """A plugin for each layout of the control directory."""
    assert request.param in LAYOUTS
    config = replace(config, service=replace(config.service, layout=request.param))
    return LocalPlugin(config, subject=SUBJECT)


def test_a_killed_submission_is_swept_after_an_hour(either: LocalPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    [job] = ids(either.submit(HELLO))
    kill(either, monkeypatch)
    now = datetime.now(UTC)

    assert 0 == unfinished.sweep(either.store, now + timedelta(minutes=50))
    assert 1 == unfinished.sweep(either.store, now + timedelta(minutes=70))

    assert [job] == either.jobs()
    assert [job] == os.listdir(either.config.arex.sessiondir[0].path)
    files = [path for path in either.store.root.rglob("*") if path.is_file()]
    assert all(job in str(path).replace("/", "") for path in files if path.name != "version2")
    assert 0 == unfinished.sweep(either.store, now + timedelta(days=70))


def test_a_submission_at_work_is_not_swept(either: LocalPlugin) -> None:
    """For example one that copies large inputs for hours."""
    either.store.prepare("me")
    job = job_id_of("x", 0)
    at_work = either.store.begin(job, b"&")

    assert 0 == unfinished.sweep(either.store, datetime.now(UTC) + timedelta(days=1))
    os.close(at_work)
    assert 1 == unfinished.sweep(either.store, datetime.now(UTC) + timedelta(days=1))

    assert not either.store.exists(job, "description")


def test_a_session_elsewhere_is_not_swept_with_a_killed_submission(
    plugin: LocalPlugin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    kill(plugin, monkeypatch)
    [path] = plugin.store.root.glob("job.*.local")
    path.write_text(f"sessiondir={tmp_path}/precious\n")

    assert 1 == unfinished.sweep(plugin.store, datetime.now(UTC) + timedelta(hours=2))

    assert (tmp_path / "precious").is_dir()
