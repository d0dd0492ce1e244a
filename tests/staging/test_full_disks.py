"""Disks that are full: ours while something comes, a server's while something goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from arex.config.staging import CacheBlock
from arex.config.values import CacheDir
from arex.model.files import FileEntry
from arex.ports import Staged
from tests.disks import fill, small_disk
from tests.staging.conftest import Site
from tests.staging.servers import Nginx, Odd, Request
from tests.staging.servers_s3 import S3
from tests.staging.servers_sftp import Sshd
from tests.staging.servers_xrootd import Xrootd

FITS = bytes(range(256)) * 5_000
TOO_MUCH = bytes(range(256)) * 12_000


class Servers:
    """One of each kind, each with two files and a place for more on a small disk."""

    def __init__(self, root: Path, nginx: Nginx) -> None:
        (root / "s3").mkdir()
        self.nginx, self.sshd, self.s3, self.xrootd = nginx, Sshd(root / "sshd"), S3(root / "s3"), Xrootd()
        for name, content in (("fits", FITS), ("toomuch", TOO_MUCH)):
            (nginx.files / name).write_bytes(content)
            (self.sshd.files / name).write_bytes(content)
            self.xrootd.put(name, content)
            self.s3.put(name, content)

    def close(self) -> None:
        self.sshd.server.close()
        self.s3.server.close()
        self.xrootd.close()

    def entry(self, scheme: str, name: str) -> FileEntry:
        """An input."""
        match scheme:
            case "http":
                return FileEntry("/0", self.nginx.http(f"/files/{name}"))
            case "sftp":
                return FileEntry("/0", self.sshd.url(f"{self.sshd.files}/{name}"))
            case "s3":
                return FileEntry("/0", self.s3.url(name), str(self.s3.reader))
            case _:
                return FileEntry("/0", self.xrootd.url(name))

    @contextmanager
    def small(self, scheme: str) -> Iterator[tuple[Path, Callable[[str], str]]]:
        """A directory of a server that is soon full, and how a name in it is written."""
        match scheme:
            case "http":
                place, url = self.nginx.dav / "small", lambda name: self.nginx.http(f"/dav/small/{name}")
            case "sftp":
                place, url = self.sshd.files / "small", lambda name: self.sshd.url(f"{self.sshd.files}/small/{name}")
            case _:
                place, url = self.xrootd.files / "small", lambda name: self.xrootd.url(f"small/{name}")
        with small_disk(place, mode=0o777):
            yield place, url


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, nginx: Nginx) -> Iterator[Servers]:
    made = Servers(tmp_path_factory.mktemp("servers"), nginx)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _home(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(servers.sshd.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def small(site: Site) -> Iterator[Path]:
    """Where the session directories are."""
    with small_disk(site.root / "sessions") as place:
        yield place


async def told_of_a_full_disk(site: Site, how_often: int = 1) -> None:
    async with asyncio.timeout(60):
        while how_often > sum("No space left" in note for note in site.notes):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("scheme", ["http", "s3", "sftp", "root"])
async def test_what_will_not_fit_is_not_begun_and_fails(site: Site, servers: Servers, small: Path, scheme: str) -> None:
    entry = servers.entry(scheme, "toomuch")
    staged = await site.engine(maxtransfertries=10).stage_in(site.staging(entry))

    assert "Failed writing to destination: /0 : No space left on device" in staged.failure
    assert 3 == sum("No space left" in note for note in site.notes)
    assert [] == site.left_over()
    assert not (small / "job" / "0").exists()


@pytest.mark.parametrize("scheme", ["http", "s3", "sftp", "root"])
async def test_room_that_is_made_in_time_is_used(site: Site, servers: Servers, small: Path, scheme: str) -> None:
    staging = site.staging(servers.entry(scheme, "fits"))
    ballast = fill(small)
    coming = asyncio.create_task(site.engine(maxtransfertries=10).stage_in(staging))
    await told_of_a_full_disk(site)
    ballast.unlink()

    staged = await coming
    assert staged.done, staged
    assert FITS == site.content("0")


async def endless(_: Request, writer: asyncio.StreamWriter) -> None:
    """The size is unknown, so that the lack of room only shows during the transfer."""
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + TOO_MUCH)
    await writer.drain()


async def test_a_disk_that_is_full_in_the_middle_fails_what_came(site: Site, odd: Odd, small: Path) -> None:
    odd.answers["/x"] = endless
    staged = await site.fetched(odd.url("/x"), maxtransfertries=10)

    assert "No space left on device" in staged.failure
    assert 4 == odd.count("GET", "/x")
    assert [] == site.left_over()
    assert not (small / "job" / "0").exists()


async def test_a_full_cache_is_no_full_session(site: Site, odd: Odd, tmp_path: Path) -> None:
    """What came is of no use to anybody; the job fails with the reason, and the next one finds an empty place."""
    odd.answers["/x"] = endless
    with small_disk(tmp_path / "cache") as place:
        site.config = replace(site.config, cache=CacheBlock(cachedir=(CacheDir(path=place),)))
        staged = await site.fetched(odd.url("/x"), maxtransfertries=10)

        assert "No space left on device" in staged.failure
        assert [] == [path for path in place.rglob("*") if path.suffix == ".lock"]


async def send(site: Site, url: str, **staging: object) -> Staged:
    made = site.staging(FileEntry("/out", url))
    (made.session / "out").write_bytes(FITS)
    return await site.engine(**staging).stage_out(made)


@pytest.mark.parametrize("scheme", ["http", "sftp", "root"])
async def test_a_server_whose_disk_is_full_gets_no_half_file(site: Site, servers: Servers, scheme: str) -> None:
    with servers.small(scheme) as (place, url):
        ballast = fill(place)
        staged = await send(site, url("x"), maxtransfertries=2)

        assert staged.failure
        assert not staged.done
        # what nginx itself does not clear away is x.0000000001
        assert [] == [path.name for path in place.iterdir() if path.name != "ballast" and not path.suffix[1:].isdigit()]
        ballast.unlink()
        staged = await send(site, url("x"))
        assert staged.done, staged
        assert FITS == (place / "x").read_bytes()


@pytest.mark.parametrize("scheme", ["http", "sftp", "root"])
async def test_room_that_a_server_makes_in_time_is_used(site: Site, servers: Servers, scheme: str) -> None:
    with servers.small(scheme) as (place, url):
        ballast = fill(place)
        going = asyncio.create_task(send(site, url("x"), maxtransfertries=10))
        async with asyncio.timeout(60):
            while not site.notes:
                await asyncio.sleep(0.01)
        ballast.unlink()

        staged = await going
        assert staged.done, staged
        assert FITS == (place / "x").read_bytes()
