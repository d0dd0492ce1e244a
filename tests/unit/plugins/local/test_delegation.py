"""Credentials that jobs act with, in the store that a real A-REX has."""

from __future__ import annotations

import base64
import json
import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.controldir import codec
from arex.controldir.layout import Place
from arex.errors import CredentialError, JobRefused
from arex.model.state import State, Status
from plugins.local import LocalPlugin
from plugins.local.submission import Submitted
from tests import environments
from tests.delegations import rows, store_of
from tests.unit.plugins.local.conftest import SUBJECT

RECORDED = environments.DATA / "fixtures" / "_misc" / "sqlite" / "delegations_list.txt"
LOCAL = "&(executable=/bin/true)"
WITH_PROXY = '&(executable=/bin/true)(runtimeenvironment="ENV/PROXY")'
IN_A_YEAR = datetime.now(UTC).replace(microsecond=0) + timedelta(days=365)
REMOTE = '&(executable=/bin/true)(inputfiles=(a "http://ce.example.org/a"))'


@pytest.fixture(scope="module")
def credential(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A certificate and its key, made once."""
    directory = tmp_path_factory.mktemp("credential")
    key, certificate = directory / "k", directory / "c"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", SUBJECT.replace("'", "")]
    subprocess.run([*argv, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return certificate.read_bytes() + key.read_bytes()


@pytest.fixture
def pem(credential: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    (tmp_path / "proxy").write_bytes(credential)
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "proxy"))
    return credential


def submit(plugin: LocalPlugin, text: str = REMOTE) -> tuple[Submitted, str]:
    [job] = plugin.submit(text)
    assert isinstance(job, Submitted)
    local = plugin.store.read_local(job.id)
    assert local is not None
    return job, local.delegationid or ""


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
    job, id_ = submit(plugin, LOCAL)

    assert "" == id_
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

    monkeypatch.setattr("arex.controldir.store.ControlDir.put_status", _full)
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


# --- shared ---------------------------------------------------------------------------------------------------------


def test_another_process_shares_it_too(plugin: LocalPlugin, pem: bytes) -> None:
    del pem
    first, second = submit(plugin), submit(LocalPlugin(plugin.config, subject=SUBJECT))

    assert first[1] == second[1]
    assert {(first[0].id, first[1]), (second[0].id, first[1])} == set(rows(plugin, "lock"))


def test_a_failed_submission_leaves_what_others_hold(
    plugin: LocalPlugin, pem: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, id_ = submit(plugin)
    monkeypatch.setattr("arex.controldir.store.ControlDir.put_status", _full)
    plugin.submit(REMOTE)

    assert [(job.id, id_)] == rows(plugin, "lock")
    assert pem == plugin.credentials.store.read(id_)


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_renewal_is_for_all_jobs_that_share_it(plugin: LocalPlugin, pem: bytes, tmp_path: Path) -> None:
    """Their copies, and what they say of its end; a job that is DELETED gets no copy again."""
    jobs = [submit(plugin)[0].id for _ in range(3)]
    plugin.store.put_status(jobs[2], Status(State.DELETED), Place.ACCEPTING)
    plugin.store.remove(jobs[2], ["proxy"])
    local = plugin.store.read_local(jobs[1])
    assert local is not None
    old = local.delegexpiretime
    plugin.store.put(jobs[1], "local", codec.dump_local(local).replace(b"delegexpiretime=20", b"delegexpiretime=19"))
    (tmp_path / "proxy").write_bytes(pem + b"\n# fresh\n")

    renewed = LocalPlugin(plugin.config).renew(jobs[0])

    assert set(jobs) == set(renewed)
    assert jobs[0] == renewed[0]
    assert [True, True, False] == [plugin.store.read(job, "proxy") == pem + b"\n# fresh\n" for job in jobs]
    after = plugin.store.read_local(jobs[1])
    assert after is not None
    assert old == after.delegexpiretime


def test_the_second_of_two_jobs_that_share_it_costs_nothing(
    plugin: LocalPlugin, pem: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    del pem
    one, other = (submit(plugin)[0].id for _ in range(2))
    later = LocalPlugin(plugin.config)
    later.renew(one)
    monkeypatch.setattr("arex.credentials.store.Store.renew", lambda *_: pytest.fail("renewed again"))

    assert {one, other} == set(later.renew(other))


# --- given ----------------------------------------------------------------------------------------------------------


def jwt(expires: datetime) -> bytes:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(expires.timestamp())}).encode()).rstrip(b"=")
    return b"e30." + claims + b".c2ln"


def test_a_job_that_asks_for_the_proxy_gets_it(plugin: LocalPlugin, pem: bytes) -> None:
    job, id_ = submit(plugin, WITH_PROXY)

    assert id_
    assert pem == plugin.store.read(job.id, "proxy")


def test_a_given_proxy_goes_to_every_job_and_is_its_owner(plugin: LocalPlugin, pem: bytes, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(pem)

    job, id_ = submit(LocalPlugin(plugin.config, credential=tmp_path / "other"), LOCAL)

    local = plugin.store.read_local(job.id)
    assert local is not None
    assert (SUBJECT, id_) == (local.subject, local.delegationid)
    assert pem == plugin.store.read(job.id, "proxy")


def test_a_given_token_is_kept_in_the_store_alone(plugin: LocalPlugin, tmp_path: Path) -> None:
    end = IN_A_YEAR
    secret = jwt(end)
    (tmp_path / "token").write_bytes(secret)

    job, id_ = submit(LocalPlugin(plugin.config, subject=SUBJECT, credential=tmp_path / "token"), LOCAL)

    local = plugin.store.read_local(job.id)
    assert local is not None
    assert (id_, end) == (local.delegationid, local.delegexpiretime)
    holding = [path for path in plugin.store.root.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert [plugin.credentials.store.path(id_)] == holding
    assert 0o600 == holding[0].stat().st_mode & 0o777
    assert [(id_, SUBJECT, id_, "")] == rows(plugin, "rec")


def test_a_token_is_found_where_there_is_no_proxy(
    plugin: LocalPlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arex.credentials.find", lambda: None)
    monkeypatch.setenv("BEARER_TOKEN", jwt(IN_A_YEAR).decode())
    job, id_ = submit(plugin)

    assert b"e30." in (plugin.credentials.store.read(id_) or b"")
    assert "" == submit(plugin, LOCAL)[1]

    (tmp_path / "new").write_bytes(jwt(IN_A_YEAR + timedelta(days=1)))
    LocalPlugin(plugin.config, credential=tmp_path / "new").renew(job.id)
    local = plugin.store.read_local(job.id)
    assert local is not None
    assert IN_A_YEAR + timedelta(days=1) == local.delegexpiretime


def test_the_proxy_comes_before_the_token(plugin: LocalPlugin, pem: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_TOKEN", "opaque-token")

    assert pem == plugin.credentials.store.read(submit(plugin)[1])


def test_a_token_does_not_take_the_place_of_a_proxy(
    plugin: LocalPlugin, pem: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, _ = submit(plugin)
    (tmp_path / "token").write_bytes(b"opaque-token")
    monkeypatch.setattr("arex.credentials.find", lambda: None)

    with pytest.raises(CredentialError, match="no proxy with a private key"):
        LocalPlugin(plugin.config, credential=tmp_path / "token").renew(job.id)

    assert pem == plugin.store.read(job.id, "proxy")


@pytest.mark.parametrize("text", [b"", b"two words", b"-----BEGIN nothing"])
def test_a_named_file_without_a_credential_is_an_error(plugin: LocalPlugin, tmp_path: Path, text: bytes) -> None:
    (tmp_path / "given").write_bytes(text)

    with pytest.raises(CredentialError, match=r"contains no (certificate|token)"):
        LocalPlugin(plugin.config, credential=tmp_path / "given")


def test_a_named_certificate_without_its_key_is_an_error(plugin: LocalPlugin, pem: bytes, tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(pem.partition(b"-----BEGIN PRIVATE")[0])

    with pytest.raises(CredentialError, match="no private key"):
        LocalPlugin(plugin.config, credential=tmp_path / "given")


def test_an_ended_credential_is_not_given(plugin: LocalPlugin, tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(jwt(datetime(2020, 1, 1, tzinfo=UTC)))

    with pytest.raises(CredentialError, match="expired at 2020-01-01T00:00:00Z: create or fetch a new one"):
        LocalPlugin(plugin.config, credential=tmp_path / "given")


def test_a_job_without_a_credential_has_nothing_to_renew(plugin: LocalPlugin, pem: bytes) -> None:
    del pem
    with pytest.raises(JobRefused, match="nothing to renew"):
        plugin.renew(submit(plugin, LOCAL)[0].id)


def test_an_unusable_store_refuses_the_job_and_leaves_nothing(plugin: LocalPlugin, pem: bytes) -> None:
    del pem
    plugin.submit(LOCAL)
    before = set(plugin.store.root.rglob("job.*"))
    (store_of(plugin) / "list").write_bytes(b"not a database" * 100)

    [outcome] = plugin.submit(REMOTE)

    assert not isinstance(outcome, Submitted)
    assert isinstance(outcome.error, CredentialError)
    assert before == set(plugin.store.root.rglob("job.*"))


def test_a_job_that_needs_no_credential_is_submitted_without_what_credentials_need(pem: bytes, tmp_path: Path) -> None:
    """Neither sqlite3 nor cryptography is loaded, even for a user who has a proxy."""
    del pem
    code = f"""
        import sys
        from pathlib import Path
        from arex.config.model import ArexBlock, Configuration, QueueBlock
        from arex.config.values import SessionDir
        from plugins.local import LocalPlugin

        root = Path({str(tmp_path)!r})
        plugin = LocalPlugin(Configuration(
            arex=ArexBlock(controldir=root / "other", sessiondir=(SessionDir(path=root / "sessions"),)),
            queues=(QueueBlock(name="q1"),),
        ))
        [job] = plugin.submit({LOCAL!r})
        print(type(job).__name__, sorted({{"sqlite3", "cryptography"}} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True)

    assert "Submitted []\n" == done.stdout
