"""Storages of other kinds than the FTP server of the staging tests: what they can and can't, what they say."""

from __future__ import annotations

import errno
import ftplib
import gc
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import fsspec  # type: ignore[import-untyped]
import pytest
from fsspec.implementations.dirfs import DirFileSystem  # type: ignore[import-untyped]
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem  # type: ignore[import-untyped]

from arex.staging.checksum import Checksum
from arex.staging.movers.base import ErrorKind, FileInfo, TransferError
from arex.staging.movers.fsspec import errors, ftp, storage
from arex.staging.movers.fsspec.allowed import Reach
from arex.staging.movers.fsspec.storage import Storage
from tests.environments import ROOT


class VaultFile(AbstractBufferedFile):  # type: ignore[misc]
    """An object is there when its last part has come."""

    def _initiate_upload(self) -> None:
        self.parts: list[bytes] = []

    def _upload_chunk(self, final: bool = False) -> bool:
        self.parts.append(self.buffer.getvalue())
        if final:
            self.fs.objects[self.path] = b"".join(self.parts)
        return True

    def discard(self) -> None:
        self.fs.discarded.append(self.path)

    def _fetch_range(self, start: int, end: int) -> bytes:
        return bytes(self.fs.objects[self.path][start:end])


class Vault(AbstractFileSystem):  # type: ignore[misc]
    """Objects of a process."""

    protocol = "vault"
    objects: ClassVar[dict[str, bytes]] = {}
    discarded: ClassVar[list[str]] = []

    def __init__(self, host: str = "", secret: str = "", **more: Any) -> None:
        super().__init__(**more)
        self.host, self.secret = host, secret

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.partition("://")[2].partition("/")[2] if "://" in path else path

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        return {"host": path.partition("://")[2].partition("/")[0]}

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        if path not in self.objects:
            raise FileNotFoundError(path)
        return {"name": path, "size": len(self.objects[path]), "type": "file", "etag": f"e{len(self.objects[path])}"}

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **_: Any) -> VaultFile:
        return VaultFile(self, path, mode, block_size or 64)

    def _rm(self, path: str) -> None:
        if self.objects.pop(path, None) is None:
            raise FileNotFoundError(path)


class Tree(Vault):
    """Has directories, and renames."""

    protocol = "tree"
    replaces = True
    made: ClassVar[list[str]] = []

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        assert exist_ok
        self.made.append(path)

    def mv(self, path1: str, path2: str, **_: Any) -> None:
        if self.replaces or path2 not in self.objects:
            self.objects[path2] = self.objects.pop(path1)


class Stubborn(Tree):
    """Says nothing when it does not rename."""

    protocol = "stubborn"
    replaces = False


class Innocent(LocalFileSystem):  # type: ignore[misc]
    protocol = "innocent"


class Harmless(DirFileSystem):  # type: ignore[misc]
    protocol = "harmless"


for _each in (Vault, Tree, Stubborn, Innocent, Harmless):
    fsspec.register_implementation(_each.protocol, _each, clobber=True)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Vault.objects.clear()
    Vault.discarded.clear()
    Tree.made.clear()


def opened(scheme: str, options: Mapping[str, Any] | None = None) -> Storage:
    return Storage(*storage.connect(Reach(scheme, f"{scheme}://host/dir/x", options or {})))


def put(made: Storage, content: bytes, *, overwrite: bool = False) -> None:
    made.create()
    made.write(content)
    made.finish(len(content), overwrite=overwrite)
    made.end()


CONTENT = bytes(range(256)) * 50_000


# --- in and out -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["vault", "tree"])
@pytest.mark.parametrize("content", [b"", b"x", CONTENT])
def test_what_goes_out_comes_in(scheme: str, content: bytes) -> None:
    put(opened(scheme), content)
    assert {"/dir/x": content} == Vault.objects
    made = opened(scheme)
    assert FileInfo(size=len(content), etag=f"e{len(content)}") == made.look()
    found = bytearray()
    while data := made.read(len(found), 1_000_000):
        found += data
    assert content == found
    assert content[5:9] == opened(scheme).read(5, 4)


