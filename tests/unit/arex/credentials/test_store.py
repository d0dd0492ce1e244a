"""The store of credentials: one for many jobs, and gone when no one wants it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.credentials import credential_files
from arex.credentials.store import Store, Tidied
from arex.errors import CredentialError
from arex.model.ids import JobId

ME = "/DC=org/CN=Some User"
NOW = datetime.now(UTC)


def job(number: int) -> JobId:
    return JobId(f"job{number}")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "delegations.me")


def records(store: Store) -> list[str]:
    with sqlite3.connect(store.directory / "list") as db:
        found = [id_ for (id_,) in db.execute("SELECT id FROM rec")]
    db.close()
    return found


def files(store: Store) -> list[str]:
    return sorted(str(path.relative_to(store.directory)) for path in store.directory.rglob("*") if path.is_file())


def test_many_jobs_share_one_credential(store: Store) -> None:
    ids = {store.keep(ME, b"pem", job(number)) for number in range(50)}

    [id_] = ids
    assert [id_] == records(store)
    assert 2 == len(files(store))
    assert {job(number): {id_} for number in range(50)} == store.held()


def test_another_owner_or_another_credential_is_another_record(store: Store) -> None:
    ids = [store.keep(ME, b"pem", job(1)), store.keep("/CN=Other", b"pem", job(2)), store.keep(ME, b"mep", job(3))]

    assert 3 == len(set(ids))
    assert [b"pem", b"pem", b"mep"] == [store.read(id_) for id_ in ids]


def test_several_processes_at_once_keep_it_once(store: Store) -> None:
    code = (
        "import sys; from pathlib import Path; from arex.credentials.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for number in range(20): store.keep('/CN=me', b'the same', f'{sys.argv[2]}n{number}')\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(store.directory), str(each)]) for each in range(3)]

    assert [0, 0, 0] == [each.wait() for each in running]
    assert 1 == len(records(store))
    assert 60 == len(store.held())


def test_other_users_cannot_read_it(store: Store) -> None:
    before = os.umask(0)
    try:
        id_ = store.keep(ME, b"pem", job(1))
    finally:
        os.umask(before)

    modes = {
        path.relative_to(store.directory).as_posix(): path.stat().st_mode & 0o777 for path in store.directory.rglob("*")
    }
    assert {0o600} == {modes["list"], modes[store.path(id_).relative_to(store.directory).as_posix()]}
    assert {0o700} == {mode for name, mode in modes.items() if (store.directory / name).is_dir()}
    assert 0o700 == store.directory.stat().st_mode & 0o777


def test_a_renewal_is_for_all_that_share_it(store: Store) -> None:
    ids = {store.keep(ME, b"old", job(number)) for number in range(3)}
    [id_] = ids

    assert [job(1), job(0), job(2)] == store.renew(id_, ME, b"new", job(1))
    assert b"new" == store.read(id_)


def test_a_lost_record_is_made_again_by_a_renewal(store: Store) -> None:
    assert [job(1)] == store.renew("0c3afca44567", ME, b"new", job(1))
    assert {job(1): {"0c3afca44567"}} == store.held()
    assert store.directory / "0c3/afc/a44/567" == store.path("0c3afca44567")


def test_a_job_that_was_never_made_leaves_nothing(store: Store) -> None:
    store.keep(ME, b"pem", job(1))
    store.keep(ME, b"pem", job(2))

    store.give_back(job(1))
    assert 1 == len(records(store))
    store.give_back(job(2))

    assert ([], ["list"]) == (records(store), files(store))


def test_an_unused_credential_is_removed_a_day_after_its_last_use(store: Store) -> None:
    id_ = store.keep(ME, b"pem", job(1))

    assert Tidied(locks=0, credentials=0) == store.tidy([], NOW + timedelta(days=9))
    assert Tidied(locks=1, credentials=0) == store.tidy([job(1)], NOW + timedelta(hours=23))
    assert b"pem" == store.read(id_)
    assert Tidied(locks=0, credentials=1) == store.tidy([], NOW + timedelta(hours=25))
    assert store.read(id_) is None


def test_use_makes_it_young_again(store: Store) -> None:
    id_ = store.keep(ME, b"pem", job(1))
    old = (NOW - timedelta(days=3)).timestamp()
    os.utime(store.path(id_), (old, old))

    assert id_ == store.keep(ME, b"pem", job(2))

    assert Tidied(locks=2, credentials=0) == store.tidy([job(1), job(2)], NOW + timedelta(hours=1))


def test_a_store_that_was_never_used_is_not_made(store: Store) -> None:
    assert {} == store.held()
    assert Tidied() == store.tidy([job(1)], NOW)
    assert not store.directory.exists()


def test_a_busy_list_is_waited_for(store: Store) -> None:
    """Another process writes; when it has finished, the store continues."""
    store.keep(ME, b"pem", job(1))
    other = sqlite3.connect(store.directory / "list", check_same_thread=False, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    released = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    released.start()

    store.keep(ME, b"pem", job(2))

    released.join()
    other.close()
    assert 2 == len(store.held())


def test_a_list_that_stays_locked_is_an_error(store: Store) -> None:
    store.keep(ME, b"pem", job(1))
    with sqlite3.connect(store.directory / "list", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CredentialError, match="database is locked"):
            Store(store.directory, busy_s=0.05).keep(ME, b"pem", job(2))
    other.close()


def test_an_invalid_list_is_an_error(store: Store) -> None:
    store.directory.mkdir()
    (store.directory / "list").write_bytes(b"not a database" * 100)

    with pytest.raises(CredentialError, match="cannot use the credential store"):
        store.keep(ME, b"pem", job(1))


@pytest.mark.parametrize("id_", ["", "../../etc/passwd", "a/b", "a b", "ä", "x" * 65, "a\n"])
def test_an_id_that_could_lead_elsewhere_is_invalid(store: Store, id_: str) -> None:
    for call in (store.path, store.read, lambda each: store.renew(each, ME, b"x", job(1))):
        with pytest.raises(CredentialError, match="not a delegation id"):
            call(id_)


def test_a_record_that_leads_elsewhere_is_dropped_and_nothing_with_it(store: Store, tmp_path: Path) -> None:
    store.keep(ME, b"pem", job(1))
    (tmp_path / "precious").write_text("mine")
    with sqlite3.connect(store.directory / "list") as db:
        db.execute("INSERT INTO rec VALUES ('x', 'y', '../precious', '')")
    db.close()

    assert Tidied(credentials=1) == store.tidy([], NOW)
    assert (tmp_path / "precious").exists()


def test_owners_are_written_as_arc_escapes_them(store: Store) -> None:
    store.keep("/CN=O'Hara #1 100%", b"pem", job(1))

    with sqlite3.connect(store.directory / "list") as db:
        assert [("/CN=O%27Hara %231 100%25",)] == db.execute("SELECT owner FROM rec").fetchall()
    db.close()


def test_a_file_is_read_once_a_change(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store.path(store.keep(ME, b"opaque-token", job(1)))
    first = credential_files.look(str(path))
    monkeypatch.setattr("arex.credentials.credential_files._read", lambda *_: pytest.fail("read again"))

    assert first is not None
    assert first is credential_files.look(str(path))
    monkeypatch.undo()
    store.renew(path.relative_to(store.directory).as_posix().replace("/", ""), ME, b"-----BEGIN", job(1))
    assert credential_files.look(str(path)) is None
