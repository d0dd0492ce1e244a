"""Credentials that jobs act with, in the store that a real A-REX has."""

from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path

import pytest

from arex.controldir import codec
from arex.errors import CredentialError
from plugins.local import LocalPlugin
from plugins.submission import Submitted
from tests.unit.plugins.conftest import SUBJECT

RECORDED = Path(__file__).parents[2] / "data" / "fixtures" / "_misc" / "sqlite" / "delegations_list.txt"
REMOTE = '&(executable=/bin/true)(inputfiles=(a "http://ce.example.org/a"))'


@pytest.fixture
def pem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    key, certificate, both = tmp_path / "k", tmp_path / "c", tmp_path / "proxy"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", SUBJECT.replace("'", "")]
    subprocess.run([*argv, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    monkeypatch.setenv("X509_USER_PROXY", str(both))
    return both.read_bytes()


def submit(plugin: LocalPlugin) -> tuple[Submitted, str]:
    [job] = plugin.submit(REMOTE)
    assert isinstance(job, Submitted)
    local = plugin.store.read_local(job.id)
    assert local is not None
    return job, local.delegationid or ""


def store_of(plugin: LocalPlugin) -> Path:
    [store] = plugin.store.root.glob("delegations*")
    return store


def rows(plugin: LocalPlugin, table: str) -> list[tuple[str, ...]]:
    with sqlite3.connect(store_of(plugin) / "list") as db:
        found = db.execute(f"SELECT * FROM {table}").fetchall()
    db.close()
    return found


def test_a_job_with_remote_files_gets_the_user_s_credential(plugin: LocalPlugin, pem: bytes) -> None:
    job, id_ = submit(plugin)

    assert rows(plugin, "rec") == [(id_, SUBJECT, id_, "")]
    assert rows(plugin, "lock") == [(job.id, id_)]
    assert (store_of(plugin) / id_[0:3] / id_[3:6] / id_[6:9] / id_[9:]).read_bytes() == pem
    assert plugin.store.read(job.id, "proxy") == pem


def test_the_store_is_made_as_arc_makes_it(plugin: LocalPlugin, pem: bytes) -> None:
    del pem
    schema = {line for line in RECORDED.read_text().splitlines() if line.startswith("CREATE")}
    submit(plugin)

    with sqlite3.connect(store_of(plugin) / "list") as db:
        ours = {line for line in db.iterdump() if line.startswith("CREATE")}
    db.close()

    assert ours == schema


def test_a_job_without_remote_files_gets_none(plugin: LocalPlugin, pem: bytes) -> None:
    del pem
    [job] = plugin.submit("&(executable=/bin/true)")

    assert isinstance(job, Submitted)
    assert not plugin.store.exists(job.id, "proxy")


def test_without_a_credential_remote_files_are_still_let_in(
    plugin: LocalPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be public; the service will say if not."""
    monkeypatch.setattr("arex.credentials.find", lambda: None)

    assert submit(plugin)[1] == ""


def test_renewal_replaces_both_copies(plugin: LocalPlugin, pem: bytes, tmp_path: Path) -> None:
    job, id_ = submit(plugin)
    (tmp_path / "proxy").write_bytes(pem + b"\n# fresh\n")
    later = LocalPlugin(plugin.config)

    later.renew(job.id)

    assert later.store.read(job.id, "proxy") == pem + b"\n# fresh\n"
    assert (store_of(plugin) / id_[0:3] / id_[3:6] / id_[6:9] / id_[9:]).read_bytes() == pem + b"\n# fresh\n"


def test_a_failed_submission_gives_its_credential_back(
    plugin: LocalPlugin, pem: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    del pem

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("arex.controldir.store.ControlDir.put_status", full)
    plugin.submit(REMOTE)

    assert (rows(plugin, "rec"), rows(plugin, "lock")) == ([], [])


def test_an_id_that_is_a_path_is_refused(plugin: LocalPlugin, pem: bytes) -> None:
    del pem
    job, _ = submit(plugin)
    local = (plugin.store.read(job.id, "local") or b"").replace(b"delegationid=", b"delegationid=../../../")
    plugin.store.put(job.id, "local", local)

    with pytest.raises(CredentialError, match="not a delegation id"):
        plugin.renew(job.id)

    assert codec.parse_local(local).delegationid is not None
