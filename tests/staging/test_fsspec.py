"""Files by fsspec, with an FTP server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from arex.config.codec import storage_url
from arex.config.values import SpeedControl
from arex.errors import ConfigError
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.ports import Staged
from tests.staging.conftest import Site
from tests.staging.servers_ftp import PASSWORD, Ftpd

CONTENT = bytes(range(256)) * 40_000
SLOW = CONTENT[:5_000_000]


@pytest.fixture(scope="module")
def ftpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ftpd]:
    made = Ftpd(tmp_path_factory.mktemp("ftpd"))
    yield made
    made.server.close()


@pytest.fixture(scope="module")
def _slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ftpd]:
    made = Ftpd(tmp_path_factory.mktemp("slow"), rate=len(SLOW), old=True)
    (made.files / "large").write_bytes(SLOW)
    yield made
    made.server.kill()


@pytest.fixture
def slow(_slow: Ftpd) -> Iterator[Ftpd]:
    """Five million bytes take it a second; it knows no MLST, as many do not."""
    yield _slow
    _slow.go_on()


def granted(ftpd: Ftpd, **more: object) -> dict[str, object]:
    return {"fsspec": (storage_url(ftpd.url("/")),), "fsspec_options": ftpd.options, **more}


async def fetched(site: Site, ftpd: Ftpd, *urls: str, job: str = "job", **more: object) -> Staged:
    return await site.fetched(*urls, job=job, **granted(ftpd, **more))


async def sent(site: Site, ftpd: Ftpd, url: str, content: bytes, **more: object) -> Staged:
    staging = site.staging(FileEntry("/out", url))
    (staging.session / "out").write_bytes(content)
    return await site.engine(**granted(ftpd, **more)).stage_out(staging)


def come(site: Site) -> int:
    """Bytes of the first file that are on the disk."""
    return sum(path.stat().st_size for path in (site.root / "sessions" / "job.staging").glob("*.part"))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def threads_end() -> None:
    await until(lambda: not any(each.name == "arex-storage" for each in threading.enumerate()))


# --- in and out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["ftpd", "slow"])
@pytest.mark.parametrize("content", [b"", b"small", CONTENT[:1_000_000]])
async def test_a_file_comes_in_and_goes_out(
    site: Site, server: str, content: bytes, request: pytest.FixtureRequest
) -> None:
    """Also over a server of the old kind, and with names that need codes."""
    ftpd: Ftpd = request.getfixturevalue(server)
    name = f"söme %{len(content)} file;[x]"
    (ftpd.files / name).write_bytes(content)
    target = f"/new{len(content)}/deep er/x"

    staged = await fetched(site, ftpd, ftpd.url(quote(f"/{name}")))
    assert staged.done, staged
    assert content == site.content("0")
    staged = await sent(site, ftpd, ftpd.url(quote(target)), content)
    assert staged.done, staged
    assert content == (ftpd.files / target[1:]).read_bytes()
    assert ["x"] == ftpd.names(str(Path(target[1:]).parent))
    await threads_end()


async def test_many_files_come_at_one_time(site: Site, ftpd: Ftpd) -> None:
    for number in range(20):
        (ftpd.files / f"many{number}").write_text(str(number))
    assert (await fetched(site, ftpd, *(ftpd.url(f"/many{number}") for number in range(20)))).done
    assert [str(number).encode() for number in range(20)] == [site.content(str(number)) for number in range(20)]


async def test_a_checksum_in_the_url_holds(site: Site, ftpd: Ftpd) -> None:
    (ftpd.files / "summed").write_bytes(CONTENT)
    value = f"{zlib.adler32(CONTENT):08x}"
    wrong = await fetched(site, ftpd, ftpd.url("/summed", f";checksum=adler32:{value[::-1]}"), job="b")
    assert f"checksum adler32 is {value}" in wrong.failure
    assert [] == site.left_over("b")
    assert (await fetched(site, ftpd, ftpd.url("/summed", f";checksum=adler32:{value}"))).done


@pytest.mark.parametrize("server", ["ftpd", "slow"])
async def test_what_is_not_there_fails_at_once(site: Site, server: str, request: pytest.FixtureRequest) -> None:
    ftpd: Ftpd = request.getfixturevalue(server)
    (ftpd.files / "directory").mkdir(exist_ok=True)
    staged = await fetched(site, ftpd, ftpd.url("/nowhere/nothing"))
    assert "Failed to obtain information about file: No such file or directory" in staged.failure
    assert not (await fetched(site, ftpd, ftpd.url("/directory"), job="b")).done
    assert not any(" try " in note for note in site.notes)


async def test_a_target_that_exists_is_left_alone(site: Site, ftpd: Ftpd) -> None:
    (ftpd.files / "old").write_text("old")
    staged = await sent(site, ftpd, ftpd.url("/old"), b"new")
    assert f"Destination {ftpd.url('/old')} already exists" == staged.failure
    assert "old" == (ftpd.files / "old").read_text()

    assert (await sent(site, ftpd, ftpd.url("/old", ";overwrite=yes"), b"new")).done
    assert "new" == (ftpd.files / "old").read_text()


# --- who is asked, and with what ----------------------------------------------------------------------------------


async def test_a_wrong_password_is_said_once_and_not_shown(site: Site, ftpd: Ftpd, tmp_path: Path) -> None:
    (ftpd.files / "private").write_text("x")
    options = tmp_path / "wrong.json"
    options.touch(mode=0o600)
    options.write_text(json.dumps({ftpd.url("/"): {"username": "grid", "password": "not-this-one"}}))
    staged = await fetched(site, ftpd, ftpd.url("/private"), fsspec_options=options)
    assert "Permission denied: 530" in staged.failure
    assert "check fsspec_options" in staged.failure
    assert "not-this-one" not in staged.failure
    assert not any(" try " in note for note in site.notes)


async def test_a_password_goes_to_its_host_only(site: Site, ftpd: Ftpd, slow: Ftpd) -> None:
    """A scheme alone is for anonymous use: the other server knows the user, and gets no credentials."""
    (slow.files / "open").write_text("for all")
    lines = (storage_url("ftp"), storage_url(ftpd.url("/")))
    assert (await fetched(site, ftpd, slow.url("/open"), fsspec=lines)).done
    assert "USER 'anonymous' logged in" in slow.log.read_text()


@pytest.mark.parametrize(
    "path",
    ["/elsewhere", "/insider", "/inside/../elsewhere", "/inside/%2e%2e/elsewhere", "//inside/x", "/Inside/x"],
)
async def test_a_line_with_a_directory_is_for_what_is_in_it(site: Site, ftpd: Ftpd, path: str) -> None:
    for name in ("inside/x", "elsewhere", "insider"):
        (ftpd.files / name).parent.mkdir(exist_ok=True)
        (ftpd.files / name).write_text("x")
    options = site.root / "options"
    options.touch(mode=0o600)
    options.write_text(json.dumps({ftpd.url("/inside"): {"username": "grid", "password": PASSWORD}}))
    lines = (storage_url(ftpd.url("/inside")),)
    assert (await site.fetched(ftpd.url("/inside/x"), fsspec=lines, fsspec_options=options)).done
    failure = (await site.fetched(ftpd.url(path), job="b", fsspec=lines, fsspec_options=options)).failure
    assert "jobs are not allowed to use this storage" in failure or "not allowed here" in failure


@pytest.mark.parametrize(
    "url",
    [
        "ftp://HOST/x::file:///etc/passwd",
        "ftp://HOST/zip::x",
        "ftp://HOST/x%3a%3afile:///etc/passwd",
        "ftp://HOST/file:///etc/passwd",
        "ftp://HOST/../etc/passwd",
        "ftp://HOST/x%0d%0aDELE%20y",
        "ftp://HOST/x%00",
        "ftp://HOST/..%5cx",
        "ftp://HOST/x?y",
        "ftp://HOST/x%23y",
        "ftp://HOST/",
        "ftp://HOST/%ff",
        "ftp://HOST\\@elsewhere/x",
        "ftp://HOST#@elsewhere/x",
        "ftp://HOST@elsewhere/x",
        "ftp://elsewhere/x",
        "ftp://user:pass@HOST/x",
        "ftp://user@HOST/x",
    ],
)
async def test_a_url_that_could_mean_something_else_is_refused(site: Site, ftpd: Ftpd, url: str) -> None:
    (ftpd.files / "x").write_text("x")
    before = ftpd.log.read_text()
    staged = await fetched(site, ftpd, url.replace("HOST", f"127.0.0.1:{ftpd.server.port}"))
    reasons = (
        "is not allowed here",
        "names a directory",
        "a user name or password",
        "invalid host name",
        "jobs are not",
    )
    assert any(reason in staged.failure for reason in reasons), staged.failure
    assert "pass@" not in staged.failure
    assert before == ftpd.log.read_text()


@pytest.mark.parametrize("scheme", ["local", "memory", "dir", "reference", "simplecache", "zip", "hdfs", "ftp"])
async def test_a_scheme_that_is_not_configured_does_not_get_to_fsspec(site: Site, scheme: str) -> None:
    (site.root / "secret").write_text("secret")
    staged = await site.fetched(f"{scheme}://{site.root}/secret", f"{scheme}://x{site.root}/secret")
    assert not staged.done
    assert "no transfer method" in staged.failure or "no host" in staged.failure


async def test_a_scheme_that_has_a_mover_can_not_be_given_away(site: Site) -> None:
    with pytest.raises(ConfigError, match="https: already has a transfer method"):
        site.engine(fsspec=(storage_url("https"),))


async def test_a_missing_package_is_named_with_its_cure(
    site: Site, ftpd: Ftpd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    for name in ("storage", "mover", "ftp"):
        monkeypatch.delitem(sys.modules, f"arex.staging.movers.fsspec.{name}", raising=False)
    assert "pip install 'arex[fsspec]'" in (await fetched(site, ftpd, ftpd.url("/x"))).failure


@pytest.mark.parametrize(
    ("scheme", "says"), [("smb", "smbprotocol"), ("neverheard", "fsspec does not support neverheard:")]
)
async def test_what_fsspec_lacks_is_told(site: Site, scheme: str, says: str) -> None:
    staged = await site.fetched(f"{scheme}://host/share/x", fsspec=(storage_url(scheme),))
    assert says in staged.failure


# --- what goes wrong ----------------------------------------------------------------------------------------------


async def _killed(site: Site, ftpd: Ftpd, meanwhile: Callable[[], object]) -> Staged:
    """A server that dies in the middle, and is there again."""
    with ftpd.holding():
        running = asyncio.ensure_future(fetched(site, ftpd, ftpd.url("/large"), maxtransfertries=10))
        await until(lambda: come(site) > 1_000_000)
        ftpd.server.kill()
    meanwhile()
    ftpd.server.start()
    return await running


async def test_a_server_that_is_killed_is_gone_on_with(site: Site, slow: Ftpd) -> None:
    staged = await _killed(site, slow, lambda: None)
    assert staged.done, staged
    assert SLOW == site.content("0")
    assert any("resumed at byte" in note for note in site.notes)


async def test_what_changed_meanwhile_is_fetched_from_the_start(site: Site, slow: Ftpd) -> None:
    other = SLOW[:-1][::-1]
    try:
        staged = await _killed(site, slow, lambda: (slow.files / "large").write_bytes(other))
    finally:
        (slow.files / "large").write_bytes(SLOW)
    assert staged.done, staged
    assert other == site.content("0")
    assert not any("resumed" in note for note in site.notes)


async def test_what_changes_under_a_transfer_is_noticed(site: Site, slow: Ftpd) -> None:
    """The old beginning and the new end are of one length."""
    path = slow.files / "rewritten"
    path.write_bytes(SLOW)
    with slow.holding():
        running = asyncio.ensure_future(fetched(site, slow, slow.url("/rewritten")))
        await until(lambda: come(site) > 500_000)
        path.write_bytes(SLOW[::-1])
        os.utime(path, (0, 0))  # the server tells whole seconds
    staged = await running
    assert staged.done, staged
    assert SLOW[::-1] == site.content("0")
    assert any("the file has changed during the transfer" in note for note in site.notes)


async def test_an_upload_that_is_cut_is_made_again(site: Site, slow: Ftpd) -> None:
    with slow.holding():
        running = asyncio.ensure_future(sent(site, slow, slow.url("/cut/x"), SLOW, maxtransfertries=10))
        await until(lambda: sum(path.stat().st_size for path in slow.files.glob("cut/.arex-*")) > 500_000)
        assert not (slow.files / "cut" / "x").exists()
        slow.server.kill()
    slow.server.start()
    staged = await running
    assert staged.done, staged
    assert SLOW == (slow.files / "cut" / "x").read_bytes()


async def test_a_full_disk_is_said_to_be_full_and_nothing_stays(site: Site, ftpd: Ftpd) -> None:
    staged = await sent(site, ftpd, ftpd.url("/full/x"), CONTENT[:1_000_000], maxtransfertries=2)
    assert "No space left on device" in staged.failure
    assert [] == ftpd.names("full")


async def test_a_slow_server_is_left(site: Site, slow: Ftpd) -> None:
    limits = SpeedControl(min_speed=10_000_000, min_time=50)
    staged = await fetched(site, slow, slow.url("/large"), maxtransfertries=1, speedcontrol=limits)
    assert "too slow: less than 10000000 bytes/s" in staged.failure


async def _silent(site: Site, ftpd: Ftpd, work: Awaitable[Staged], begun: Callable[[], object]) -> None:
    """Cancel a transfer that hangs in a call, which would return after ten minutes."""
    with ftpd.holding():
        running = asyncio.ensure_future(work)
        await until(begun)
        ftpd.stop()
    await asyncio.sleep(0.3)  # what is on its way comes
    async with asyncio.timeout(60):
        await site.engines[-1].cancel(JobId("job"))
    await asyncio.gather(running, return_exceptions=True)


async def test_a_cancelled_download_ends_at_once_and_nothing_comes_after_it(site: Site, slow: Ftpd) -> None:
    """The thread is in a call that does not return; when it does, the files of the job are as they were left."""
    await _silent(site, slow, fetched(site, slow, slow.url("/large")), lambda: come(site) > 500_000)
    left = come(site)
    slow.go_on()
    await threads_end()
    assert left == come(site) < len(SLOW)


async def test_a_thread_does_not_wait_for_a_silent_server(site: Site, slow: Ftpd) -> None:
    """Its connection is let go of as well."""
    await _silent(site, slow, fetched(site, slow, slow.url("/large")), lambda: come(site) > 500_000)
    await threads_end()


async def test_a_cancelled_upload_ends_at_once_and_its_half_goes(site: Site, slow: Ftpd) -> None:
    def half() -> list[Path]:
        return list(slow.files.glob("dropped/*"))

    work = sent(site, slow, slow.url("/dropped/x"), SLOW)
    await _silent(site, slow, work, lambda: any(path.stat().st_size > 500_000 for path in half()))
    slow.go_on()
    await threads_end()
    assert [] == half()


@pytest.mark.parametrize(
    ("mode", "text", "says"),
    [
        (0o644, "{}", "other users can read or change"),
        (0o620, "{}", "other users can read or change"),
        (0o604, "{}", "other users can read or change"),
        (0o600, "{secret", "invalid JSON"),
        (0o600, '["secret"]', "expected a JSON object"),
        (0o600, '{"ftp://elsewhere/": {"password": "secret"}}', "ftp://elsewhere/ is not a line of the option fsspec"),
        (0o600, '{"ftp": {"password": "secret"}}', "the parameters would be sent to any host"),
        (0o600, '{"file:///": {"password": "secret"}}', "expected a scheme"),
    ],
)
async def test_options_that_do_not_do_are_not_used(
    site: Site, ftpd: Ftpd, caplog: pytest.LogCaptureFixture, mode: int, text: str, says: str
) -> None:
    """The job's message names the administrator, the log has the reason, and neither has the content of the file."""
    options = site.root / "options"
    options.write_text(text)
    options.chmod(mode)
    lines = (storage_url("ftp"), storage_url(ftpd.url("/")))
    staged = await fetched(site, ftpd, ftpd.url("/x"), fsspec=lines, fsspec_options=options)
    assert "cannot use the file fsspec_options" in staged.failure
    assert says in caplog.text
    assert "secret" not in caplog.text + staged.failure


async def test_a_new_password_counts_at_once(site: Site, ftpd: Ftpd) -> None:
    (ftpd.files / "later").write_text("later")
    engine = site.engine(**granted(ftpd))
    ftpd.allow("another one")
    try:
        assert "530" in (await engine.stage_in(site.staging(FileEntry("/0", ftpd.url("/later"))))).failure
    finally:
        ftpd.allow(PASSWORD)
    assert (await engine.stage_in(site.staging(FileEntry("/0", ftpd.url("/later")), job="b"))).done
