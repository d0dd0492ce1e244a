"""Credentials in files: which of them counts, and which is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arex.credentials import find, read
from arex.errors import CredentialError


@pytest.mark.parametrize(
    "text", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_a_file_without_a_certificate_is_an_error(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(text)

    with pytest.raises(CredentialError, match=r"contains no certificate|cannot be parsed"):
        read(tmp_path / "x")


def test_the_proxy_comes_before_the_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arex.credentials.file.SHARED", str(tmp_path))
    (tmp_path / ".globus").mkdir()
    for name in ("proxy", "cert", ".globus/usercert.pem"):
        (tmp_path / name).touch()
    home = {"HOME": str(tmp_path)}
    standard = tmp_path / f"x509up_u{os.getuid()}"

    found = [
        find({**home, "X509_USER_CERT": str(tmp_path / "cert"), "X509_USER_PROXY": str(tmp_path / "proxy")}),
        find({**home, "X509_USER_CERT": str(tmp_path / "cert")}),
        find(home),
        find({"HOME": "/nonexistent"}),
    ]
    standard.touch()
    before = find({**home, "X509_USER_CERT": str(tmp_path / "cert")})

    assert found == [tmp_path / "proxy", tmp_path / "cert", tmp_path / ".globus/usercert.pem", None]
    assert before == standard
