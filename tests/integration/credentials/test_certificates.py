"""Certificates, read without tools; each was made by the tool that real ones come from."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.credentials import read
from arex.errors import CredentialError


def make(directory: Path, subject: str, *, issuer: str = "", extensions: str = "", name: str = "cert") -> Path:
    """A certificate and its key in one file; signed by ``issuer`` or by itself."""
    key, certificate, both = (directory / f"{name}.{kind}" for kind in ("key", "crt", "pem"))
    options = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-subj", subject, "-utf8", "-multivalue-rdn"]
    signed = ["-CA", f"{directory / issuer}.crt", "-CAkey", f"{directory / issuer}.key"] if issuer else []
    added = ["-addext", extensions] if extensions else []
    argv = ["openssl", "req", "-x509", "-days", "30", *options, *signed, *added, "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


def compat(path: Path) -> str:
    """The subject as OpenSSL writes it."""
    argv = ["openssl", "x509", "-noout", "-subject", "-nameopt", "compat", "-in", str(path)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip().removeprefix("subject=")


@pytest.mark.parametrize(
    "subject",
    ["/DC=org/DC=nordugrid/O=Test CA/OU=a.b/CN=Test User", "/C=DE/ST=Hessen/L=Köln/O=ß/CN=Jürgen/emailAddress=a@b.c",
     "/CN=one\\/two", "/CN=a\\+b", "/UID=u1+CN=x"],
)  # fmt: skip
def test_names_are_written_as_openssl_writes_them(subject: str, tmp_path: Path) -> None:
    path = make(tmp_path, subject)

    assert read(path).subject == compat(path)


def test_a_certificate_says_who_and_until_when(tmp_path: Path) -> None:
    found = read(make(tmp_path, "/DC=org/CN=Test User"))

    assert (found.identity, found.issuer, found.has_key) == ("/DC=org/CN=Test User", "/DC=org/CN=Test User", True)
    assert abs(found.expires - datetime.now(UTC) - timedelta(days=30)) < timedelta(hours=1)


def test_proxy_levels_are_stripped(tmp_path: Path) -> None:
    """Two levels, the chain in the file, as arcproxy and delegation make it."""
    proxy = "proxyCertInfo=critical,language:id-ppl-anyLanguage,pathlen:5"
    make(tmp_path, "/DC=org/CN=Test User", name="user")
    make(tmp_path, "/DC=org/CN=Test User/CN=123", issuer="user", extensions=proxy, name="p1")
    make(tmp_path, "/DC=org/CN=Test User/CN=123/CN=456", issuer="p1", extensions=proxy, name="p2")
    whole, short = tmp_path / "whole", tmp_path / "short"
    whole.write_bytes(b"".join((tmp_path / name).read_bytes() for name in ("p2.pem", "p1.crt", "user.crt")))
    short.write_bytes(b"".join((tmp_path / name).read_bytes() for name in ("p2.pem", "p1.crt")))

    assert [read(path).identity for path in (whole, short)] == ["/DC=org/CN=Test User"] * 2
    assert read(whole).subject == "/DC=org/CN=Test User/CN=123/CN=456"


def test_old_proxies_are_known_by_their_name(tmp_path: Path) -> None:
    make(tmp_path, "/DC=org/CN=Test User", name="user")

    assert read(make(tmp_path, "/DC=org/CN=Test User/CN=proxy", issuer="user")).identity == "/DC=org/CN=Test User"


def test_cut_certificates_raise_and_nothing_else(tmp_path: Path) -> None:
    """Whatever is left of the bytes, the answer is ours."""
    pem = make(tmp_path, "/DC=org/CN=Test User").read_text()
    der = subprocess.run(
        ["openssl", "x509", "-outform", "DER"], input=pem.encode(), check=True, capture_output=True
    ).stdout
    import base64  # noqa: PLC0415

    for size in range(0, len(der) - 1, 7):
        cut = base64.encodebytes(der[:size])
        (tmp_path / "x").write_bytes(b"-----BEGIN CERTIFICATE-----\n" + cut + b"-----END CERTIFICATE-----\n")
        with pytest.raises(CredentialError):
            read(tmp_path / "x")
