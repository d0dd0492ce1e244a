"""Buckets, with a service that checks who asks and what was signed."""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from arex.config.values import SpeedControl
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.model.url import Url
from arex.ports import Staged
from arex.staging.movers.base import MoverSettings, RemoteFile
from arex.staging.movers.s3.mover import S3Mover
from tests.staging.conftest import Site
from tests.staging.servers import Nginx, Odd, Request, head
from tests.staging.servers_relay import Relay, relay_to
from tests.staging.servers_s3 import BUCKET, S3

LARGE = bytes(range(256)) * 140_000  # in three parts


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    made = S3(tmp_path_factory.mktemp("s3"))
    yield made
    made.server.close()


@pytest.fixture(autouse=True)
def _no_keys_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
async def relay(s3: S3) -> AsyncIterator[Relay]:
    async with relay_to(s3.server.port) as made:
        yield made


async def fetched(site: Site, s3: S3, *urls: str, job: str = "job", by: Path | None = None, **more: object) -> Staged:
    entries = [FileEntry(f"/{number}", url, str(by or s3.reader)) for number, url in enumerate(urls)]
    return await site.engine(**more).stage_in(site.staging(*entries, job=job))


async def sent(site: Site, s3: S3, url: str, content: bytes, by: Path | None = None) -> Staged:
    staging = site.staging(FileEntry("/out", url, str(by or s3.writer)))
    (staging.session / "out").write_bytes(content)
    return await site.engine().stage_out(staging)


@pytest.mark.parametrize("content", [b"", b"small", LARGE])
async def test_a_file_goes_out_and_comes_in(site: Site, s3: S3, content: bytes) -> None:
    name = f"some/dir%20ectory/{len(content)}"
    staged = await sent(site, s3, s3.url(name), content)
    assert staged.done, staged
    assert content == s3.get(name.replace("%20", " "))
    assert (await fetched(site, s3, s3.url(name))).done
    assert content == site.content("0")


