"""Files by SSH, with an OpenSSH server."""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from arex.config.values import SpeedControl
from arex.model.files import FileEntry
from arex.model.ids import JobId
from tests.staging.conftest import Site
from tests.staging.servers_relay import Relay, relay_to
from tests.staging.servers_sftp import Sshd

CONTENT = bytes(range(256)) * 40_000


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    made = Sshd(tmp_path_factory.mktemp("sshd"))
    (made.files / "small").write_bytes(b"small content")
    (made.files / "large").write_bytes(CONTENT)
    yield made
    made.server.close()


@pytest.fixture(autouse=True)
def _home(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(sshd.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
async def relay(sshd: Sshd) -> AsyncIterator[Relay]:
    async with relay_to(sshd.server.port) as made:
        sshd.know(made.port)
        yield made


@pytest.mark.parametrize("content", [b"", b"small", CONTENT])
async def test_a_file_comes_in_and_goes_out(site: Site, sshd: Sshd, content: bytes) -> None:
    name = sshd.files / f"some file{len(content)}"
    name.write_bytes(content)
    target = sshd.files / f"new{len(content)}" / "deep er" / "x"

    assert (await site.fetched(sshd.url(str(name).replace(" ", "%20")))).done
    assert content == site.content("0")
    staging = site.staging(FileEntry("/0", sshd.url(str(target).replace(" ", "%20"))))
    staged = await site.engine().stage_out(staging)
    assert staged.done, staged
    assert content == target.read_bytes()
    assert ["x"] == [each.name for each in target.parent.iterdir()]


@pytest.mark.parametrize("name", ["small", "large"])
async def test_a_checksum_in_the_url_holds(site: Site, sshd: Sshd, name: str) -> None:
    value = f"{zlib.adler32((sshd.files / name).read_bytes()):08x}"
    wrong = await site.fetched(sshd.url(f"{sshd.files}/{name}", f";checksum=adler32:{value[::-1]}"), job="b")
    assert f"checksum adler32 is {value}" in wrong.failure
    assert [] == site.left_over("b")
    assert (await site.fetched(sshd.url(f"{sshd.files}/{name}", f";checksum=adler32:{value}"))).done


async def test_what_is_not_there_fails_at_once(site: Site, sshd: Sshd) -> None:
    staged = await site.fetched(sshd.url(f"{sshd.files}/nothing"))
    assert "Failed to obtain information about file: No such file or directory" in staged.failure
    assert "not a regular file" in (await site.fetched(sshd.url(sshd.files), job="b")).failure
    assert [] == site.clock.slept or max(site.clock.slept) <= 1


async def test_a_host_that_is_not_known_is_refused(site: Site, sshd: Sshd) -> None:
    async with relay_to(sshd.server.port) as stranger:
        staged = await site.fetched(sshd.url(f"{sshd.files}/small", port=stranger.port))
    assert "unknown host key, or the host key has changed" in staged.failure
    assert "known_hosts" in staged.failure


async def test_an_account_without_the_key_is_refused(site: Site, sshd: Sshd) -> None:
    url = sshd.url(f"{sshd.files}/small").replace(f"{sshd.user}@", "stranger@")
    staged = await site.fetched(url)
    assert "Permission denied: the server accepts none of the keys of the service's account" in staged.failure


@pytest.mark.parametrize("user", ["-oProxyCommand=x", "a:password", "$(x)", "a`b"])
async def test_a_name_that_means_something_to_a_shell_is_refused(site: Site, sshd: Sshd, user: str) -> None:
    staged = await site.fetched(f"sftp://{user}@127.0.0.1:{sshd.server.port}/x")
    assert "invalid user or host name" in staged.failure
    assert "password" not in staged.failure.partition("no passwords")[0]


async def test_transfers_with_one_host_share_a_connection(site: Site, sshd: Sshd, relay: Relay) -> None:
    urls = [sshd.url(f"{sshd.files}/small", port=relay.port)] * 20
    assert (await site.fetched(*urls)).done
    assert 1 == relay.connections


async def test_a_server_that_is_killed_is_gone_on_with(site: Site, sshd: Sshd, relay: Relay) -> None:
    """The bytes that came are not sent again."""

    def restart() -> None:
        sshd.server.kill()
        sshd.server.start()

    relay.limit, relay.at_limit = 6_000_000, restart
    staged = await site.fetched(sshd.url(f"{sshd.files}/large", port=relay.port))
    assert staged.done, staged
    assert CONTENT == site.content("0")
    (cut,) = relay.marks
    assert 0 < site.resumed_at()
    assert relay.down - cut < len(CONTENT) - site.resumed_at() + 1_000_000


async def test_what_changed_meanwhile_is_fetched_from_the_start(site: Site, sshd: Sshd, relay: Relay) -> None:
    path = sshd.files / "changing"
    path.write_bytes(CONTENT)
    relay.limit, relay.at_limit = 6_000_000, lambda: path.write_bytes(CONTENT[:-1][::-1])
    assert (await site.fetched(sshd.url(path, port=relay.port))).done
    assert CONTENT[:-1][::-1] == site.content("0")


async def test_an_upload_that_is_cut_leaves_no_half_file(site: Site, sshd: Sshd, relay: Relay) -> None:
    relay.up_limit = 3_000_000
    target = sshd.files / "cut" / "x"
    staging = site.staging(FileEntry("/out", sshd.url(target, port=relay.port)))
    (staging.session / "out").write_bytes(CONTENT)
    staged = await site.engine().stage_out(staging)
    assert staged.done, staged
    assert CONTENT == target.read_bytes()
    assert 2 == relay.connections


async def test_a_silent_server_is_left(site: Site, sshd: Sshd, relay: Relay) -> None:
    relay.limit, relay.silent = 3_000_000, True
    staged = await site.fetched(
        sshd.url(f"{sshd.files}/large", port=relay.port),
        maxtransfertries=1,
        speedcontrol=SpeedControl(max_inactivity=100, min_time=300),
    )
    assert "too slow: no data for 100 s" in staged.failure or "Connection timed out" in staged.failure


async def test_a_cancelled_transfer_lets_go(site: Site, sshd: Sshd, relay: Relay) -> None:
    """Of a server that is silent no connection is kept."""
    relay.limit, relay.silent = 3_000_000, True
    engine = site.engine()
    staging = site.staging(FileEntry("/0", sshd.url(f"{sshd.files}/large", port=relay.port)))
    running = asyncio.ensure_future(engine.stage_in(staging))
    while not relay.marks:
        await asyncio.sleep(0.01)
    await engine.cancel(JobId("job"))
    await asyncio.gather(running, return_exceptions=True)
    while relay.open:
        await asyncio.sleep(0.01)


async def test_a_target_that_exists_is_left_alone(site: Site, sshd: Sshd) -> None:
    old = sshd.files / "old"
    old.write_text("old")
    staging = site.staging(FileEntry("/out", sshd.url(old)))
    (staging.session / "out").write_text("new")
    assert (
        f"Destination sftp://127.0.0.1:{sshd.server.port}{old} already exists"
        == (await site.engine().stage_out(staging)).failure
    )
    assert "old" == old.read_text()

    wanted = replace(staging, files=(FileEntry("/out", sshd.url(old, ";overwrite=yes")),))
    assert (await site.engine().stage_out(wanted)).done
    assert "new" == old.read_text()


async def test_a_missing_package_is_named_with_its_cure(
    site: Site, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    monkeypatch.delitem(sys.modules, "arex.staging.movers.sftp", raising=False)
    staged = await site.fetched(sshd.url(f"{sshd.files}/small"))
    assert "pip install 'arex[sftp]'" in staged.failure


def test_paths_of_the_home_directory() -> None:
    from arex.staging.movers.sftp import path_of  # noqa: PLC0415 - where the package is known to be here
    from arex.staging.url import parse_one  # noqa: PLC0415

    assert "x/y" == path_of(parse_one("sftp://host/~/x/y"))
    assert "/x y" == path_of(parse_one("sftp://host/x%20y"))
