"""Session directories and what lies beside them, where payloads and other accounts can write."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from arex.controldir import confined_fs
from arex.controldir.session import (
    REMOVING,
    SessionFiles,
    discard,
    retry_removals,
    root_objection,
    root_warning,
)
from arex.errors import CorruptFile, UnsafePath
from tests import permissions

JOB = "one"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "session"
    path.mkdir()
    return path


@pytest.fixture
def session(root: Path) -> SessionFiles:
    session = SessionFiles(root / JOB)
    session.make()
    return session


@pytest.fixture
def foreign(root: Path) -> Path:
    """A directory of another account."""
    if os.geteuid():
        return Path("/proc/1")
    path = root / "foreign"
    path.mkdir()
    os.chown(path, 65534, 65534)
    return path


# --- directories beside a session -------------------------------------------------------------------------------------


def test_a_directory_is_made_private_and_used_again(root: Path) -> None:
    for _ in range(2):
        with confined_fs.own_directory(root / "new") as inside:
            (inside / "file").write_text("x")

    assert ["file"] == os.listdir(root / "new")
    assert 0o700 == stat.S_IMODE((root / "new").stat().st_mode)


def test_a_link_or_a_file_is_not_used_as_a_directory(root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to(tmp_path)
    (root / "file").touch()

    for name in ("link", "file"):
        with pytest.raises(UnsafePath, match="is a link, or not a directory"), confined_fs.own_directory(root / name):
            pass


def test_a_directory_of_another_account_is_not_used(foreign: Path) -> None:
    with pytest.raises(UnsafePath, match="another account"), confined_fs.own_directory(foreign):
        pass


def test_a_session_directory_of_another_account_is_refused(foreign: Path) -> None:
    with pytest.raises(CorruptFile, match="another account"):
        SessionFiles(foreign).make()


def test_an_open_directory_stays_the_same_whatever_takes_its_place(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with confined_fs.own_directory(root / "dir") as inside:
        (root / "dir").rename(root / "old")
        (root / "dir").symlink_to(elsewhere)
        (inside / "file").write_text("x")

    assert [] == os.listdir(elsewhere)
    assert ["file"] == os.listdir(root / "old")


# --- .diag and .comment -----------------------------------------------------------------------------------------------


def test_output_files_that_are_there_are_kept(session: SessionFiles) -> None:
    session.make_output_files()
    session.comment.write_text("said")
    session.make_output_files()

    assert b"said" == session.printed()
    assert b"" == session.accounted()


@pytest.mark.parametrize("odd", ["link", "directory", "pipe", "closed", "hard link"])
def test_odd_output_files_of_an_earlier_run_are_replaced(session: SessionFiles, tmp_path: Path, odd: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("years of work")
    for path in (session.diag, session.comment):
        match odd:
            case "link":
                path.symlink_to(precious)
            case "directory":
                (path / "below").mkdir(parents=True)
            case "pipe":
                os.mkfifo(path)
            case "closed":
                path.touch(mode=0)
                path.chmod(0)
            case _:
                os.link(precious, path)

    session.make_output_files()

    assert b"" == session.printed() == session.accounted()
    assert "years of work" == precious.read_text()


def test_an_output_file_that_cannot_be_replaced_is_refused(
    session: SessionFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example one that another account has made in a session root like /tmp."""
    session.diag.symlink_to("/etc")
    _refuse(monkeypatch, "unlink", "rename")

    with pytest.raises(UnsafePath, match=r"one\.diag belongs to another account, or cannot be removed"):
        session.make_output_files()


def test_a_closed_output_is_read(session: SessionFiles) -> None:
    session.comment.write_text("said")
    session.comment.chmod(0)

    with permissions.closed(session.path):
        assert b"said" == session.printed()


def test_an_output_that_cannot_be_read_is_told(session: SessionFiles) -> None:
    session.comment.symlink_to("/etc/passwd")
    session.diag.mkdir()

    for read in (session.printed, session.accounted):
        with pytest.raises(CorruptFile):
            read()


# --- removal ----------------------------------------------------------------------------------------------------------


def _refuse(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, name, refuse)


def test_what_cannot_be_removed_is_moved_aside_and_removed_later(
    session: SessionFiles, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (session.path / "stuck").touch()

    with monkeypatch.context() as broken:
        _refuse(broken, "unlink")
        [text] = session.remove()
        assert 1 == retry_removals(root)

    assert f"Cannot remove {session.path}: one/stuck: Operation not permitted. It is in {root / REMOVING} now" == text
    assert [REMOVING] == os.listdir(root)
    assert 0 == retry_removals(root)
    assert [] == os.listdir(root)
    assert 0 == retry_removals(root)


def test_what_cannot_be_moved_stays_and_is_told(session: SessionFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    (session.path / "stuck").touch()
    _refuse(monkeypatch, "unlink", "rename")

    assert [f"Cannot remove {session.path}: one/stuck: Operation not permitted"] == discard(session.path)


def test_nothing_is_moved_where_a_link_leads(
    session: SessionFiles, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (root / REMOVING).symlink_to(tmp_path / "elsewhere")
    (session.path / "stuck").touch()
    _refuse(monkeypatch, "unlink")

    assert session.remove()

    assert [] == os.listdir(tmp_path / "elsewhere")
    with pytest.raises(UnsafePath):
        retry_removals(root)


# --- session roots ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "refused", "warned"), [(0o700, False, False), (0o755, False, False), (0o1777, False, True),
                                    (0o777, True, False), (0o702, True, False)],
)  # fmt: skip
def test_a_root_that_all_can_write_is_refused_or_warned_about(
    root: Path, mode: int, refused: bool, warned: bool
) -> None:
    root.chmod(mode)

    assert (refused, warned) == (bool(root_objection(root)), bool(root_warning(root)))


def test_a_root_that_is_not_made_yet_is_fine(root: Path) -> None:
    assert "" == root_objection(root / "new") == root_warning(root / "new")
