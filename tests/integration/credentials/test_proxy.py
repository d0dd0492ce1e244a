"""Proxies: made by us and judged by OpenSSL, made wrong and judged by us."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex import credentials
from arex.credentials import proxy, signer
from arex.credentials.chain import check
from arex.credentials.crypto import serialization, x509
from arex.credentials.proxy import ANY_LANGUAGE, INDEPENDENT, LIMITED, Info, Wish
from arex.errors import CredentialError
from tests.integration.credentials.authority import USER, Authority, openssl

NOW = datetime.now(UTC).replace(microsecond=0)
WISH = Wish(starts=NOW - timedelta(minutes=5), ends=NOW + timedelta(hours=12))


def no_passphrase() -> bytes:
    raise AssertionError("the passphrase must not be read")


def make(authority: Authority, path: Path, wish: Wish = WISH, *, by: Path | None = None, user: str = "user") -> Path:
    above = (authority.directory / f"{user}.pem", authority.key(user)) if by is None else (by, by)
    proxy.write(path, proxy.make(signer.read(*above, no_passphrase), wish))
    return path


def findings(authority: Authority, path: Path, now: datetime = NOW + timedelta(minutes=10)) -> list[str]:
    return [finding.what for finding in check(path, path.read_bytes(), authority.trusted, now)]


@pytest.mark.parametrize(
    "wish",
    [
        WISH,
        replace(WISH, curve=256),
        replace(WISH, bits=None),
        replace(WISH, bits=3072, digest="sha512"),
        replace(WISH, info=Info(policy=LIMITED)),
        replace(WISH, info=Info(policy=INDEPENDENT)),
        replace(WISH, info=Info(policy=ANY_LANGUAGE, text=b"only this")),
        replace(WISH, info=Info(path_length=3)),
    ],
)
def test_openssl_and_we_believe_a_proxy(authority: Authority, tmp_path: Path, wish: Wish) -> None:
    path = make(authority, tmp_path / "proxy", wish)

    assert authority.verifies(path)
    assert [] == findings(authority, path)
    found = credentials.read(path)
    assert (USER, True, wish.ends) == (found.identity, found.has_key, found.expires)
    assert 0o600 == path.stat().st_mode & 0o777


def test_openssl_reads_what_we_put_into_it(authority: Authority, tmp_path: Path) -> None:
    wish = replace(WISH, info=Info(policy=ANY_LANGUAGE, text=b"only this", path_length=7), digest="sha384")
    text = openssl("x509", "-noout", "-text", "-in", make(authority, tmp_path / "proxy", wish))

    for part in (
        "Proxy Certificate Information: critical", "Path Length Constraint: 07", "Policy Language: Any language",
        "Policy Text: only this", "Digital Signature, Key Encipherment", "sha384With",
    ):  # fmt: skip
        assert part in text


def test_a_proxy_of_a_proxy_of_a_proxy_is_believed(authority: Authority, tmp_path: Path) -> None:
    first = make(authority, tmp_path / "1")
    second = make(authority, tmp_path / "2", by=first)
    third = make(authority, tmp_path / "3", replace(WISH, curve=384), by=second)

    assert authority.verifies(third)
    assert [] == findings(authority, third)
    assert USER == credentials.read(third).identity


def test_a_user_with_an_elliptic_curve_can_have_one(authority: Authority, tmp_path: Path) -> None:
    authority.user("curved", "/DC=org/CN=Curved User", key="ec")
    path = make(authority, tmp_path / "proxy", replace(WISH, bits=None), user="curved")

    assert authority.verifies(path)
    assert "prime256v1" in openssl("x509", "-noout", "-text", "-in", path)


def test_a_proxy_never_outlives_its_signer(authority: Authority, tmp_path: Path) -> None:
    first = make(authority, tmp_path / "1", replace(WISH, ends=NOW + timedelta(hours=1)))

    assert NOW + timedelta(hours=1) == credentials.read(make(authority, tmp_path / "2", by=first)).expires


@pytest.mark.parametrize(
    ("above", "wish", "why"),
    [
        (Info(path_length=0), WISH, "path length is exhausted"),
        (Info(policy=LIMITED), WISH, "can only sign limited proxies"),
        (Info(), replace(WISH, bits=512), "512 bits"),
        (Info(), replace(WISH, curve=17), "17 bits"),
        (Info(), replace(WISH, digest="md5"), "unknown signing algorithm"),
        (Info(), replace(WISH, ends=WISH.starts), "must be after its start"),
    ],
)
def test_an_invalid_proxy_is_not_created(
    authority: Authority, tmp_path: Path, above: Info, wish: Wish, why: str
) -> None:
    first = make(authority, tmp_path / "1", replace(WISH, info=above))

    with pytest.raises(CredentialError, match=why):
        make(authority, tmp_path / "2", wish, by=first)


# --- what is wrong with it ------------------------------------------------------------------------------------------


def test_an_ended_proxy_is_named_with_its_level(authority: Authority, tmp_path: Path) -> None:
    path = make(authority, tmp_path / "proxy")

    assert findings(authority, path, NOW + timedelta(hours=13)) == [f"it expired at {WISH.ends:%Y-%m-%dT%H:%M:%SZ}"]
    assert findings(authority, path, NOW - timedelta(hours=1))[0].startswith("it is not valid before")
    assert 3 == len(findings(authority, path, NOW + timedelta(days=400)))


def test_a_key_of_another_is_seen(authority: Authority, tmp_path: Path) -> None:
    path = make(authority, tmp_path / "proxy")
    path.write_bytes(path.read_bytes().partition(b"-----BEGIN RSA")[0] + authority.key().read_bytes())

    assert "its private key belongs to another certificate" in findings(authority, path)


def test_a_proxy_without_a_key_is_seen(authority: Authority, tmp_path: Path) -> None:
    path = make(authority, tmp_path / "proxy")
    path.write_bytes(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain_of(path)))

    assert any("no private key" in what for what in findings(authority, path))


def chain_of(path: Path) -> tuple[x509.Certificate, ...]:
    return tuple(x509.load_pem_x509_certificates(path.read_bytes()))


def test_an_incomplete_chain_has_no_identity(authority: Authority, tmp_path: Path) -> None:
    path = make(authority, tmp_path / "proxy")
    data = path.read_bytes()
    path.write_bytes(data[: data.rfind(b"-----BEGIN CERTIFICATE")])

    assert not authority.verifies(path)
    assert ["no trusted authority issued it: /DC=org/DC=example/CN=Test User is not known"] == findings(authority, path)


def test_a_stranger_of_the_same_name_is_no_authority(
    authority: Authority, own_authority: Authority, tmp_path: Path
) -> None:
    path = make(own_authority, tmp_path / "proxy")

    assert not authority.verifies(path)
    assert any("it is not signed by" in what for what in findings(authority, path))


def test_a_certificate_that_may_not_sign_anything_has_no_proxies(authority: Authority, tmp_path: Path) -> None:
    authority.user("mute", "/DC=org/CN=Mute", usage="keyEncipherment")
    path = make(authority, tmp_path / "proxy", user="mute")

    assert not authority.verifies(path)
    assert ["it is not allowed to sign anything, so it cannot sign a proxy"] == findings(authority, path)


def forged(authority: Authority, path: Path, *extensions: str, name: str = "/CN=17", by: Path) -> Path:
    """A proxy that OpenSSL signs without a question."""
    key, made = path.with_suffix(".k"), path.with_suffix(".c")
    subject = "/" + openssl("x509", "-noout", "-subject", "-nameopt", "sep_multiline,sname", "-in", by).replace(
        "subject=", ""
    ).strip().replace("\n    ", "/")
    added = [word for each in (*extensions, "basicConstraints=critical,CA:FALSE") for word in ("-addext", each)]
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", subject + name, "-keyout", key,
            "-CA", by, "-CAkey", authority.key(), "-out", made, *added)  # fmt: skip
    path.write_bytes(made.read_bytes() + key.read_bytes() + by.read_bytes())
    return path


def unchecked(path: Path, by: Path) -> Path:
    """A full proxy, whatever its issuer allows."""
    above = signer.read(by, by, no_passphrase)
    key = proxy._new_key(above, WISH)
    made = proxy._certificate(above, WISH, key).public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    path.write_bytes(made + key.private_bytes(serialization.Encoding.PEM, *form) + by.read_bytes())
    return path


PROXY = "proxyCertInfo=critical,language:id-ppl-inheritAll"


@pytest.mark.parametrize(
    ("extensions", "name", "why"),
    [
        (PROXY, "/O=17", "the name of a proxy ends in a CN"),
        (PROXY, "/CN=1/CN=2", "the name of a proxy is that of its issuer and one CN"),
        (PROXY.replace("critical,", ""), "/CN=17", "its proxy extension is not marked as critical"),
        (
            "keyUsage=digitalSignature",
            "/CN=17",
            "it is not a proxy, and /DC=org/DC=example/CN=Test User is not an authority",
        ),
    ],
)
def test_rules_of_proxies_are_checked(
    authority: Authority, tmp_path: Path, extensions: str, name: str, why: str
) -> None:
    path = forged(authority, tmp_path / "proxy", extensions, name=name, by=authority.directory / "user.pem")

    assert why in findings(authority, path)


def test_an_alternative_name_is_not_for_proxies(authority: Authority, tmp_path: Path) -> None:
    path = forged(authority, tmp_path / "proxy", PROXY, "subjectAltName=DNS:a", by=authority.directory / "user.pem")

    assert ["a proxy must not have an alternative name"] == findings(authority, path)


def test_a_path_that_is_too_long_is_seen(authority: Authority, tmp_path: Path) -> None:
    first = make(authority, tmp_path / "1", replace(WISH, info=Info(path_length=0)))
    second = unchecked(tmp_path / "2", first)

    assert not authority.verifies(second)
    assert ["it allows 0 proxies below it, and there are 1"] == findings(authority, second)


def test_a_full_proxy_of_a_limited_one_is_seen(authority: Authority, tmp_path: Path) -> None:
    first = make(authority, tmp_path / "1", replace(WISH, info=Info(policy=LIMITED)))

    assert ["it is not limited, but its issuer is"] == findings(authority, unchecked(tmp_path / "2", first))


def test_a_revoked_user_has_no_proxies(own_authority: Authority, tmp_path: Path) -> None:
    path = make(own_authority, tmp_path / "proxy")
    assert [] == findings(own_authority, path)

    own_authority.revoke(own_authority.directory / "user.pem")

    assert ["it has been revoked"] == findings(own_authority, path)
    late = findings(own_authority, path, NOW + timedelta(days=8))
    assert any("its revocation list expired at" in what for what in late)


# --- certificates and keys ------------------------------------------------------------------------------------------


def test_every_form_of_certificate_is_read(authority: Authority, tmp_path: Path) -> None:
    pem, key = authority.directory / "user.pem", authority.key()
    openssl("x509", "-in", pem, "-outform", "DER", "-out", tmp_path / "der")
    openssl("pkcs12", "-export", "-in", pem, "-inkey", key, "-passout", "pass:word", "-out", tmp_path / "p12")
    openssl("rsa", "-in", key, "-aes128", "-passout", "pass:word", "-out", tmp_path / "secret")
    openssl("pkcs8", "-topk8", "-in", key, "-passout", "pass:word", "-out", tmp_path / "pkcs8")
    for path in tmp_path.iterdir():
        path.chmod(0o600)

    for certificate, its_key in (
        (tmp_path / "der", key),
        (tmp_path / "p12", None),
        (pem, tmp_path / "secret"),
        (pem, tmp_path / "pkcs8"),
    ):
        found = signer.read(certificate, its_key, lambda: b"word")
        assert signer.belongs(found.key, found.certificate)
    for certificate, its_key in ((tmp_path / "p12", None), (pem, tmp_path / "secret"), (pem, tmp_path / "pkcs8")):
        with pytest.raises(CredentialError, match="passphrase"):
            signer.read(certificate, its_key, lambda: b"wrong")


def test_a_key_that_others_can_read_is_refused(own_authority: Authority) -> None:
    own_authority.key().chmod(0o640)

    with pytest.raises(CredentialError, match="chmod 600"):
        signer.read(own_authority.directory / "user.pem", own_authority.key(), no_passphrase)


def test_a_key_of_another_certificate_is_refused(authority: Authority) -> None:
    other = authority.user("other", "/CN=Other")

    with pytest.raises(CredentialError, match="does not belong"):
        signer.read(other, authority.key(), no_passphrase)


def test_a_key_never_shows_in_the_text_of_its_owner(authority: Authority) -> None:
    assert "key" not in repr(signer.read(authority.directory / "user.pem", authority.key(), no_passphrase))


def test_a_proxy_file_of_another_user_is_not_changed(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(authority, tmp_path / "proxy")
    before = path.read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    with pytest.raises(CredentialError, match="belongs to another user"):
        proxy.write(path, b"mine")

    assert before == path.read_bytes()
