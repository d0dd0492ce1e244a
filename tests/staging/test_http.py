"""HTTP and WebDAV against real servers, and against servers that fail in the ways that servers do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from arex.config.values import SpeedControl
from arex.model.files import FileEntry
from tests.staging.conftest import Site
from tests.staging.servers import TOKEN, Authority, Nginx, Odd, Request, head, offset_of, part_of

CONTENT = bytes(range(256)) * 30_000


async def send(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)
    await writer.drain()


async def send_half(writer: asyncio.StreamWriter, answer: bytes) -> None:
    """And die, but not before the other side has read it."""
    await send(writer, answer[: len(answer) // 2])
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("scheme", ["http", "dav"])
@pytest.mark.parametrize("name", ["small", "empty", "large"])
async def test_a_file_comes_in(site: Site, nginx: Nginx, scheme: str, name: str) -> None:
    staged = await site.fetched(nginx.http(f"/files/{name}").replace("http", scheme, 1))

    assert staged.done, staged
    assert (nginx.files / name).read_bytes() == site.content("0")
    assert [] == site.left_over()


@pytest.mark.parametrize("scheme", ["https", "davs"])
async def test_a_server_with_tls_is_checked_against_the_authorities(site: Site, nginx: Nginx, scheme: str) -> None:
    url = nginx.https("/files/large").replace("https", scheme, 1)
    assert (await site.fetched(url)).done

    site.config = replace(site.config, common=replace(site.config.common, x509_cert_dir=Path("/nonexistent")))
    refused = await site.fetched(url.replace("large", "small"))
    assert not refused.done
    assert "not trusted" in refused.failure
    assert "x509_cert_dir" in refused.failure


async def test_ranges_are_used_where_the_site_wants_them(site: Site, nginx: Nginx) -> None:
    for name in ("large", "empty", "small"):
        assert (await site.fetched(nginx.http(f"/files/{name}"), job=name, httpgetpartial=True)).done
        assert (nginx.files / name).read_bytes() == site.content("0", name)
    assert "bytes=0-33554431" in {hit.range for hit in nginx.hits()}


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects_to_another_server_are_followed(site: Site, nginx: Nginx, code: int) -> None:
    assert (await site.fetched(nginx.http(f"/{code}/files/small"))).done
    assert b"small content" == site.content("0")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/loop", "more than 10 redirects"),
        ("/odd", "the server redirects to gopher:, which arex does not follow"),
        ("/hostless", "the server redirects to a URL without a host"),
    ],
)
async def test_redirects_have_an_end(site: Site, nginx: Nginx, path: str, why: str) -> None:
    assert why in (await site.fetched(nginx.http(path))).failure


async def test_a_secure_transfer_is_not_led_to_an_open_one(site: Site, nginx: Nginx) -> None:
    assert "from https: to http:" in (await site.fetched(nginx.https("/down/x"))).failure


async def test_a_token_goes_to_its_server_and_to_no_other(site: Site, nginx: Nginx, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    before = len(nginx.hits())
    entries = [
        FileEntry("/mine", nginx.https("/token/small"), str(token)),
        FileEntry("/away", nginx.https("/away/x"), str(token)),
        FileEntry("/open", nginx.http("/files/small"), str(token)),
    ]

    assert (await site.engine().stage_in(site.staging(*entries))).done

    seen = {hit.path: hit.authorization for hit in nginx.hits(before)}
    bearer = f"Bearer {TOKEN}"
    assert {"/token/small": bearer, "/away/x": bearer, "/files/small": "-"} == seen


async def test_a_certificate_opens_the_door(site: Site, nginx: Nginx, authority: Authority) -> None:
    entry = FileEntry("/0", nginx.https("/cert/small"), str(authority.user))
    assert (await site.engine().stage_in(site.staging(entry))).done


async def test_a_missing_credential_is_waited_for(
    site: Site, nginx: Nginx, tmp_path: Path, authority: Authority
) -> None:
    """The job is held, the server is not asked again and again, and a new file is noticed."""
    site.clock.pace = 1
    engine = site.engine()
    staging = site.staging(FileEntry("/0", nginx.https("/cert/small"), str(tmp_path / "proxy")))
    before = len(nginx.hits())

    first = await engine.stage_in(staging)
    again = await engine.stage_in(staging)
    assert not first.done
    assert "" == first.failure
    assert "cannot read the credential: No such file or directory; renew it" in first.waits
    assert first == again
    assert 1 == len(nginx.hits(before))

    (tmp_path / "proxy").write_bytes(authority.user.read_bytes())
    await asyncio.sleep(0.3)  # more than the time for which a credential file that is of no use is remembered
    assert (await engine.stage_in(staging)).done


async def test_a_replica_that_a_credential_would_open_is_waited_for(site: Site, nginx: Nginx, tmp_path: Path) -> None:
    """Even if another one, which was tried after it, is missing for good."""
    replicas = f"{nginx.https('/cert/small')}|{nginx.http('/files/none')}"
    entry = FileEntry("/0", replicas, str(tmp_path / "proxy"))
    assert "renew it" in (await site.engine().stage_in(site.staging(entry))).waits


async def test_an_expired_token_is_waited_for(site: Site, nginx: Nginx, tmp_path: Path) -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 1_700_000_000}).encode()).decode().rstrip("=")
    (tmp_path / "token").write_text(f"e30.{claims}.sig")
    entry = FileEntry("/0", nginx.https("/token/small"), str(tmp_path / "token"))

    staged = await site.engine().stage_in(site.staging(entry))

    assert "the credential expired at 2023-11-14 22:13:20 UTC; renew it" in staged.waits
    assert claims not in staged.waits


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/files/none", "Failed to obtain information about file: No such file or directory: Not Found"),
        ("/files/none", "Failed checking source replica {}: "),
        ("/denied", "Permission denied: Forbidden (ask the server's administrators for access)"),
        ("/who", "Permission denied: Unauthorized"),
    ],
)  # fmt: skip
async def test_a_clear_no_is_believed_at_once(site: Site, nginx: Nginx, path: str, why: str) -> None:
    url = nginx.http(path)
    before = len(nginx.hits())
    staged = await site.fetched(f"{url}?signature=secret")

    assert why.format(f"{url}?...") in staged.failure
    assert "secret" not in staged.failure
    assert 1 == len(nginx.hits(before))


@pytest.mark.parametrize("path", ["/broken", "/busy"])
async def test_what_may_pass_is_tried_again(site: Site, nginx: Nginx, path: str) -> None:
    before = len(nginx.hits())
    staged = await site.fetched(nginx.http(path))

    assert "Resource temporarily unavailable" in staged.failure
    assert 3 == len(nginx.hits(before))
    pauses = [pause for pause in site.clock.slept if pause != 1.0]
    assert 2 == len(pauses)
    assert all(pause >= (7 if path == "/busy" else 1) for pause in pauses)
    assert any("try 2 of 3" in note for note in site.notes)


async def test_a_server_that_does_not_answer_is_retried(site: Site) -> None:
    staged = await site.fetched("http://127.0.0.1:9/x")
    assert "no connection" in staged.failure
    assert 2 == sum("try" in note for note in site.notes)


async def test_another_replica_takes_over_at_once(site: Site, nginx: Nginx) -> None:
    staged = await site.fetched(f"{nginx.http('/files/none')}|{nginx.http('/denied')}|{nginx.http('/files/small')}")
    assert staged.done
    assert not [pause for pause in site.clock.slept if pause != 1.0]
    assert 2 == sum("continuing with" in note for note in site.notes)


async def test_a_transfer_that_dies_is_gone_on_with(site: Site, odd: Odd) -> None:
    """The bytes that came are not asked for again."""
    served = []

    async def dies(request: Request, writer: asyncio.StreamWriter) -> None:
        served.append((offset_of(request), request.headers.get("if-range")))
        await (send if served[1:] else send_half)(writer, part_of(CONTENT, request, ETag='"1"'))

    odd.answers["/x"] = dies
    assert (await site.fetched(odd.url("/x"))).done
    assert CONTENT == site.content("0")
    (first, _), (second, condition) = served
    assert 0 == first
    assert 0 < second < len(CONTENT)
    assert '"1"' == condition
    assert any(f"resumed at byte {second}" in note for note in site.notes)


async def test_what_changed_meanwhile_is_fetched_from_the_start(site: Site, odd: Odd) -> None:
    """Also if the server does not look at our condition."""
    news = CONTENT[::-1]

    async def changes(request: Request, writer: asyncio.StreamWriter) -> None:
        if len(odd.requests) == 1:
            await send_half(writer, part_of(CONTENT, request, ETag='"1"'))
        else:
            await send(writer, part_of(news, request, ETag='"2"'))

    odd.answers["/x"] = changes
    assert (await site.fetched(odd.url("/x"))).done
    assert "range" in odd.requests[1].headers
    assert news == site.content("0")


async def test_a_server_without_ranges_sends_all_again(site: Site, odd: Odd) -> None:
    async def whole(_: Request, writer: asyncio.StreamWriter) -> None:
        answer = head("200 OK", len(CONTENT), ETag='"1"') + CONTENT
        await (send if odd.requests[1:] else send_half)(writer, answer)

    odd.answers["/x"] = whole
    assert (await site.fetched(odd.url("/x"))).done
    assert CONTENT == site.content("0")
    assert "range" in odd.requests[1].headers


@pytest.mark.parametrize("size", [1000, 1_000_000])
async def test_an_answer_that_ends_too_early_is_not_a_file(site: Site, odd: Odd, size: int) -> None:
    async def short(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", size) + b"x" * (size - 1))

    odd.answers["/x"] = short
    staged = await site.fetched(odd.url("/x"))
    assert "the response is incomplete" in staged.failure
    assert not (site.root / "sessions" / "job" / "0").exists()
    assert [] == site.left_over()


@pytest.mark.parametrize("size", [1000, 1_000_000])
@pytest.mark.parametrize("kind", ["Digest", "Repr-Digest", "Content-MD5", "OC-Checksum"])
async def test_a_wrong_checksum_is_not_believed_twice(site: Site, odd: Odd, kind: str, size: int) -> None:
    value = {
        "Digest": "adler32=00000001",
        "Repr-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(b'').digest()).decode()}:",
        "Content-MD5": base64.b64encode(hashlib.md5(b"").digest()).decode(),
        "OC-Checksum": "ADLER32:1",
    }[kind]

    async def wrong(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", size, **{kind: value}) + b"x" * size)

    odd.answers["/x"] = wrong
    staged = await site.fetched(odd.url("/x"))
    assert "checksum" in staged.failure
    assert 2 == len(odd.requests)
    assert [] == site.left_over()
    assert not (site.root / "sessions" / "job" / "0").exists()


@pytest.mark.parametrize("kind", ["adler32", "md5", "sha1", "sha256"])
@pytest.mark.parametrize("name", ["small", "large"])
async def test_a_checksum_in_the_url_holds(site: Site, nginx: Nginx, kind: str, name: str) -> None:
    content = (nginx.files / name).read_bytes()
    value = f"{zlib.adler32(content):x}" if kind == "adler32" else hashlib.new(kind, content).hexdigest()
    right = nginx.http(f"/files/{name}", f";checksum={kind}:{value}")
    wrong = nginx.http(f"/files/{name}", f";checksum={kind}:{value[::-1]}")

    assert (await site.fetched(right)).done
    assert f"checksum {kind} is " in (await site.fetched(wrong, job="other")).failure


async def test_a_size_in_the_url_holds(site: Site, nginx: Nginx) -> None:
    assert (await site.fetched(nginx.http("/files/small", ";size=13"))).done
    assert "14 are announced" in (await site.fetched(nginx.http("/files/small", ";size=14"), job="b")).failure


async def test_a_resumed_file_is_checked_as_a_whole(site: Site, odd: Odd) -> None:
    async def dies(request: Request, writer: asyncio.StreamWriter) -> None:
        answer = part_of(CONTENT, request, ETag='"1"', Digest=f"adler32={zlib.adler32(CONTENT):08x}")
        await (send if odd.requests[1:] else send_half)(writer, answer)

    odd.answers["/x"] = dies
    assert (await site.fetched(odd.url("/x"))).done
    assert CONTENT == site.content("0")


async def test_a_silent_server_is_left(site: Site, odd: Odd) -> None:
    async def stalls(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", 1_000_000) + b"x" * 1000)
        await writer.drain()
        await asyncio.sleep(60)

    odd.answers["/x"] = stalls
    staged = await site.fetched(
        odd.url("/x"), maxtransfertries=2, speedcontrol=SpeedControl(max_inactivity=20, min_time=300)
    )
    assert "too slow: no data for 20 s" in staged.failure


async def test_a_slow_server_is_left(site: Site, nginx: Nginx) -> None:
    """A clock that runs a hundred times as fast makes it slower still."""
    staged = await site.fetched(
        nginx.http("/slow/large"), maxtransfertries=1, speedcontrol=SpeedControl(min_speed=10_000, min_time=20)
    )
    assert "too slow: less than 10000 bytes/s for 20 s" in staged.failure


@pytest.mark.parametrize("scheme", ["http", "dav", "https", "davs"])
@pytest.mark.parametrize("size", [0, 10, 3_000_000])
async def test_a_file_goes_out_and_collections_are_made(site: Site, nginx: Nginx, scheme: str, size: int) -> None:
    base = nginx.https if scheme.endswith("s") else nginx.http
    path = f"/dav/{scheme}/{size}/deep/x"
    staging = site.staging(
        FileEntry("/out", base(path).replace("https" if scheme.endswith("s") else "http", scheme, 1))
    )
    (staging.session / "out").write_bytes(b"x" * size)
    engine = site.engine()

    staged = await engine.stage_out(staging)
    assert staged.done, staged
    assert b"x" * size == (nginx.dav.parent / path[1:]).read_bytes()

    before = len(nginx.hits())
    assert (await engine.stage_out(staging)).done
    assert before == len(nginx.hits()), "what was sent is not sent again"


async def test_a_target_that_exists_is_left_alone(site: Site, nginx: Nginx) -> None:
    (nginx.dav / "old").write_text("old")
    staging = site.staging(FileEntry("/out", nginx.http("/dav/old")))
    (staging.session / "out").write_text("new")
    engine = site.engine()

    staged = await engine.stage_out(staging)
    assert f"Destination {nginx.http('/dav/old')} already exists" == staged.failure
    assert "old" == (nginx.dav / "old").read_text()

    wanted = replace(staging, files=(FileEntry("/out", nginx.http("/dav/old", ";overwrite=yes")),))
    assert (await engine.stage_out(wanted)).done
    assert "new" == (nginx.dav / "old").read_text()


async def test_a_target_that_is_a_collection_gets_the_name(site: Site, nginx: Nginx) -> None:
    staging = site.staging(FileEntry("/a/b c", nginx.http("/dav/collection/")))
    (staging.session / "a").mkdir()
    (staging.session / "a" / "b c").write_text("x")
    assert (await site.engine().stage_out(staging)).done
    assert "x" == (nginx.dav / "collection" / "b c").read_text()


async def test_a_refused_upload_says_so_in_the_words_of_arc(site: Site, nginx: Nginx) -> None:
    staging = site.staging(FileEntry("/out", nginx.http("/locked/x")))
    (staging.session / "out").write_text("new")
    staged = await site.engine().stage_out(staging)
    url = nginx.http("/locked/x")
    said = "Failed while writing to destination: Permission denied: Forbidden"
    assert staged.failure.startswith(f"Failed writing to destination: {url} : {said}")


@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_an_upload_follows_a_redirect_with_its_content(site: Site, nginx: Nginx, size: int) -> None:
    staging = site.staging(FileEntry("/out", nginx.http(f"/307/dav/led{size}")))
    (staging.session / "out").write_bytes(b"x" * size)
    assert (await site.engine().stage_out(staging)).done
    assert size == (nginx.dav / f"led{size}").stat().st_size


async def test_a_server_that_never_says_go_on_gets_the_body_anyway(site: Site, odd: Odd) -> None:
    async def takes(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "HEAD":
            writer.write(head("404 Not Found", 0))
        elif "expect" in request.headers:
            await asyncio.sleep(60)
        else:
            writer.write(head("201 Created", 0))

    odd.answers["/x"] = takes
    staging = site.staging(FileEntry("/out", odd.url("/x")))
    (staging.session / "out").write_bytes(b"x" * 1_100_000)
    assert (await site.engine().stage_out(staging)).done
    assert 2 == odd.count("PUT", "/x")


async def test_a_server_without_head_is_asked_for_a_byte(site: Site, odd: Odd) -> None:
    async def headless(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head("405 No", 0) if request.method == "HEAD" else head("206 Partial", 1) + b"x")

    odd.answers["/x"] = headless
    staging = site.staging(FileEntry("/out", odd.url("/x")))
    (staging.session / "out").write_bytes(b"x")
    assert "already exists" in (await site.engine().stage_out(staging)).failure


async def test_a_proxy_is_used_for_http_only(site: Site, odd: Odd, nginx: Nginx) -> None:
    async def relay(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", 1) + b"x")

    odd.answers["http://far.example.org/x"] = relay
    site.config = replace(site.config, common=replace(site.config.common, http_proxy=odd.url("")))
    assert (await site.fetched("http://far.example.org/x", nginx.https("/files/small"))).done
    assert [("GET", "http://far.example.org/x")] == [(each.method, each.path) for each in odd.requests]
