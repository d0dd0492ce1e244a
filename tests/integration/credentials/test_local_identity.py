"""``arcproxy --local``: the identity of an account, and what it is never used for."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex import credentials
from arex.controldir.delegations import local_subject
from arex.credentials import local_identity
from arex.errors import CredentialError
from tests.integration.credentials.authority import Authority
from tests.shell import User


def place(user: User) -> Path:
    return user.home / ".arc" / "local-identity.pem"


def test_an_identity_names_the_owner_of_jobs_without_a_credential(user: User) -> None:
    said = user.run("arcproxy", "--local")

    made = credentials.read(place(user))
    assert f"export X509_USER_PROXY={place(user)}\n" in said.out
    assert user.plugin.subject == made.subject == made.issuer == made.identity == local_subject()
    assert made.has_key
    assert 0o600 == place(user).stat().st_mode & 0o777


def test_it_is_valid_for_a_year_or_as_long_as_asked(user: User) -> None:
    now = datetime.now(UTC)
    year, days = user.run("arcproxy", "--local", "--json"), user.run("arcproxy", "--local", "--json", "-c",
                                                                     "validityPeriod=2d")  # fmt: skip

    ends = [datetime.fromisoformat(said.json["credential"]["validityEnd"]) - now for said in (year, days)]
    assert [365, 2] == [round(each / timedelta(days=1)) for each in ends]


def test_a_second_call_renews_it(user: User) -> None:
    user.run("arcproxy", "--local")
    before = place(user).read_bytes()

    said = user.run("arcproxy", "--local")

    assert 0 == said.code
    assert before != place(user).read_bytes()


def test_a_constraint_of_proxies_only_is_refused(user: User) -> None:
    said = user.run("arcproxy", "--local", "-c", "keybits=1024")

    assert 1 == said.code
    assert "a local identity has no constraint 'keybits=1024'" in said.err


def test_no_other_credential_is_replaced(user: User, authority: Authority) -> None:
    other = user.home / "other.pem"
    other.write_bytes(authority.directory.joinpath("user.pem").read_bytes())
    text = user.home / "notes"
    text.write_text("notes")
    link = user.home / "link"
    user.run("arcproxy", "--local")
    link.symlink_to(place(user))

    for path in (other, text, link):
        before = path.read_bytes()
        said = user.run("arcproxy", "--local", "-P", path)

        assert 1 == said.code, path
        assert "not replaced by a local identity: choose another file with -P" in said.err
        assert before == path.read_bytes()
    assert link.is_symlink()


def test_jobs_keep_their_owner_and_get_no_credential(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '&(executable=/bin/true)(inputfiles=(a "https://ce.example.org/a"))'
    without = user.submit(text)
    user.run("arcproxy", "--local")
    monkeypatch.setenv("X509_USER_PROXY", str(place(user)))

    job = user.submit(text)

    first, second = user.plugin.status([without, job])
    assert not isinstance(first, Exception)
    assert not isinstance(second, Exception)
    assert first.owner == second.owner
    assert "" == (second.delegationid or "")
    assert not (user.home / f"ctl/job.{job}.proxy").exists()


def test_it_is_refused_as_the_credential_of_a_job(user: User) -> None:
    user.run("arcproxy", "--local")

    said = user.run("arcsub", "--proxy", place(user), "-e", "&(executable=/bin/true)")

    assert 1 == said.code
    assert "is the local identity of an account, which no server accepts" in said.err


def test_an_ordinary_certificate_is_no_local_identity(authority: Authority) -> None:
    assert not local_identity.is_local(credentials.read(authority.directory / "user.pem"))


def test_the_missing_package_is_named(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.delitem(sys.modules, "arex.credentials.crypto", raising=False)

    with pytest.raises(CredentialError, match=r"pip install arex\[x509\]"):
        local_identity.make(datetime.now(UTC))
    del user