@pytest.mark.parametrize("scheme", ["vault", "tree"])
def test_a_file_that_is_given_up_is_never_seen(scheme: str) -> None:
    """Not even when Python finds the open file in its rubbish, which would complete it."""
    made = opened(scheme)
    made.create()
    made.write(CONTENT)
    made.end()
    del made
    gc.collect()
    assert {} == Vault.objects
    assert 1 == len(Vault.discarded)


def test_a_storage_that_renames_has_a_file_under_another_name_first() -> None:
    made = opened("tree")
    made.create()
    assert made.name.startswith("/dir/.arex-")
    assert ["/dir"] == Tree.made


@pytest.mark.parametrize("scheme", ["vault", "tree", "stubborn"])
def test_what_was_created_meanwhile_is_not_changed(scheme: str) -> None:
    made = opened(scheme)
    made.create()
    made.write(b"new")
    Vault.objects["/dir/x"] = b"another user's"
    with pytest.raises(TransferError, match="created during the transfer"):
        made.finish(3, overwrite=False)
    made.end()
    assert {"/dir/x": b"another user's"} == Vault.objects


@pytest.mark.parametrize("scheme", ["vault", "tree", "stubborn"])
def test_what_may_be_replaced_is(scheme: str) -> None:
    """Also where the storage has to be called twice."""
    Vault.objects["/dir/x"] = b"old"
    put(opened(scheme), b"new", overwrite=True)
    assert {"/dir/x": b"new"} == Vault.objects


def test_what_arrived_short_does_not_get_its_name() -> None:
    made = opened("tree")
    made.create()
    made.write(b"four")
    with pytest.raises(TransferError, match="the storage has 4 bytes of 5"):
        made.finish(5, overwrite=False)
    made.end()
    assert {} == Vault.objects


def test_an_abandoned_upload_is_not_published() -> None:
    made = opened("tree")
    made.create()
    made.write(b"four")
    made.hang_up()
    with pytest.raises(TransferError, match="the transfer was cancelled"):
        made.finish(4, overwrite=False)
    made.end()
    assert {} == Vault.objects


# --- which --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "is_"), [("innocent", "file"), ("harmless", "dir")])
def test_a_file_system_of_this_host_under_another_name_is_refused(scheme: str, is_: str) -> None:
    with pytest.raises(TransferError, match=f"{scheme}: is another name of {is_}:, which jobs are not allowed to use"):
        opened(scheme)


def test_the_url_says_which_host_whatever_the_options_say() -> None:
    system = opened("vault", {"host": "elsewhere", "secret": "hush"}).system
    assert ("host", "hush") == (system.host, system.secret)


def test_what_the_account_has_set_for_fsspec_does_not_count() -> None:
    """It would be shown to every host of a scheme."""
    code = "import arex.staging.movers.fsspec.storage, fsspec.config; assert {} == fsspec.config.conf"
    subprocess.run([sys.executable, "-c", code], check=True, env={"FSSPEC_FTP_PASSWORD": "secret"}, cwd=ROOT)


# --- what is said ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "facts"),
    [
        (
            {"size": 5, "mtime": 1_700_000_000},
            FileInfo(size=5, modified=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ),
        ({"modificationTime": 1_700_000_000_000}, FileInfo(modified=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC))),
        ({"mtime": "20231114221320.500"}, FileInfo(modified=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC))),
        ({"updated": "2023-11-14T22:13:20Z"}, FileInfo(modified=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC))),
        ({"last_modified": datetime(2023, 11, 14)}, FileInfo(modified=datetime(2023, 11, 14, tzinfo=UTC))),  # noqa: DTZ001
        ({"mtime": "Nov 14 22:13"}, FileInfo()),
        ({"mtime": 1e300}, FileInfo()),
        ({"ETag": '"abc"'}, FileInfo(etag='"abc"')),
        (
            {"md5Hash": "CY9rzUYh03PK3k6DJie09g=="},
            FileInfo(checksums=(Checksum("md5", "098f6bcd4621d373cade4e832627b4f6"),)),
        ),
        (
            {"content_settings": {"content_md5": bytearray.fromhex("098f6bcd4621d373cade4e832627b4f6")}},
            FileInfo(checksums=(Checksum("md5", "098f6bcd4621d373cade4e832627b4f6"),)),
        ),
    ],
)
def test_each_file_system_tells_facts_in_its_own_words(info: dict[str, Any], facts: FileInfo) -> None:
    assert facts == errors.facts({"type": "file", **info})