@pytest.mark.parametrize(
    "text",
    [
        "[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\nregion = us-east-1\n",
        '{{"AccessKeyId": "{access_key}", "SecretAccessKey": "{secret_key}"}}',
    ],
)
async def test_keys_in_any_usual_form_do(site: Site, s3: S3, tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").write_text(text.format(**s3.keys))
    s3.put("x", b"x")
    assert (await fetched(site, s3, s3.url("x"), by=tmp_path / "keys")).done


async def test_keys_of_the_account_do_for_a_job_without_some(
    site: Site, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put("x", b"x")
    (tmp_path / "token").write_text("just-a-token")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.keys["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.keys["secret_key"])
    assert (await fetched(site, s3, s3.url("x"), by=tmp_path / "token")).done


async def test_without_keys_a_bucket_that_is_not_public_is_refused(site: Site, s3: S3, tmp_path: Path) -> None:
    s3.put("x", b"x")
    staged = await fetched(site, s3, s3.url("x"), by=tmp_path / "missing")
    assert "Permission denied" in staged.failure


async def test_keys_that_are_refused_make_the_job_wait(site: Site, s3: S3, tmp_path: Path) -> None:
    s3.put("x", b"x")
    (tmp_path / "keys").write_text(s3.writer.read_text().replace(s3.keys["secret_key"], "wrong"))
    staged = await fetched(site, s3, s3.url("x"), by=tmp_path / "keys")
    assert "renew the keys of the job" in staged.waits
    assert s3.keys["access_key"] not in repr(site.notes) + staged.waits


async def test_who_may_only_read_can_not_write(site: Site, s3: S3) -> None:
    staged = await sent(site, s3, s3.url("forbidden"), b"x", by=s3.reader)
    assert "Permission denied: AccessDenied" in staged.failure


@pytest.mark.parametrize("name", ["nothing", "../x", ""])
async def test_what_is_not_there_fails_at_once(site: Site, s3: S3, name: str) -> None:
    staged = await fetched(site, s3, s3.url(name))
    assert "No such file or directory" in staged.failure or "the URL does not name an object" in staged.failure


async def test_a_bucket_that_is_not_there_is_named_so(site: Site, s3: S3) -> None:
    staged = await sent(site, s3, s3.url("x").replace(f"/{BUCKET}/", "/missing/"), b"x")
    assert "No such file or directory: NoSuchBucket" in staged.failure


@pytest.mark.parametrize("content", [b"small", LARGE])
async def test_a_checksum_in_the_url_holds(site: Site, s3: S3, content: bytes) -> None:
    s3.put("x", content)
    value = f"{zlib.adler32(content):08x}"
    wrong = await fetched(site, s3, s3.url("x", f";checksum=adler32:{value[::-1]}"))
    assert f"checksum adler32 is {value}" in wrong.failure
    assert [] == site.left_over()
    assert (await fetched(site, s3, s3.url("x", f";checksum=adler32:{value}"), job="b")).done


async def test_the_etag_of_a_server_is_its_md5(site: Site, s3: S3, relay: Relay) -> None:
    """A byte that changes on the way is found."""
    s3.put("x", b"a" * 300_000)
    relay.change = (b"a" * 100, b"a" * 99 + b"b")
    staged = await fetched(site, s3, s3.url("x", port=relay.port))
    assert "checksum md5 is" in staged.failure


async def test_a_server_that_is_killed_is_gone_on_with(site: Site, s3: S3, relay: Relay) -> None:
    """The bytes that came are not sent again."""
    s3.put("x", LARGE)

    def restart() -> None:
        s3.server.kill()
        s3.server.start()
        s3.begin()
        s3.put("x", LARGE)

    relay.limit, relay.at_limit = 20_000_000, restart
    entry = [FileEntry("/0", s3.url("x", port=relay.port), str(s3.writer))]
    staged = await site.engine(maxtransfertries=10).stage_in(site.staging(*entry))
    assert staged.done or "renew the keys" in staged.waits, staged
    if staged.waits:
        assert (await site.engine().stage_in(site.staging(*entry))).done
    assert LARGE == site.content("0")
    (cut,) = relay.marks
    assert 0 < site.resumed_at()
    assert relay.down - cut < len(LARGE) - site.resumed_at() + 1_000_000


async def test_what_changed_meanwhile_is_fetched_from_the_start(site: Site, s3: S3, relay: Relay) -> None:
    s3.put("x", LARGE)
    relay.limit, relay.at_limit = 20_000_000, lambda: s3.put("x", LARGE[::-1])
    assert (await fetched(site, s3, s3.url("x", port=relay.port))).done
    assert LARGE[::-1] == site.content("0")


async def test_an_upload_that_is_cut_leaves_nothing(site: Site, s3: S3, relay: Relay) -> None:
    """Neither an object nor parts of one."""
    relay.up_limit = 20_000_000
    url = s3.url("cut", port=relay.port)
    staging = site.staging(FileEntry("/out", url, str(s3.writer)))
    (staging.session / "out").write_bytes(LARGE)
    staged = await site.engine(maxtransfertries=1).stage_out(staging)
    assert not staged.done
    assert "Contents" not in s3.client.list_objects_v2(Bucket=BUCKET, Prefix="cut")
    assert "Uploads" not in s3.client.list_multipart_uploads(Bucket=BUCKET)

    assert (await site.engine().stage_out(staging)).done
    assert LARGE == s3.get("cut")


async def test_a_silent_server_is_left(site: Site, s3: S3, relay: Relay) -> None:
    s3.put("x", LARGE)
    relay.limit, relay.silent = 3_000_000, True
    limits = SpeedControl(max_inactivity=100, min_time=300)
    url = s3.url("x", port=relay.port)
    staged = await fetched(site, s3, url, maxtransfertries=1, speedcontrol=limits)
    assert "too slow: no data for 100 s" in staged.failure


async def test_a_cancelled_transfer_lets_go(site: Site, s3: S3, relay: Relay) -> None:
    s3.put("x", LARGE)
    relay.limit, relay.silent = 3_000_000, True
    engine = site.engine()
    staging = site.staging(FileEntry("/0", s3.url("x", port=relay.port), str(s3.reader)))
    running = asyncio.ensure_future(engine.stage_in(staging))
    while not relay.marks:
        await asyncio.sleep(0.01)
    await engine.cancel(JobId("job"))
    await asyncio.gather(running, return_exceptions=True)
    while relay.open:
        await asyncio.sleep(0.01)


async def test_parts_are_removed_before_a_cancelled_upload_ends(tmp_path: Path, odd: Odd) -> None:
    """Also if it is cancelled once more meanwhile, as when the service stops."""
    sending, removing, removed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def service(request: Request, writer: asyncio.StreamWriter) -> None:
        match request.method:
            case "POST":
                text = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
                writer.write(head("200 OK", len(text)) + text)
            case "PUT":
                sending.set()
                await removed.wait()
            case "DELETE":
                removing.set()
                await asyncio.sleep(0.05)
                removed.set()
                writer.write(head("204 No Content", 0))
            case other:
                raise AssertionError(other)

    for query in ("uploads=", "uploadId=1", "partNumber=1&uploadId=1", "partNumber=2&uploadId=1"):
        odd.answers[f"/bucket/key?{query}"] = service
    mover = S3Mover(MoverSettings(cert_dir=tmp_path))
    place = RemoteFile(Url("s3", f"127.0.0.1:{odd.port}", "/bucket/key"))
    running = asyncio.create_task(mover.send(place, Content(LARGE), overwrite=True))
    await sending.wait()
    running.cancel()
    await removing.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert removed.is_set()
    await mover.close()


class Content:
    """A source."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size = data, len(data)

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.data


async def test_a_target_that_exists_is_left_alone(site: Site, s3: S3) -> None:
    s3.put("old", b"old")
    staged = await sent(site, s3, s3.url("old"), b"new")
    assert f"Destination {s3.url('old')} already exists" == staged.failure
    assert b"old" == s3.get("old")
    assert (await sent(site, s3, s3.url("old", ";overwrite=yes"), b"new")).done
    assert b"new" == s3.get("old")


async def test_transfers_share_connections(site: Site, nginx: Nginx) -> None:
    """A bucket that anybody may read needs no keys, and to the web server it is a directory."""
    async with relay_to(nginx.port) as relay:
        url = f"s3://127.0.0.1:{relay.port}/files/small"
        staged = await site.fetched(*[url] * 20, maxdelivery=1)
        assert staged.done, staged
        assert 1 == relay.connections


async def test_a_service_with_tls_is_checked(site: Site, nginx: Nginx, tmp_path: Path) -> None:
    url = f"s3+https://127.0.0.1:{nginx.tls}/files/small"
    assert (await site.fetched(url)).done
    (tmp_path / "nobody").mkdir()
    site.config = replace(site.config, common=replace(site.config.common, x509_cert_dir=tmp_path / "nobody"))
    assert "the server's certificate is not trusted" in (await site.fetched(url, job="b")).failure


async def test_a_missing_package_is_named_with_its_cure(site: Site, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    monkeypatch.delitem(sys.modules, "arex.staging.movers.s3.mover", raising=False)
    monkeypatch.delitem(sys.modules, "arex.staging.movers.s3.keys", raising=False)
    assert "pip install 'arex[s3]'" in (await fetched(site, s3, s3.url("x"))).failure
