"""The commands for files at URLs, against real servers of each protocol."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.shell import User, someone
from tests.staging.servers import Nginx, free_port
from tests.staging.servers_ftp import Ftpd
from tests.staging.servers_s3 import S3
from tests.staging.servers_sftp import Sshd
from tests.staging.servers_xrootd import Xrootd

CONTENT = bytes(range(256)) * 1000


class Server:
    """A server with directories: what it has, and the URL of a name in it."""

    def __init__(self, files: Path, url: str, xrootd: Xrootd | None = None) -> None:
        self.files, self._url, self._xrootd = files, url, xrootd

    def url(self, name: str) -> str:
        return f"{self._url}/{name if self._url.startswith('root:') else quote(name)}"

    def put(self, name: str, content: bytes = b"x") -> Path:
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if self._xrootd is not None:
            self._xrootd.give(self.files)
        return path


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> User:
    monkeypatch.delenv("X509_CERT_DIR", raising=False)
    return someone(tmp_path, monkeypatch, capfdbinary)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    made = Sshd(tmp_path_factory.mktemp("sshd"))
    yield made
    made.server.close()


@pytest.fixture(scope="module")
def _xrootd() -> Iterator[tuple[Xrootd, int]]:
    """It speaks WebDAV as well."""
    port = free_port()
    made = Xrootd(f"xrd.protocol http:{port} libXrdHttp-5.so\n")
    yield made, port
    made.close()


@pytest.fixture(scope="module")
def _ftpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ftpd]:
    made = Ftpd(tmp_path_factory.mktemp("ftpd"))
    yield made
    made.server.close()


@pytest.fixture(params=["file", "sftp", "dav", "root", "ftp"])
def server(request: pytest.FixtureRequest, user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A directory of the test's own at a server of each kind."""
    scheme, name = request.param, tmp_path.name
    if scheme == "file":
        return _made(tmp_path / "files", f"file://{tmp_path}/files")
    if scheme == "sftp":
        sshd: Sshd = request.getfixturevalue("sshd")
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        monkeypatch.setenv("HOME", str(sshd.home))
        return _made(sshd.files / name, sshd.url(f"{sshd.files}/{name}"))
    if scheme == "ftp":
        ftpd: Ftpd = request.getfixturevalue("_ftpd")
        with (user.home / "arc.conf").open("a") as conf:
            conf.write(f"[arex/data-staging]\nfsspec={ftpd.url('/')}\nfsspec_options={ftpd.options}\n")
        return _made(ftpd.files / name, ftpd.url(f"/{name}"))
    xrootd, port = request.getfixturevalue("_xrootd")
    url = xrootd.url(name) if scheme == "root" else f"dav://127.0.0.1:{port}/data/{name}"
    made = _made(xrootd.files / name, url, xrootd)
    xrootd.give(xrootd.files)
    return made


def _made(files: Path, url: str, xrootd: Xrootd | None = None) -> Server:
    files.mkdir()
    return Server(files, url, xrootd)


def tree(files: Path) -> list[str]:
    return sorted(str(path.relative_to(files)) for path in files.rglob("*"))


def test_a_file_goes_there_and_comes_back(user: User, server: Server) -> None:
    (user.home / "in").write_bytes(CONTENT)

    there = user.run("arccp", "in", server.url("deep-er/täst"))
    back = user.run("arccp", server.url("deep-er/täst"), "out")

    assert (0, 0) == (there.code, back.code), there.err + back.err
    assert CONTENT == (server.files / "deep-er/täst").read_bytes()
    assert CONTENT == (user.home / "out").read_bytes()
    assert ["deep-er", "deep-er/täst"] == tree(server.files)
    assert [] == list(user.home.glob(".arex-*"))


def test_an_existing_file_is_overwritten_with_force_only(user: User, server: Server) -> None:
    old = server.put("old", b"old")
    (user.home / "new").write_bytes(b"new")

    refused = user.run("arccp", "new", server.url("old"))
    was = old.read_bytes()
    forced = user.run("arccp", "-f", "new", server.url("old"))

    assert (1, 0) == (refused.code, forced.code), forced.err
    assert "already exists: use --force to overwrite it" in refused.err
    assert (b"old", b"new") == (was, old.read_bytes())


def test_a_directory_is_copied_with_all_levels_or_some(user: User, server: Server) -> None:
    for name in ("a", "b/c", "b/d/e"):
        server.put(f"top/{name}", name.encode())

    top, some, every = (
        user.run("arccp", *more, server.url("top/"), f"{name}/")
        for name, more in {"top": [], "some": ["-D", "1"], "every": ["-r"]}.items()
    )
    back = user.run("arccp", "-r", "every/", server.url("back/"))

    assert [0] * 4 == [top.code, some.code, every.code, back.code], [top.err, some.err, every.err, back.err]
    assert ["a"] == tree(user.home / "top")
    assert ["a", "b", "b/c"] == tree(user.home / "some")
    assert ["a", "b", "b/c", "b/d", "b/d/e"] == tree(user.home / "every") == tree(server.files / "back")
    assert "b/d/e" == (server.files / "back/b/d/e").read_text()