def test_a_directory_is_no_file() -> None:
    with pytest.raises(TransferError, match="not a regular file"):
        errors.facts({"type": "directory", "size": 0})


class Answered(Exception):
    """As the libraries of clouds have it."""

    def __init__(self, status: int, text: str = "said so") -> None:
        super().__init__(text)
        self.status_code = status


@pytest.mark.parametrize(
    ("exc", "verdict"),
    [
        (FileNotFoundError("x"), ErrorKind.NOT_FOUND),
        (PermissionError("x"), ErrorKind.PERMANENT),
        (FileExistsError("x"), ErrorKind.PERMANENT),
        (IsADirectoryError("x"), ErrorKind.PERMANENT),
        (NotImplementedError("x"), ErrorKind.PERMANENT),
        (TimeoutError("x"), ErrorKind.TEMPORARY),
        (EOFError(), ErrorKind.TEMPORARY),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), ErrorKind.TEMPORARY),
        (OSError(errno.ENOSPC, "x"), ErrorKind.NO_SPACE),
        (OSError(errno.EDQUOT, "x"), ErrorKind.NO_SPACE),
        (Answered(404), ErrorKind.NOT_FOUND),
        (Answered(403), ErrorKind.PERMANENT),
        (Answered(401), ErrorKind.PERMANENT),
        (Answered(429), ErrorKind.TEMPORARY),
        (Answered(503), ErrorKind.TEMPORARY),
        (Answered(507), ErrorKind.NO_SPACE),
        (Answered(400), ErrorKind.PERMANENT),
        (Answered(1), ErrorKind.TEMPORARY),
        (RuntimeError("x"), ErrorKind.TEMPORARY),
        (RuntimeError("STATUS_ACCESS_DENIED"), ErrorKind.PERMANENT),
    ],
)
def test_an_error_of_any_library_has_a_verdict(exc: Exception, verdict: ErrorKind) -> None:
    assert verdict is errors.trouble(exc, {}).verdict


def test_no_option_and_no_url_is_repeated() -> None:
    exc = RuntimeError("PUT https://host/x?sig=abc failed for hush-hush,\n with key k3y")
    found = errors.trouble(exc, {"password": "hush-hush", "nested": {"keys": ["k3y"]}})
    assert "PUT (URL) failed for ***, with key ***" == found.text
    assert "[Error 0] no: (URL)" == errors.trouble(OSError(r"[Error 0] no: '\\host\share\x y'"), {}).text


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("550 Could not get file size.", ErrorKind.NOT_FOUND),
        ("550 No such file or directory.", ErrorKind.NOT_FOUND),
        ("550 Permission denied.", ErrorKind.PERMANENT),
        ("553 Could not create file.", ErrorKind.PERMANENT),
        ("530 Login incorrect.", ErrorKind.PERMANENT),
        ("452 Error writing file", ErrorKind.NO_SPACE),
        ("552 Exceeded storage allocation", ErrorKind.NO_SPACE),
        ("426 No space left on device; transfer aborted.", ErrorKind.NO_SPACE),
        ("421 Too many users", ErrorKind.TEMPORARY),
        ("425 Can't open data connection", ErrorKind.TEMPORARY),
        ("500 what?", ErrorKind.PERMANENT),
    ],
)
def test_a_reply_of_an_ftp_server_has_a_verdict(reply: str, verdict: ErrorKind) -> None:
    assert verdict is ftp.said(ftplib.error_reply(reply)).verdict
