from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arex.controldir.layout import LAYOUTS, PLACE_OF, Mark, Place
from arex.controldir.session import SessionFiles
from arex.controldir.store import AT_CLEAN, ControlDir
from arex.errors import ControlDirError, CorruptFile, UnsafePath
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status

JOB = JobId("134c5451d7ab")
OTHER = JobId("134c5451d7ac")
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@pytest.fixture(params=sorted(LAYOUTS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ControlDir:
    store = ControlDir(LAYOUTS[request.param](tmp_path / "ctl"))
    store.prepare("me")
    return store


def _status_files(store: ControlDir) -> list[str]:
    return sorted(path.parent.name for path in store.root.glob("*/*.status"))


def _mode(path: Path | str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


# --- the directory ----------------------------------------------------------------------------------------------------


def test_everything_that_is_made_is_private(store: ControlDir) -> None:
    """As the description of ARC's directory has it: directories 0700, files of jobs 0600."""
    store.reserve(JOB, b"x")
    store.put_local(JOB, JobLocal(queue="q"))
    store.put_status(JOB, Status(State.ACCEPTED), None)
    store.set_mark(JOB, Mark.CANCEL)
    store.note(JOB, "x")
    store.touch(JOB, "diag")

    assert {0o700} == {
        _mode(path) for path in (store.root, *store.root.iterdir()) if path.is_dir() and path.name != "jobs"
    }
    assert {0o600} == {_mode(path) for path in store.root.rglob("*") if path.is_file()}


def test_preparing_twice_is_preparing_once(store: ControlDir) -> None:
    store.put_status(JOB, Status(State.ACCEPTED), None)
    store.prepare("me")

    assert ["accepting"] == _status_files(store)


def test_a_directory_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "ctl").write_text("")

    with pytest.raises(ControlDirError, match=f"cannot prepare the control directory {tmp_path}/ctl"):
        ControlDir(LAYOUTS["flat"](tmp_path / "ctl")).prepare("me")


# --- status -----------------------------------------------------------------------------------------------------------


def test_a_status_file_moves_with_its_state_and_there_is_always_exactly_one(store: ControlDir) -> None:
    place = None
    for state in (State.ACCEPTED, State.PREPARING, State.INLRMS, State.FINISHING, State.FINISHED, State.DELETED):
        place = store.put_status(JOB, Status(state), place)
        found = store.read_status(JOB)

        assert place is PLACE_OF[state]
        assert [str(place)] == _status_files(store)
        assert found is not None
        assert (place, Status(state)) == (found.place, found.status)


@pytest.mark.parametrize("data", [b"", b"NONSENSE", b"x" * 5000, b"\xff"])
def test_a_status_file_without_a_state_is_there_and_says_nothing(store: ControlDir, data: bytes) -> None:
    Path(store.layout.status_file(Place.ACCEPTING, JOB)).write_bytes(data)
    found = store.read_status(JOB)

    assert found is not None
    assert found.status is None


@pytest.mark.parametrize("stamp", [-(2**40), 0, 2**33, 2**55])
def test_a_status_file_of_any_age_is_read(store: ControlDir, stamp: int) -> None:
    """File systems keep times that no calendar has."""
    store.put_status(JOB, Status(State.ACCEPTED), None)
    os.utime(store.layout.status_file(Place.ACCEPTING, JOB), (stamp, stamp))

    assert store.read_status(JOB) is not None


@pytest.mark.parametrize("kind", ["link", "directory", "pipe"])
def test_what_is_no_file_is_no_status(store: ControlDir, tmp_path: Path, kind: str) -> None:
    path = Path(store.layout.status_file(Place.ACCEPTING, JOB))
    (tmp_path / "target").write_text("ACCEPTED")
    match kind:
        case "link":
            path.symlink_to(tmp_path / "target")
        case "directory":
            path.mkdir()
        case _:
            os.mkfifo(path)

    assert store.read_status(JOB) is None
    assert [] == list(store.scan(Place.ACCEPTING))


def test_a_status_file_of_another_user_is_none(store: ControlDir) -> None:
    store.put_status(JOB, Status(State.ACCEPTED), None)
    store._uid += 1

    assert store.read_status(JOB) is None
    assert [] == list(store.scan(Place.ACCEPTING))


def test_old_status_files_of_a_killed_daemon_are_removed(store: ControlDir) -> None:
    for place in Place:
        Path(store.layout.status_file(place, JOB)).write_text("INLRMS")
    store.drop_old_status(JOB, Place.PROCESSING)

    assert ["processing"] == _status_files(store)


def test_a_scan_gives_jobs_and_marks_and_nothing_else(store: ControlDir) -> None:
    store.put_status(JOB, Status(State.ACCEPTED), None)
    store.set_mark(OTHER, Mark.CLEAN)
    for name in ("README", ".nfs0001", "job.a b.status", "a b.status"):
        (store.root / "accepting" / name).touch()

    assert [JOB] == [job for job, _ in store.scan(Place.ACCEPTING)]
    assert [JOB] == list(store.scan_names(Place.ACCEPTING))
    assert [(OTHER, Mark.CLEAN)] == list(store.scan_marks())


# --- files of a job ---------------------------------------------------------------------------------------------------


def test_an_id_is_taken_once(store: ControlDir) -> None:
    store.reserve(JOB, b"one")

    with pytest.raises(FileExistsError):
        store.reserve(JOB, b"two")
    assert b"one" == store.read(JOB, "description")


def test_values_come_back(store: ControlDir) -> None:
    store.reserve(JOB, b"")
    store.put_local(JOB, JobLocal(queue="q"))
    store.put_entries(JOB, "input", [FileEntry("/a b")])
    store.note(JOB, "one")
    store.note(JOB, "two\n")

    assert JobLocal(queue="q") == store.read_local(JOB)
    assert [FileEntry("/a b")] == store.read_entries(JOB, "input")
    assert b"one\ntwo\n" == store.read(JOB, "errors")
    assert "" == store.failure(JOB)
    assert store.read_entries(JOB, "output") is None
    assert store.read_local(OTHER) is None


def test_a_local_file_without_end_is_corrupt(store: ControlDir) -> None:
    store.put(JOB, "local", b"x" * (1 << 21))

    with pytest.raises(CorruptFile):
        store.read_local(JOB)


def test_a_file_from_elsewhere_is_taken_over(store: ControlDir, tmp_path: Path) -> None:
    store.put(JOB, "diag", b"old")
    (tmp_path / "diag").write_bytes(b"new")

    assert [True, False] == [store.take(JOB, "diag", tmp_path / "diag") for _ in range(2)]
    assert b"new" == store.read(JOB, "diag")


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Another file system than the one of temporary files."""
    path = Path(tempfile.mkdtemp(prefix="arex-test-", dir="/dev/shm"))
    yield path
    for one in path.iterdir():
        one.unlink()
    path.rmdir()


def test_a_file_from_another_file_system_is_taken_over(store: ControlDir, elsewhere: Path) -> None:
    (elsewhere / "diag").write_bytes(b"new")
    store.reserve(JOB, b"")
    assert elsewhere.stat().st_dev != store.root.stat().st_dev

    assert store.take(JOB, "diag", elsewhere / "diag")
    assert b"new" == store.read(JOB, "diag")
    assert [] == list(elsewhere.iterdir())


@pytest.mark.parametrize("kind", ["link", "directory", "pipe"])
def test_what_is_no_file_is_not_taken_over(store: ControlDir, tmp_path: Path, kind: str) -> None:
    store.put(JOB, "diag", b"old")
    match kind:
        case "link":
            (tmp_path / "diag").symlink_to("/etc/passwd")
        case "directory":
            (tmp_path / "diag").mkdir()
        case _:
            os.mkfifo(tmp_path / "diag")

    assert not store.take(JOB, "diag", tmp_path / "diag")
    assert b"old" == store.read(JOB, "diag")


def test_a_mark_of_another_user_is_none(store: ControlDir) -> None:
    store.set_mark(JOB, Mark.CANCEL)
    assert store.has_mark(JOB, Mark.CANCEL)
    store._uid += 1

    assert not store.has_mark(JOB, Mark.CANCEL)
    assert not store.has_mark(JOB, Mark.CLEAN)


def test_forgetting_leaves_nothing_of_the_job_and_all_of_its_neighbour(store: ControlDir) -> None:
    for job in (JOB, OTHER):
        for suffix in AT_CLEAN:
            store.put(job, suffix, b"x")
        for mark in Mark:
            store.set_mark(job, mark)
        store.put_status(job, Status(State.FINISHED), None)
    before = sorted(path for path in store.root.rglob("*") if OTHER in str(path) or "7ac" in str(path))

    store.forget(JOB)
    store.forget(JOB)

    assert [] == [path for path in store.root.rglob("*") if JOB in path.name or path.name == "7ab"]
    assert before == sorted(path for path in store.root.rglob("*") if OTHER in str(path) or "7ac" in str(path))


def test_a_removal_that_fails_anywhere_is_repeated_by_whoever_comes_next(
    store: ControlDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as there is a status, there is the mark that says that the job has to go."""
    unlink, left = os.unlink, [0]
    for suffix in AT_CLEAN:
        store.put(JOB, suffix, b"x")
    for mark in Mark:
        store.set_mark(JOB, mark)
    store.put_status(JOB, Status(State.FINISHED), None)

    def fails_once(path: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.EIO, "Input/output error", path)
        unlink(path)

    monkeypatch.setattr(os, "unlink", fails_once)
    attempts = 0
    while left[0] <= 0:
        attempts += 1
        left[0] = attempts  # until the call that fails
        try:
            store.forget(JOB)
        except OSError:
            assert store.has_mark(JOB, Mark.CLEAN) or store.read_status(JOB) is None

    assert attempts > len(AT_CLEAN)
    assert [] == [path for path in store.root.rglob("*") if JOB in path.name]


def test_directories_of_a_nested_layout_go_with_their_last_job(tmp_path: Path) -> None:
    store = ControlDir(LAYOUTS["nested"](tmp_path / "ctl"))
    store.prepare("me")
    store.put(JOB, "local", b"")
    store.forget(JOB)

    assert [] == list((tmp_path / "ctl" / "jobs").iterdir())


# --- sessions ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def session(tmp_path: Path) -> SessionFiles:
    session = SessionFiles(tmp_path / "session" / JOB)
    session.make()
    return session


def test_a_session_is_private_and_made_once(session: SessionFiles) -> None:
    session.make()

    assert 0o700 == _mode(session.path)
    assert session.exists()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_something_else_in_the_place_of_a_session_is_no_session(tmp_path: Path, kind: str) -> None:
    path = tmp_path / JOB
    if kind == "link":
        path.symlink_to(tmp_path)
    else:
        path.touch()

    assert not SessionFiles(path).exists()
    with pytest.raises(CorruptFile):
        SessionFiles(path).make()


@pytest.mark.parametrize("odd", ["file", "directory", "link"])
def test_a_session_goes_with_whatever_lies_beside_it(session: SessionFiles, tmp_path: Path, odd: str) -> None:
    (tmp_path / "precious").mkdir()
    for path in (session.diag, session.comment, session.lrms):
        match odd:
            case "file":
                path.touch()
            case "directory":
                (path / "below").mkdir(parents=True)
            case _:
                path.symlink_to(tmp_path / "precious")

    session.remove()
    session.remove()

    assert [] == list(session.path.parent.iterdir())
    assert (tmp_path / "precious").is_dir()


@pytest.mark.parametrize("name", [JOB, f"{JOB}x", "home", "..", f"{JOB}/..", f"../{JOB}", f"{JOB}\0", f"{JOB}.lrms"])
def test_only_a_directory_of_its_name_can_be_a_jobs_own(tmp_path: Path, name: str) -> None:
    """It is emptied and removed one day."""
    assert (name == JOB) == (SessionFiles(tmp_path / name).objection(JOB) == "")


def test_a_relative_session_is_not_its_own() -> None:
    assert SessionFiles(Path(JOB)).objection(JOB)


def test_a_link_is_not_a_jobs_own(tmp_path: Path) -> None:
    (tmp_path / JOB).symlink_to(tmp_path)

    assert "a symbolic link" == SessionFiles(tmp_path / JOB).objection(JOB)


def test_a_directory_of_another_user_is_not_a_session_directory() -> None:
    foreign = next(path for path in Path("/proc").iterdir() if path.name.isdigit()) if os.geteuid() else None
    path = foreign or _given_away()
    try:
        assert "owned by another user" == SessionFiles(path).objection(JobId(path.name))
    finally:
        if foreign is None:
            path.rmdir()


def _given_away() -> Path:
    path = Path(tempfile.mkdtemp(prefix="arexgiven", dir="/dev/shm"))
    os.chown(path, 65534, 65534)
    return path


def test_logs_are_shown_where_their_owner_asked(session: SessionFiles) -> None:
    session.copy_logs("deep/log", {"errors": b"one"})
    session.copy_logs("deep/log", {"errors": b"two"})

    assert b"two" == (session.path / "deep" / "log" / "errors").read_bytes()


def test_logs_go_through_no_link(session: SessionFiles, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "errors").write_text("precious")
    (session.path / "log").symlink_to(tmp_path / "target")
    with pytest.raises(UnsafePath):
        session.copy_logs("log", {"errors": b"x"})

    (session.path / "log").unlink()
    (session.path / "log").mkdir()
    (session.path / "log" / "errors").symlink_to(tmp_path / "target" / "errors")
    session.copy_logs("log", {"errors": b"x"})
    assert b"x" == (session.path / "log" / "errors").read_bytes()
    assert "precious" == (tmp_path / "target" / "errors").read_text()