def test_a_directory_is_listed_as_arc_lists_it(user: User, server: Server) -> None:
    os.utime(server.put("top/a", b"four"), (1_700_000_000, 1_700_000_000))
    server.put("top/b/c")

    short = user.run("arcls", server.url("top"))
    long = user.run("arcls", "-l", server.url("top/"))
    deep = user.run("arcls", "-r", server.url("top/"))

    assert (0, 0, 0) == (short.code, long.code, deep.code), long.err
    assert ["a", "b"] == short.out.split()
    title, file, directory = (line.split() for line in long.out.splitlines())
    assert ["<Name>", "<Type>", "<Size>", "<Modified>", "<CheckSum>", "<Latency>"] == title
    assert ["a", "file", "4"] == file[:3]
    assert file[3] == "2023-11-14" or (file[3] == "(n/a)" and server.url("").startswith("ftp:"))
    assert ["b", "dir"] == directory[:2]
    assert ["a", "b", "c"] == [line for line in deep.out.splitlines() if line and not line.endswith(":")]


def test_one_file_is_listed_by_its_name(user: User, server: Server) -> None:
    server.put("a", b"four")

    said = user.run("arcls", "--json", server.url("a"))

    [directory] = said.json["directories"]
    [entry] = directory["entries"]
    assert ("a", "file", 4) == (entry["name"], entry["kind"], entry["size"])


def test_a_missing_file_is_an_error_of_every_command(user: User, server: Server) -> None:
    url = server.url("nothing")
    calls = [["arcls", url], ["arcls", "-c", url], ["arcrm", url], ["arcrename", url, f"{url}2"]]
    if not url.startswith("dav:"):  # this server answers GET with status 500 then
        calls.append(["arccp", url, "x"])
    for words in calls:
        said = user.run(*words)

        assert said.code == 1, words
        assert "No such file or directory" in said.err, words
        assert said.out == ""


def test_files_and_empty_directories_are_removed_and_no_full_ones(user: User, server: Server) -> None:
    server.put("full/a")
    server.put("b")

    full = user.run("arcrm", server.url("full"))
    rest = user.run("arcrm", server.url("b"), server.url("full/a"))
    empty = user.run("arcrm", server.url("full/"))

    assert (1, 0, 0) == (full.code, rest.code, empty.code), rest.err + empty.err
    assert "Directory not empty" in full.err
    assert [] == tree(server.files)


def test_directories_are_created_with_those_above_them_if_asked(user: User, server: Server) -> None:
    refused = user.run("arcmkdir", server.url("a/b/c"))
    made = user.run("arcmkdir", "-p", server.url("a/b/c"))
    again = user.run("arcmkdir", server.url("a/b"))

    assert (0, 0) == (made.code, again.code), made.err + again.err
    assert refused.code == 1 or server.url("").startswith(("dav:", "root:"))  # XRootD creates those above, too
    assert ["a", "a/b", "a/b/c"] == tree(server.files)


def test_a_file_is_renamed_and_never_over_a_directory(user: User, server: Server) -> None:
    server.put("a", b"a")
    server.put("d/inside")

    refused = user.run("arcrename", server.url("a"), server.url("d"))
    moved = user.run("arcrename", server.url("a"), server.url("b"))

    assert (1, 0) == (refused.code, moved.code), moved.err
    assert "is a directory" in refused.err
    assert ["b", "d", "d/inside"] == tree(server.files)
    assert b"a" == (server.files / "b").read_bytes()


# --- what only some can do ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    made = S3(tmp_path_factory.mktemp("s3"))
    yield made
    made.server.close()


def test_objects_are_listed_copied_and_removed_as_files(user: User, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.keys["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.keys["secret_key"])
    for name in ("top/a", "top/b/c d", "other"):
        s3.put(name, name.encode())

    bucket, inside = user.run("arcls", s3.url("")), user.run("arcls", s3.url("top"))
    copied = user.run("arccp", "-r", s3.url("top/"), "got/")
    removed = user.run("arcrm", s3.url("top/b/c%20d"))
    refused = [user.run("arcrm", s3.url("top")), user.run("arcmkdir", s3.url("new"))]
    refused.append(user.run("arcrename", s3.url("other"), s3.url("new")))

    assert ["other", "top"] == bucket.out.split(), bucket.err
    assert ["a", "b"] == inside.out.split()
    assert ["a", "b", "b/c d"] == tree(user.home / "got"), copied.err
    assert removed.code == 0, removed.err
    assert ["a"] == user.run("arcls", s3.url("top")).out.split()
    assert [1, 1, 1] == [said.code for said in refused]
    assert "S3 has no directories" in refused[1].err
    assert "S3 cannot rename objects" in refused[2].err
    assert b"other" == s3.get("other")


def test_a_plain_web_server_gives_files_and_says_what_it_cannot_do(user: User, nginx: Nginx) -> None:
    url = nginx.http("/files/small")

    printed, listed = user.run("arccp", url, "-"), user.run("arcls", "-l", url)
    directory = user.run("arcls", "-f", nginx.http("/files/"))

    assert "small content" == printed.out
    assert ["small", "file", "13"] == listed.out.splitlines()[1].split()[:3]
    assert directory.code == 1
    assert "it has no WebDAV at this URL" in directory.err
    assert (nginx.files / "small").exists()


def test_a_directory_is_not_removed_where_it_cannot_be_listed(user: User, nginx: Nginx) -> None:
    (nginx.dav / "full").mkdir()
    (nginx.dav / "full" / "x").touch()

    said = user.run("arcrm", nginx.http("/dav/full/"))

    assert said.code == 1
    assert (nginx.dav / "full" / "x").exists()


def test_a_file_goes_from_one_server_to_another(
    user: User, nginx: Nginx, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(sshd.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)

    said = user.run("arccp", "--json", nginx.http("/files/large"), sshd.url(f"{sshd.files}/fromweb"))

    assert said.code == 0, said.err
    assert said.json["size"] == said.json["copied"][0]["size"] == (nginx.files / "large").stat().st_size
    assert (nginx.files / "large").read_bytes() == (sshd.files / "fromweb").read_bytes()
