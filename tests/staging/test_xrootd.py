"""XRootD, with a data server that computes checksums."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from arex.config.values import SpeedControl
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.ports import Staged
from arex.staging.movers.isolated.mover import SubprocessMover
from tests.staging.conftest import Site
from tests.staging.servers_relay import Relay, relay_to
from tests.staging.servers_xrootd import GsiAuthority, Xrootd

LARGE = bytes(range(256)) * 100_000


@pytest.fixture(scope="module")
def xrootd() -> Iterator[Xrootd]:
    made = Xrootd()
    made.put("small", b"small content")
    made.put("large", LARGE)
    yield made
    made.close()


@pytest.fixture
def gsi(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[GsiAuthority, Xrootd]]:
    authority = GsiAuthority()
    monkeypatch.setenv("X509_CERT_DIR", str(authority.certificates))
    monkeypatch.delenv("X509_USER_PROXY", raising=False)
    server = Xrootd.with_gsi(authority)
    server.put("small", b"small content")
    yield authority, server
    server.close()
    authority.close()


@pytest.fixture
async def relay(xrootd: Xrootd) -> AsyncIterator[Relay]:
    async with relay_to(xrootd.server.port) as made:
        yield made


@pytest.mark.parametrize("scheme", ["root", "xroot"])
@pytest.mark.parametrize("content", [b"", b"small", LARGE])
async def test_a_file_comes_in_and_goes_out(site: Site, xrootd: Xrootd, scheme: str, content: bytes) -> None:
    xrootd.put(f"in{len(content)}", content)
    target = xrootd.files / scheme / f"new{len(content)}" / "deep" / "x"
    url = xrootd.url(f"in{len(content)}").replace("root", scheme, 1).replace("//data", "/data")

    staged = await site.fetched(url)
    assert staged.done, staged
    assert content == site.content("0")
    relative = str(target.relative_to(xrootd.files))
    staged = await site.engine().stage_out(site.staging(FileEntry("/0", xrootd.url(relative))))
    assert staged.done, staged
    assert content == target.read_bytes()
    assert ["x"] == [each.name for each in target.parent.iterdir()]


@pytest.mark.parametrize("name", ["small", "large"])
async def test_a_checksum_in_the_url_holds(site: Site, xrootd: Xrootd, name: str) -> None:
    value = f"{zlib.adler32((xrootd.files / name).read_bytes()):08x}"
    wrong = await site.fetched(xrootd.url(name, f";checksum=adler32:{value[::-1]}"), job="b")
    assert f"checksum adler32 is {value}" in wrong.failure
    assert [] == site.left_over("b")
    assert (await site.fetched(xrootd.url(name, f";checksum=adler32:{value}"))).done


async def test_the_checksum_of_a_server_holds(site: Site, xrootd: Xrootd, relay: Relay) -> None:
    """A byte that changes on the way is found."""
    xrootd.put("a", b"a" * 300_000)
    relay.change = (b"a" * 1000, b"a" * 999 + b"b")
    staged = await site.fetched(xrootd.url("a", port=relay.port))
    assert "checksum adler32 is" in staged.failure


async def test_what_is_not_there_fails_at_once(site: Site, xrootd: Xrootd) -> None:
    staged = await site.fetched(xrootd.url("nothing"))
    assert "Failed to obtain information about file: No such file or directory" in staged.failure
    (xrootd.files / "directory").mkdir()
    xrootd.give(xrootd.files)
    staged = await site.fetched(xrootd.url("directory"), job="b")
    assert "not a regular file" in staged.failure, staged


async def test_what_is_forbidden_fails_at_once(site: Site, xrootd: Xrootd) -> None:
    path = xrootd.put("secret", b"x")
    path.chmod(0)
    assert "Permission denied" in (await site.fetched(xrootd.url("secret"))).failure
    staging = site.staging(FileEntry("/out", xrootd.url("secret").replace("/data/", "/elsewhere/")))
    (staging.session / "out").write_text("x")
    assert "Permission denied" in (await site.engine().stage_out(staging)).failure


@pytest.mark.parametrize("words", ["xrd.gsiusrpxy=/tmp/other", "a=b&XRD.ztn=/tmp/other", "xrdcl.unzip=x"])
async def test_a_url_does_not_say_whose_credential_is_shown(site: Site, xrootd: Xrootd, words: str) -> None:
    staged = await site.fetched(xrootd.url(f"small?{words}"))
    assert "parameters xrd.* and xrdcl.* are not allowed in jobs" in staged.failure


async def test_each_credential_has_a_connection_of_its_own(site: Site, xrootd: Xrootd, relay: Relay) -> None:
    """And transfers with one credential share it."""
    for number in (1, 2):
        (site.root / f"token{number}").write_text(f"just-a-token-{number}")
    engine = site.engine()
    url = xrootd.url("small", f";checksum=adler32:{zlib.adler32(b'small content'):08x}", port=relay.port)
    for number in (1, 2, 1, 2):
        entries = [FileEntry(f"/{name}", url, str(site.root / f"token{number}")) for name in range(5)]
        assert (await engine.stage_in(site.staging(*entries, job=f"job{os.urandom(4).hex()}"))).done
    assert 2 == relay.connections


async def test_a_proxy_of_the_job_is_shown_and_no_other(site: Site, gsi: tuple[GsiAuthority, Xrootd]) -> None:
    """One after the other to the same server: a connection that is in does not let others in."""
    authority, server = gsi
    url = server.url("small").replace("127.0.0.1", "localhost")
    common = replace(site.config.common, x509_cert_dir=authority.certificates)
    site.config = replace(site.config, common=common)
    engine = site.engine()

    async def come(job: str, credential: str) -> Staged:
        return await engine.stage_in(site.staging(FileEntry("/0", url, credential), job=job))

    staged = await come("a", str(authority.proxy))
    assert staged.done, staged
    assert b"small content" == site.content("0", "a")
    assert "Permission denied: " in (await come("b", "")).failure
    assert "the credential has no key; renew it" in (await come("c", str(authority.keyless))).waits


async def test_a_server_that_is_killed_is_gone_on_with(site: Site, xrootd: Xrootd, relay: Relay) -> None:
    """The bytes that came are not sent again."""

    def restart() -> None:
        xrootd.server.kill()
        xrootd.server.start()

    relay.limit, relay.at_limit = 15_000_000, restart
    staged = await site.fetched(xrootd.url("large", port=relay.port))
    assert staged.done, staged
    assert LARGE == site.content("0")
    (cut,) = relay.marks
    assert 0 < site.resumed_at()
    assert relay.down - cut < len(LARGE) - site.resumed_at() + 1_000_000


async def test_what_changed_meanwhile_is_fetched_from_the_start(site: Site, xrootd: Xrootd, relay: Relay) -> None:
    """The server goes by whole seconds, so the first one is of another day."""
    os.utime(xrootd.put("changing", LARGE), (1_000_000_000, 1_000_000_000))
    relay.limit = 15_000_000
    relay.at_limit = lambda: xrootd.put("changing", LARGE[:-1][::-1])
    staged = await site.fetched(xrootd.url("changing", port=relay.port))
    assert staged.done, staged
    assert LARGE[:-1][::-1] == site.content("0")


async def test_an_upload_that_is_cut_leaves_no_half_file(site: Site, xrootd: Xrootd, relay: Relay) -> None:
    relay.up_limit = 10_000_000
    staging = site.staging(FileEntry("/out", xrootd.url("cut/x", port=relay.port)))
    (staging.session / "out").write_bytes(LARGE)
    staged = await site.engine(maxtransfertries=1).stage_out(staging)
    assert not staged.done
    while list((xrootd.files / "cut").iterdir()):
        await asyncio.sleep(0.05)
    staged = await site.engine(maxtransfertries=1).stage_out(staging)
    assert staged.done, staged
    assert LARGE == (xrootd.files / "cut" / "x").read_bytes()


async def test_a_silent_server_is_left(site: Site, xrootd: Xrootd, relay: Relay) -> None:
    relay.limit, relay.silent = 3_000_000, True
    staged = await site.fetched(
        xrootd.url("large", port=relay.port),
        maxtransfertries=1,
        speedcontrol=SpeedControl(max_inactivity=100, min_time=300),
    )
    assert "too slow: no data for 100 s" in staged.failure


async def test_a_cancelled_transfer_lets_go(site: Site, xrootd: Xrootd, relay: Relay) -> None:
    """At once, though the server says nothing."""
    relay.limit, relay.silent = 3_000_000, True
    engine = site.engine()
    staging = site.staging(FileEntry("/0", xrootd.url("large", port=relay.port)))
    running = asyncio.ensure_future(engine.stage_in(staging))
    while not relay.marks:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(60):
        await engine.cancel(JobId("job"))
    await asyncio.gather(running, return_exceptions=True)


async def test_a_target_that_exists_is_left_alone(site: Site, xrootd: Xrootd) -> None:
    old = xrootd.put("old", b"old")
    staging = site.staging(FileEntry("/out", xrootd.url("old")))
    (staging.session / "out").write_text("new")
    staged = await site.engine().stage_out(staging)
    assert f"Destination {xrootd.url('old')} already exists" == staged.failure
    assert "old" == old.read_text()

    wanted = replace(staging, files=(FileEntry("/out", xrootd.url("old", ";overwrite=yes")),))
    staged = await site.engine().stage_out(wanted)
    assert staged.done, staged
    assert "new" == old.read_text()
    assert [] == list(xrootd.files.glob(".arex*"))


async def test_a_missing_package_is_named_with_its_cure(
    site: Site, xrootd: Xrootd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for once, however many files need it."""
    absent = site.root / "absent"
    (absent / "XRootD").mkdir(parents=True)
    (absent / "XRootD" / "__init__.py").write_text(
        f"open({str(absent / 'looks')!r}, 'a').write('x')\nraise ModuleNotFoundError(name='XRootD')\n"
    )
    monkeypatch.syspath_prepend(absent)
    staged = await site.fetched(xrootd.url("small"), xrootd.url("large"))
    assert "the transfer method for root: cannot be loaded: the package XRootD is missing" in staged.failure
    assert "pip install 'arex[xrootd]'" in staged.failure
    assert "x" == (absent / "looks").read_text()


