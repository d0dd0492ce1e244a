"""Tokens: where they are found and when they end; never shown."""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arex.credentials import token
from arex.errors import CredentialError


def jwt(**claims: object) -> bytes:
    parts = [json.dumps(each).encode() for each in ({"alg": "none"}, claims)]
    return b".".join([*(base64.urlsafe_b64encode(each).rstrip(b"=") for each in parts), b"c2ln"])


def test_a_token_says_when_it_ends() -> None:
    found = token.from_bytes(jwt(exp=1795200000, sub="me?>~") + b"\n", "here")

    assert found.expires == datetime.fromtimestamp(1795200000, UTC)
    assert not found.secret.endswith(b"\n")


@pytest.mark.parametrize(
    "text", [jwt(), jwt(exp="soon"), jwt(exp=1e99), b"opaque-token", b"a.!!.b~~~~", b"a.AAAA.cccc"]
)
def test_a_token_that_does_not_say_it_has_no_end(text: bytes) -> None:
    text = text.replace(b"!", b"~")

    assert token.ENDLESS == token.from_bytes(text, "here").expires


@pytest.mark.parametrize(
    "text", [b"", b"short", b"two words and more", b"line\nfeed-line-feed", b"x" * 20000, b"\xff" * 20]
)
def test_an_invalid_token_is_an_error_without_its_text(text: bytes) -> None:
    with pytest.raises(CredentialError) as raised:
        token.from_bytes(text, "the file t")

    assert "the file t contains no token" == str(raised.value)


def test_the_repr_of_a_token_does_not_contain_it() -> None:
    assert "opaque" not in repr(token.from_bytes(b"opaque-token", "here"))


def test_tokens_are_found_in_the_order_of_the_discovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / f"bt_u{os.geteuid()}").write_bytes(b"shared-token")
    monkeypatch.setattr("arex.credentials.file.SHARED", str(tmp_path / "shared"))
    (tmp_path / "named").write_bytes(b"named-token")
    (tmp_path / f"bt_u{os.geteuid()}").write_bytes(b"runtime-token\n")
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path)}
    named = {**runtime, "BEARER_TOKEN_FILE": str(tmp_path / "named")}

    found = [token.find(each) for each in ({**named, "BEARER_TOKEN": "given-token"}, named, runtime, {})]

    assert [b"given-token", b"named-token", b"runtime-token", b"shared-token"] == [
        each and each.secret for each in found
    ]


def test_no_token_is_found_by_default(tmp_path: Path) -> None:
    assert token.find({"XDG_RUNTIME_DIR": str(tmp_path)}) is None


def test_a_named_token_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match=r"cannot read the token .*: No such file"):
        token.find({"BEARER_TOKEN_FILE": str(tmp_path / "gone")})
