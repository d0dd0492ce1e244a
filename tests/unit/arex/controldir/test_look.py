"""What one look at a job reads and writes once."""

from __future__ import annotations

from pathlib import Path

import pytest

from arex.controldir import atomic
from arex.controldir.layout import FlatLayout, Mark, Place
from arex.controldir.look import Look
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
def look(store: ControlDir) -> Look:
    return Look(store, JOB)


def test_a_file_is_read_once(store: ControlDir, look: Look) -> None:
    store.put(JOB, "input", b"one\n")
    assert look.read(JOB, "input") == b"one\n"
    store.put(JOB, "input", b"two\n")
    assert look.read(JOB, "input") == b"one\n"
    assert Look(store, JOB).read(JOB, "input") == b"two\n"


def test_what_the_look_writes_it_knows(store: ControlDir, look: Look) -> None:
    assert look.read(JOB, "output") is None
    look.put_entries(JOB, "output", [FileEntry("/a")])
    look.append(JOB, "output", "/b\n")
    assert look.read(JOB, "output") == b"/a\n/b\n" == store.read(JOB, "output")
    look.touch(JOB, "output")
    assert look.read(JOB, "output") == b"/a\n/b\n"
    look.remove(JOB, ("output",))
    assert look.read(JOB, "output") is None is store.read(JOB, "output")
    look.touch(JOB, "output")
    assert look.read(JOB, "output") == b""


def test_what_is_taken_from_elsewhere_is_read_anew(look: Look, tmp_path: Path) -> None:
    look.put(JOB, "diag", b"old")
    (tmp_path / "other").write_bytes(b"new")
    assert look.take(JOB, "diag", tmp_path / "other")
    assert look.read(JOB, "diag") == b"new"


def test_lines_for_the_owner_are_there_before_the_status(store: ControlDir, look: Look) -> None:
    look.note(JOB, "one")
    look.note(JOB, "two\n")
    assert store.read(JOB, "errors") is None
    look.put_status(JOB, Status(State.ACCEPTED), Place.ACCEPTING)
    assert store.read(JOB, "errors") == b"one\ntwo\n"


def test_lines_wait_for_the_end_of_the_look_or_for_a_reader(store: ControlDir, look: Look) -> None:
    look.note(JOB, "one")
    assert look.read(JOB, "errors") == b"one\n"
    look.note(JOB, "two")
    look.settle()
    look.settle()
    assert store.read(JOB, "errors") == b"one\ntwo\n"


def test_lines_of_a_job_that_goes_do_not_bring_its_log_back(store: ControlDir, look: Look) -> None:
    look.note(JOB, "one")
    look.forget(JOB)
    look.settle()
    assert store.read(JOB, "errors") is None


def test_a_job_that_goes_leaves_nothing_that_came_during_the_look(store: ControlDir, look: Look) -> None:
    assert look.read(JOB, "input_status") is None
    store.put(JOB, "input_status", b"\n")
    look.forget(JOB)
    assert store.read(JOB, "input_status") is None


def test_what_shall_be_durable_is_forced_at_the_end_of_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ControlDir(FlatLayout(tmp_path / "ctl"), durable=True)
    store.prepare("me")
    forced: list[str] = []
    monkeypatch.setattr(atomic, "force", forced.append)
    look = Look(store, JOB)

    assert look.create(JOB, "lrms_job", b"tag=1\n", durable=True)
    look.put(JOB, "lrms_job", b"tag=2\n", durable=True)
    look.put(JOB, "grami", b"", durable=True)
    look.remove(JOB, ("grami",))
    look.put(JOB, "input", b"")
    assert forced == []
    look.force()
    look.force()
    assert forced == [store.layout.job_file(JOB, "lrms_job")]


def test_a_mark_is_looked_for_once(store: ControlDir, look: Look) -> None:
    assert not look.has_mark(JOB, Mark.CANCEL)
    store.set_mark(JOB, Mark.CANCEL)
    assert not look.has_mark(JOB, Mark.CANCEL)
    look.set_mark(JOB, Mark.CANCEL)
    assert look.has_mark(JOB, Mark.CANCEL)
    look.drop_mark(JOB, Mark.CANCEL)
    assert not look.has_mark(JOB, Mark.CANCEL)
    assert not store.has_mark(JOB, Mark.CANCEL)