# --- its library in a separate process --------------------------------------------------------------------------


def library(site: Site) -> int:
    """The process that has the library."""
    (engine,) = site.engines
    mover = engine._context.movers._made["arex.staging.movers.xrootd:XrootdMover"]
    assert isinstance(mover, SubprocessMover)
    assert mover.pid is not None
    return mover.pid


def test_the_library_is_not_in_our_process(xrootd: Xrootd) -> None:
    assert xrootd.files.exists()
    assert [] == [name for name in sys.modules if name.partition(".")[0] == "XRootD"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_download_is_gone_on_with_after_a_crash(
    site: Site, xrootd: Xrootd, relay: Relay, number: signal.Signals
) -> None:
    relay.limit, relay.at_limit = 15_000_000, lambda: os.kill(library(site), number)
    staged = await site.fetched(xrootd.url("large", port=relay.port))
    assert staged.done, staged
    assert LARGE == site.content("0")
    assert any(f"the XRootD client has crashed (signal {number})" in note for note in site.notes)
    (cut,) = relay.marks
    assert 0 < site.resumed_at()
    assert relay.down - cut < len(LARGE) - site.resumed_at() + 1_000_000


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_an_upload_is_made_again_after_a_crash(
    site: Site, xrootd: Xrootd, relay: Relay, number: signal.Signals
) -> None:
    relay.up_limit, relay.at_limit = 10_000_000, lambda: os.kill(library(site), number)
    staging = site.staging(FileEntry("/out", xrootd.url(f"crashed{number}/x", port=relay.port)))
    (staging.session / "out").write_bytes(LARGE)
    staged = await site.engine().stage_out(staging)
    assert staged.done, staged
    assert LARGE == (xrootd.files / f"crashed{number}" / "x").read_bytes()
    assert any(f"the XRootD client has crashed (signal {number})" in note for note in site.notes)


async def test_a_job_whose_file_crashes_the_library_fails_and_the_service_lives(
    site: Site, xrootd: Xrootd, relay: Relay
) -> None:
    def crash() -> None:
        os.kill(library(site), signal.SIGSEGV)
        relay.limit, relay.at_limit = 1_000_000, crash

    crashing = xrootd.url("large", port=relay.port)
    engine = site.engine()
    relay.limit, relay.at_limit = 1_000_000, crash
    staged = await engine.stage_in(site.staging(FileEntry("/0", crashing)))
    assert staged.failure.endswith("the XRootD client has crashed (signal 11)")
    staged = await engine.stage_in(site.staging(FileEntry("/0", xrootd.url("large")), job="b"))
    assert staged.done, staged
    assert LARGE == site.content("0", "b")
