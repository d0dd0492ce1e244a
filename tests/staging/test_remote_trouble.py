"""The commands for files at URLs, with servers that fail or lie, and users who interrupt."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arex.staging.movers.base import MoverSettings, TransferError
from arex.staging.remote.access import RemoteAccess, RemoteError
from arex.staging.remote.base import EntryKind, below
from arex.staging.remote.copying import Copier
from arex.staging.remote.dav import parse
from arex.staging.url import parse_one
from tests import environments
from tests.staging.conftest import HastyClock
from tests.staging.servers import Nginx, Odd, Request, head, offset_of, part_of

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
async def access(tmp_path: Path) -> AsyncIterator[RemoteAccess]:
    """Two tries more, without long pauses."""
    clock = HastyClock()
    made = RemoteAccess(settings=MoverSettings(cert_dir=tmp_path, clock=clock), timeout_s=30, retries=2, clock=clock)
    async with made:
        yield made


async def copied(access: RemoteAccess, url: str, target: Path) -> int:
    done = await Copier(access=access).copy(parse_one(url), parse_one(f"file://{target}"))
    return done.size


async def test_a_cut_transfer_goes_on_where_it_was(odd: Odd, access: RemoteAccess, tmp_path: Path) -> None:
    offsets: list[int] = []

    async def cut(request: Request, writer: asyncio.StreamWriter) -> None:
        offsets.append(offset_of(request))
        answer = part_of(CONTENT, request, ETag='"1"')
        writer.write(answer if len(offsets) > 1 else answer[: len(answer) // 2])
        await writer.drain()
        while len(offsets) == 1 and not any(os.stat(path).st_size for path in tmp_path.glob(".arex-*.part")):
            await asyncio.sleep(0)  # an end that comes with the data would hide it

    odd.answers["/x"] = cut

    assert len(CONTENT) == await copied(access, odd.url("/x"), tmp_path / "got")
    assert CONTENT == (tmp_path / "got").read_bytes()
    assert [0] == offsets[:1]
    assert offsets[1] > 0


@pytest.mark.parametrize("algorithm", ["adler32=12345678", "md5=1B2M2Y8AsgTpgAmY7PhCfg=="])
async def test_content_that_is_not_what_the_server_says_is_not_kept(
    odd: Odd, access: RemoteAccess, tmp_path: Path, algorithm: str
) -> None:
    async def wrong(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", len(CONTENT), Digest=algorithm) + CONTENT)
        await writer.drain()

    odd.answers["/x"] = wrong

    with pytest.raises(RemoteError, match="checksum mismatch"):
        await copied(access, odd.url("/x"), tmp_path / "got")
    assert [] == list(tmp_path.iterdir())


async def test_a_silent_server_is_left_after_the_time_limit(odd: Odd, tmp_path: Path) -> None:
    async def silent(_: Request, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    odd.answers["/x"] = silent
    async with RemoteAccess(settings=MoverSettings(cert_dir=tmp_path), timeout_s=0.2) as access:
        with pytest.raises(RemoteError, match=r"no data within 0\.2 seconds \(raise --timeout\)"):
            await copied(access, odd.url("/x"), tmp_path / "got")
    assert [] == list(tmp_path.iterdir())


def test_an_interrupted_copy_leaves_nothing(nginx: Nginx, tmp_path: Path) -> None:
    code = "import sys; from arex.cli.entry import call; sys.exit(call('arccp', sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, nginx.http("/slow/large"), "got"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(environments.ROOT), "HOME": str(tmp_path)},
    )
    while not any(path.stat().st_size for path in tmp_path.glob(".arex-*.part")):
        assert process.poll() is None

    process.send_signal(signal.SIGINT)

    assert 130 == process.wait(60)
    assert [] == list(tmp_path.iterdir())


# --- what servers list --------------------------------------------------------------------------------------------


def listed(*hrefs: str) -> bytes:
    responses = "".join(
        f"<response><href>{href}</href><propstat><prop><resourcetype/><getcontentlength>1</getcontentlength></prop>"
        "<status>HTTP/1.1 200 OK</status></propstat></response>"
        for href in hrefs
    )
    kind = "<resourcetype><collection/></resourcetype>"
    itself = f"<response><href>/d/</href><propstat><prop>{kind}</prop></propstat></response>"
    return f'<multistatus xmlns="DAV:">{itself}{responses}</multistatus>'.encode()


def test_only_what_is_in_the_directory_is_listed() -> None:
    itself, *inside = parse(listed("/d/a%20b", "http://host/d/c", "/d/deep/x", "/other", "/d/../e"))

    assert EntryKind.DIRECTORY is itself.kind
    assert ["a b", "c"] == sorted(entry.name for entry in inside)


@pytest.mark.parametrize("data", [b"", b"no xml", b'<multistatus xmlns="DAV:"/>'])
def test_a_list_that_cannot_be_parsed_is_an_error(data: bytes) -> None:
    with pytest.raises(TransferError, match="the list of the directory"):
        parse(data)


def test_a_list_reads_no_files_of_this_host(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    entity = f'<!DOCTYPE m [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>'

    found = parse(entity.encode() + listed("/d/&x;a"))

    assert not any("secret" in entry.name for entry in found)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\0b"])
def test_a_name_that_leads_out_of_the_directory_is_refused(name: str) -> None:
    with pytest.raises(TransferError, match="the server lists an invalid name"):
        below(parse_one("sftp://host/d/"), name)


def test_a_name_is_encoded_as_its_scheme_wants_it() -> None:
    assert "/d/a%20%25%3Fb" == below(parse_one("dav://host/d/"), "a %?b").path
    assert "/d/a %b/" == below(parse_one("root://host//d/"), "a %b", directory=True).path.replace("//", "/")
