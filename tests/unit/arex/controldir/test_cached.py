"""The control directory with a cache for one turn of a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from arex.controldir import atomic
from arex.controldir.cached import CachedControlDir
from arex.controldir.layout import FlatLayout, Mark, Place
from arex.controldir.store import ControlDir
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.model.state import State, Status

JOB = JobId("looked")


@pytest.fixture
def store(tmp_path: Path) -> ControlDir:
    store = ControlDir(FlatLayout(tmp_path / "ctl"))
    store.prepare("me")
    return store


@pytest.fixture
def cached(store: ControlDir) -> CachedControlDir:
    return CachedControlDir(store, JOB)


def test_a_file_is_read_once(store: ControlDir, cached: CachedControlDir) -> None:
    store.put(JOB, "input", b"one\n")
    assert cached.read(JOB, "input") == b"one\n"
    store.put(JOB, "input", b"two\n")
    assert cached.read(JOB, "input") == b"one\n"
    assert CachedControlDir(store, JOB).read(JOB, "input") == b"two\n"


def test_what_it_has_written_it_does_not_read(store: ControlDir, cached: CachedControlDir) -> None:
    assert cached.read(JOB, "output") is None
    cached.put_entries(JOB, "output", [FileEntry("/a")])
    cached.append(JOB, "output", "/b\n")
    assert cached.read(JOB, "output") == b"/a\n/b\n" == store.read(JOB, "output")
    cached.touch(JOB, "output")
    assert cached.read(JOB, "output") == b"/a\n/b\n"
    cached.remove(JOB, ("output",))
    assert cached.read(JOB, "output") is None is store.read(JOB, "output")
    cached.touch(JOB, "output")
    assert cached.read(JOB, "output") == b""


def test_a_file_that_replaced_another_is_read_again(cached: CachedControlDir, tmp_path: Path) -> None:
    cached.put(JOB, "diag", b"old")
    (tmp_path / "other").write_bytes(b"new")
    assert cached.take(JOB, "diag", tmp_path / "other")
    assert cached.read(JOB, "diag") == b"new"


def test_lines_for_the_owner_are_there_before_the_status(store: ControlDir, cached: CachedControlDir) -> None:
    cached.note(JOB, "one")
    cached.note(JOB, "two\n")
    assert store.read(JOB, "errors") is None
    cached.put_status(JOB, Status(State.ACCEPTED), Place.ACCEPTING)
    assert store.read(JOB, "errors") == b"one\ntwo\n"


def test_lines_for_the_owner_are_there_before_a_request_is_gone(
    store: ControlDir, cached: CachedControlDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the two would lose the answer to the request; and a client may wait for the mark to vanish."""
    found = []
    drop = ControlDir.drop_mark

    def note_and_drop(self: ControlDir, job: JobId, mark: Mark) -> None:
        found.append(store.read(job, "errors"))
        drop(self, job, mark)

    monkeypatch.setattr(ControlDir, "drop_mark", note_and_drop)
    store.set_mark(JOB, Mark.HOLD)
    cached.note(JOB, "refused")
    cached.drop_mark(JOB, Mark.HOLD)
    assert found == [b"refused\n"]


def test_lines_wait_for_the_end_of_the_turn_or_for_a_reader(store: ControlDir, cached: CachedControlDir) -> None:
    cached.note(JOB, "one")
    assert cached.read(JOB, "errors") == b"one\n"
    cached.note(JOB, "two")
    cached.flush()
    cached.flush()
    assert store.read(JOB, "errors") == b"one\ntwo\n"


def test_lines_of_a_removed_job_do_not_create_its_log_again(store: ControlDir, cached: CachedControlDir) -> None:
    cached.note(JOB, "one")
    cached.forget(JOB)
    cached.flush()
    assert store.read(JOB, "errors") is None


def test_files_that_appear_during_the_turn_go_with_their_job(store: ControlDir, cached: CachedControlDir) -> None:
    assert cached.read(JOB, "input_status") is None
    store.put(JOB, "input_status", b"\n")
    cached.forget(JOB)
    assert store.read(JOB, "input_status") is None


def test_durable_files_are_flushed_to_disk_together_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ControlDir(FlatLayout(tmp_path / "ctl"), durable=True)
    store.prepare("me")
    synced: list[str] = []
    monkeypatch.setattr(atomic, "force", synced.append)
    cached = CachedControlDir(store, JOB)

    assert cached.create(JOB, "lrms_job", b"tag=1\n", durable=True)
    cached.put(JOB, "lrms_job", b"tag=2\n", durable=True)
    cached.put(JOB, "grami", b"", durable=True)
    cached.remove(JOB, ("grami",))
    cached.put(JOB, "input", b"")
    assert synced == []
    cached.sync()
    cached.sync()
    assert synced == [store.layout.job_file(JOB, "lrms_job")]


def test_a_mark_is_checked_once(store: ControlDir, cached: CachedControlDir) -> None:
    assert not cached.has_mark(JOB, Mark.CANCEL)
    store.set_mark(JOB, Mark.CANCEL)
    assert not cached.has_mark(JOB, Mark.CANCEL)
    cached.set_mark(JOB, Mark.CANCEL)
    assert cached.has_mark(JOB, Mark.CANCEL)
    cached.drop_mark(JOB, Mark.CANCEL)
    assert not cached.has_mark(JOB, Mark.CANCEL)
    assert not store.has_mark(JOB, Mark.CANCEL)
