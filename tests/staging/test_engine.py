"""Many jobs, limits, the cache, crashes and cancellations, with real transfers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from arex.aio import cancel_and_wait
from arex.config.staging import CacheBlock
from arex.config.values import CacheDir, CopyUrl, SharePriority
from arex.controldir import progress
from arex.errors import StagingError
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.ports import Staging
from arex.staging.movers.registry import Movers
from tests.staging.conftest import Site
from tests.staging.servers import Nginx, Odd, Request, head, part_of

CHILD = """
import asyncio, os, signal, sys
from contextlib import suppress
from pathlib import Path
from arex.clock import SystemClock
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.ports import Staging
from arex.staging.engine import Engine
from tests.staging.conftest import configuration

root, urls = Path(sys.argv[1]), sys.argv[2:]

async def die(session: Path) -> None:
    large = False
    while not (large and (session / "0").exists() and (session / "1").exists()):
        await asyncio.sleep(0.01)
        with suppress(FileNotFoundError):
            large = any(path.stat().st_size > 100_000 for path in session.with_name("job.staging").glob("*.part"))
    os.kill(os.getpid(), signal.SIGKILL)

async def main() -> None:
    engine = Engine.from_config(configuration(root, root), SystemClock())
    files = tuple(FileEntry(f"/{number}", url) for number, url in enumerate(urls))
    session = root / "sessions" / "job"
    dying = asyncio.create_task(die(session))
    await engine.stage_in(Staging(job=JobId("job"), session=session, files=files))

asyncio.run(main())
"""


def with_cache(site: Site) -> None:
    site.config = replace(site.config, cache=CacheBlock(cachedir=(CacheDir(path=site.root / "cache"),)))


async def test_many_jobs_that_want_the_same_files_fetch_each_once(site: Site, nginx: Nginx) -> None:
    for number in range(20):
        (nginx.files / f"shared{number}").write_text(f"content {number}")
    with_cache(site)
    engine = site.engine()
    before = len(nginx.hits())
    files = [FileEntry(f"/{number}", nginx.http(f"/files/shared{number}")) for number in range(20)]

    stagings = [site.staging(*files[job % 16 : job % 16 + 4], job=f"job{job}") for job in range(500)]
    outcomes = await asyncio.gather(*(engine.stage_in(staging) for staging in stagings))

    assert all(staged.done for staged in outcomes), next(staged for staged in outcomes if not staged.done)
    assert all(4 == len(staged.moved) for staged in outcomes)
    gets = [hit.path for hit in nginx.hits(before) if hit.method == "GET"]
    assert len(set(gets)) == len(gets)
    assert 19 == len(gets)
    assert "content 3" == site.content("3", "job0").decode()
    assert (stagings[0].session / "3").is_symlink()
    await engine.release(JobId("job0"))
    assert not (site.root / "cache" / "joblinks" / "job0").exists()


async def test_what_the_cache_is_told(site: Site, nginx: Nginx) -> None:
    """no, copy, renew, exec, and names that the job may change."""
    with_cache(site)
    engine = site.engine()

    async def come(job: str, options: str, *, copied: bool = False) -> tuple[bool, bool, int]:
        before = len(nginx.hits())
        staging = site.staging(FileEntry("/0", nginx.http("/files/small", options)), job=job)
        staged = await engine.stage_in(replace(staging, copied=frozenset({"/0"} if copied else ())))
        assert staged.done, staged
        path = staging.session / "0"
        gets = sum(hit.method == "GET" for hit in nginx.hits(before))
        return path.is_symlink(), os.access(path.resolve(), os.X_OK) and path.stat().st_mode & 0o100 > 0, gets

    assert (False, False, 1) == await come("a", ";cache=no")
    assert (True, False, 1) == await come("b", "")
    assert (True, False, 0) == await come("c", ";cache=invariant")
    assert (True, False, 0) == await come("d", ";cache=check")
    assert (False, False, 0) == await come("e", ";cache=copy")
    assert (True, False, 1) == await come("f", ";cache=renew")
    assert (False, True, 1) == await come("g", ";exec=yes")
    assert (False, True, 0) == await come("h", ";exec=yes;cache=yes")
    assert (False, False, 0) == await come("i", "", copied=True)


async def test_a_cached_file_that_has_changed_is_fetched_anew(site: Site, nginx: Nginx) -> None:
    with_cache(site)
    (nginx.files / "changing").write_text("old")
    url = nginx.http("/files/changing", ";cache=check")
    assert (await site.fetched(url, job="a")).done
    (nginx.files / "changing").write_text("newer")
    assert (await site.fetched(url, job="b")).done
    assert b"old" == site.content("0", "a")
    assert b"newer" == site.content("0", "b")


async def test_a_half_in_the_cache_is_gone_on_with_by_the_next_who_wants_the_file(site: Site, odd: Odd) -> None:
    """Also by another engine, as after a restart, and for another job."""
    with_cache(site)
    content = bytes(range(256)) * 10_000
    asked = []

    async def dies(request: Request, writer: asyncio.StreamWriter) -> None:
        answer = part_of(content, request, ETag='"1"')
        asked.append(request.headers.get("range"))
        writer.write(answer if asked[1:] else answer[:1_500_000])
        await writer.drain()
        await asyncio.sleep(0.1)

    odd.answers["/x"] = dies
    assert "response is incomplete" in (await site.fetched(odd.url("/x"), maxtransfertries=1)).failure
    [half] = (site.root / "cache").glob("data/*/*.part")
    size = half.stat().st_size

    assert (await site.fetched(odd.url("/x"), job="next")).done
    assert content == site.content("0", "next")
    assert [None, f"bytes={size}-"] == asked
    assert {"", ".meta"} == {path.suffix for path in (site.root / "cache").glob("data/*/*")}


async def test_a_cache_that_can_not_be_used_is_gone_without(site: Site, nginx: Nginx) -> None:
    (site.root / "cache").write_text("no directory")
    with_cache(site)
    assert (await site.fetched(nginx.http("/files/small"))).done
    assert not (site.root / "sessions" / "job" / "0").is_symlink()
    assert any("cannot use the cache" in note for note in site.notes)


async def test_a_killed_engine_is_gone_on_with(site: Site, nginx: Nginx) -> None:
    """What came whole is not asked for again, and of what was on its way only the rest."""
    (nginx.files / "grown").write_bytes(os.urandom(7_000_000))
    urls = [nginx.http("/files/large"), nginx.http("/files/empty"), nginx.http("/steady/grown")]
    session = site.root / "sessions" / "job"
    session.mkdir(parents=True)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(site.root), *urls, cwd=Path(__file__).parents[2]
    )
    assert -signal.SIGKILL == await child.wait()  # by itself, in the middle
    here = _largest(site.root / "sessions" / "job.staging")
    (session / "2").write_text("half of something")
    before = len(nginx.hits())

    staged = await site.fetched(*urls)

    assert staged.done
    assert 3 == len(staged.moved)
    assert [] == site.left_over()
    assert (nginx.files / "grown").read_bytes() == site.content("2")
    [hit] = [hit for hit in nginx.hits(before) if hit.status != 200]  # the killed one may be there as well
    assert ("/steady/grown", f"bytes={here}-", 7_000_000 - here) == (hit.path, hit.range, hit.sent)


def _largest(directory: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # it has its final name now
        return max((path.stat().st_size for path in directory.glob("*.part")), default=0)
    return 0


async def test_a_torn_journal_is_read_as_far_as_it_goes(site: Site, nginx: Nginx) -> None:
    urls = [nginx.http("/files/small"), nginx.http("/files/large")]
    assert (await site.fetched(*urls)).done
    journal = site.root / "sessions" / "job.staging" / "journal"
    lines = [line for line in journal.read_text().splitlines() if json.loads(line)["pfn"] == "/1"]
    journal.write_text("\n".join(lines) + '\n{"fact": "whole", "pf')
    before = len(nginx.hits())

    assert (await site.fetched(*urls)).done
    assert (await site.fetched(*urls)).done
    assert ["/files/small"] == [hit.path for hit in nginx.hits(before)]


async def test_after_a_cancellation_nothing_happens_any_more(site: Site, nginx: Nginx) -> None:
    (nginx.files / "long").write_bytes(bytes(2_000_000))
    engine = site.engine()
    staging = site.staging(FileEntry("/0", nginx.http("/slow/long")), FileEntry("/1", nginx.http("/files/small")))
    task = asyncio.create_task(engine.stage_in(staging))
    while not _largest(staging.workdir) and not (staging.session / "1").exists():
        await asyncio.sleep(0.01)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await engine.cancel(staging.job)
    seen = _tree(site.root / "sessions")
    await asyncio.sleep(0.3)
    assert seen == _tree(site.root / "sessions")
    assert 0 == engine.figures()["transfers_under_way"] == engine.figures()["transfers_waiting"]


async def test_cancel_ends_a_staging_that_goes_on(site: Site, nginx: Nginx) -> None:
    (nginx.files / "long").write_bytes(bytes(2_000_000))
    engine = site.engine()
    staging = site.staging(FileEntry("/0", nginx.http("/slow/long")))
    task = asyncio.create_task(engine.stage_in(staging))
    while not engine.figures()["transfers_under_way"]:
        assert not task.done(), task.result()
        await asyncio.sleep(0.01)
    await engine.cancel(staging.job)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 0 == engine.figures()["staging_jobs"]


def _tree(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(root.rglob("*"))}


async def test_halves_of_two_replicas_are_not_put_together(site: Site, odd: Odd) -> None:
    """Both die in the middle, in turn: the half of one is not resumed from the other."""
    contents = {"/a": b"a" * 3_000_000, "/b": b"b" * 3_000_000}

    async def dies(request: Request, writer: asyncio.StreamWriter) -> None:
        answer = part_of(contents[request.path], request, ETag='"1"')
        whole = odd.count("GET", request.path) > 1
        writer.write(answer if whole else answer[:1_500_000])
        await writer.drain()
        await asyncio.sleep(0.1)

    odd.answers.update({"/a": dies, "/b": dies})
    assert (await site.fetched(f"{odd.url('/a')}|{odd.url('/b')}")).done
    assert contents["/a"] == site.content("0")
    assert ["/a", "/b", "/a"] == [request.path for request in odd.requests]


async def test_limits_hold_and_a_share_without_any_gets_one_more(site: Site, odd: Odd) -> None:
    most: dict[str, int] = {}
    now: dict[str, int] = {}

    async def counted(request: Request, writer: asyncio.StreamWriter) -> None:
        share = request.path.split("/")[1]
        now[share] = now.get(share, 0) + 1
        most[share] = max(most.get(share, 0), now[share])
        most["all"] = max(most.get("all", 0), sum(now.values()))
        while most["a"] < 4:  # as many as may
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)
        now[share] -= 1
        writer.write(head("200 OK", 1) + b"x")

    for share in ("a", "b"):
        odd.answers.update({f"/{share}/{number}": counted for number in range(30)})
    site.config = replace(site.config, service=replace(site.config.service, transfers_per_host=5))
    engine = site.engine(maxdelivery=4, maxemergency=1, sharepriority=(SharePriority(share="b", priority=10),))

    def stage(share: str) -> Staging:
        files = [FileEntry(f"/{number}", odd.url(f"/{share}/{number}")) for number in range(30)]
        return replace(site.staging(*files, job=share), share=share)

    first = asyncio.create_task(engine.stage_in(stage("a")))
    while not most:
        await asyncio.sleep(0.01)
    second = await engine.stage_in(stage("b"))
    assert second.done
    assert (await first).done
    assert 4 == most["a"]
    assert most["all"] <= 5
    assert most["b"] >= 1


async def test_one_server_gets_no_more_than_its_share(site: Site, odd: Odd, nginx: Nginx) -> None:
    now = most = 0

    async def counted(_: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        while most < 2:  # as many as may
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)
        now -= 1
        writer.write(head("200 OK", 1) + b"x")

    odd.answers.update({f"/{number}": counted for number in range(10)})
    site.config = replace(site.config, service=replace(site.config.service, transfers_per_host=2))
    urls = [odd.url(f"/{number}") for number in range(10)]
    assert (await site.fetched(*urls, nginx.http("/files/small"))).done
    assert 2 == most


async def test_a_server_that_does_not_answer_leaves_slots_for_others(site: Site, odd: Odd, nginx: Nginx) -> None:
    async def silent(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)
        writer.close()

    odd.answers.update({f"/{number}": silent for number in range(20)})
    (nginx.files / "good").write_bytes(b"x")
    engine = site.engine(maxdelivery=5)
    hanging = [FileEntry(f"/{number}", odd.url(f"/{number}")) for number in range(20)]
    first = asyncio.create_task(engine.stage_in(site.staging(*hanging, job="hanging")))
    await asyncio.sleep(0.1)

    good = await engine.stage_in(site.staging(FileEntry("/good", nginx.http("/files/good")), job="good"))
    await cancel_and_wait(first)

    assert good.done


async def test_one_input_that_will_not_come_stops_the_others(site: Site, nginx: Nginx) -> None:
    (nginx.files / "long").write_bytes(bytes(2_000_000))
    staged = await site.fetched(nginx.http("/slow/long"), nginx.http("/files/none"))
    assert "Not Found" in staged.failure
    assert [] == site.left_over()


async def test_one_output_that_fails_keeps_no_other_back(site: Site, nginx: Nginx) -> None:
    good, bad = FileEntry("/a", nginx.http("/dav/saved")), FileEntry("/b", nginx.http("/locked/b"))
    staging = site.staging(bad, good)
    for name in ("a", "b"):
        (staging.session / name).write_text("x")
    staged = await site.engine().stage_out(staging)
    assert "Forbidden" in staged.failure
    assert (good,) == staged.moved


async def test_an_upload_that_a_crash_cut_off_is_done_again(site: Site, nginx: Nginx) -> None:
    """What lies at the target is ours, and not in the way."""
    staging = site.staging(FileEntry("/out", nginx.http("/dav/cut")))
    (staging.session / "out").write_text("whole")
    assert (await site.engine().stage_out(staging)).done
    journal = staging.workdir / "journal"
    begun = [line for line in journal.read_text().splitlines() if json.loads(line)["fact"] == "sending"]
    journal.write_text("\n".join(begun) + "\n")
    (nginx.dav / "cut").write_text("wh")

    assert (await site.engine().stage_out(staging)).done
    assert "whole" == (nginx.dav / "cut").read_text()


async def test_an_upload_that_a_killed_a_rex_had_begun_overwrites_its_target_once(site: Site, nginx: Nginx) -> None:
    """Known from the list of transfers that A-REX 6.17 leaves, and from nothing else."""
    target = nginx.http("/dav/half")
    (nginx.dav / "half").write_text("wh")
    (site.root / "dtr.state").write_text(
        f"c831d81b-8629-46bd-ad08-0c6c442b7385 TRANSFERRING 25 _default-upload {target} \n"
        "b8a3d0f4-cae6-4c5f-b7b8-da1e4f593ed1 QUERY_REPLICA 25 _default-upload\n"
    )
    engine = site.engine()
    first = site.staging(FileEntry("/out", target))
    (first.session / "out").write_text("whole")
    second = site.staging(FileEntry("/out", target), job="other")
    (second.session / "out").write_text("other")

    assert (await engine.stage_out(first)).done
    staged = await engine.stage_out(second)

    assert f"Destination {target} already exists" == staged.failure
    assert "whole" == (nginx.dav / "half").read_text()


async def test_copyurl_and_linkurl_and_preferences(site: Site, nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "small").write_text("from near")
    near = CopyUrl(url="http://far.example.org/", replacement=f"file:{tmp_path}/near/")
    assert (await site.fetched("http://far.example.org/small", copyurl=(near,))).done
    assert b"from near" == site.content("0")

    link = CopyUrl(url="http://far.example.org/", replacement=f"{tmp_path}/near/")
    assert (await site.fetched("http://far.example.org/small", job="b", linkurl=(link,))).done
    assert f"{tmp_path}/near/small" == os.readlink(site.root / "sessions" / "b" / "0")

    replicas = f"http://localhost:{nginx.port}/files/none|http://127.0.0.1:{nginx.port}/files/small"
    assert (await site.fetched(replicas, job="c", preferredpattern="example|127.0.0.1$")).done
    assert not [note for note in site.notes if "continuing with" in note]


async def test_a_further_source_of_the_description_is_asked_when_the_first_has_not_got_it(
    site: Site, nginx: Nginx
) -> None:
    staging = site.staging(FileEntry("/0", nginx.http("/files/none")))
    more = (nginx.http("/denied"), nginx.http("/files/small"))

    staged = await site.engine().stage_in(replace(staging, replicas={"/0": more}))

    assert staged.done
    assert [note for note in site.notes if "continuing with" in note]


async def test_progress_and_the_list_of_transfers_are_there_for_a_long_staging(site: Site, nginx: Nginx) -> None:
    (nginx.files / "long").write_bytes(bytes(2_000_000))
    engine = site.engine()
    staging = site.staging(FileEntry("/0", nginx.http("/slow/long")))
    running = asyncio.create_task(engine.run())
    task = asyncio.create_task(engine.stage_in(staging))
    told = None
    listed = ""
    while told is None or not listed:
        await asyncio.sleep(0.01)
        told = progress.read(staging.workdir) or told
        state = site.root / "dtr.state"
        listed = (state.read_text() if state.exists() else "") or listed
    task.cancel()
    running.cancel()
    await asyncio.gather(task, running, return_exceptions=True)

    assert (1, 0, "/0") == (told.files, told.files_done, told.under_way[0].pfn)
    name, state_word, priority, share, destination = listed.split()
    assert ("TRANSFERRING", "50", "_default-download") == (state_word, priority, share)
    assert 36 == len(name)
    assert f"file:{staging.session}/0" == destination


async def test_lists_that_can_not_be_meant_are_refused(site: Site, nginx: Nginx) -> None:
    url = nginx.http("/files/small")
    engine = site.engine()
    twice = site.staging(FileEntry("/a", url), FileEntry("/a", f"{url}2"))
    assert "Duplicate file in list of input files: /a" == (await engine.stage_in(twice)).failure
    same = site.staging(FileEntry("/a", url), FileEntry("/b", url))
    assert "Duplicate file in list of output destinations" in (await engine.stage_out(same)).failure
    strange = site.staging(FileEntry("/a", "gsiftp://h:2811/p"))
    assert "gsiftp://h:2811/p: no transfer method for gsiftp: is installed" == (await engine.stage_in(strange)).failure


async def test_a_mover_that_does_not_load_says_so() -> None:
    movers = Movers(means=None, table={"x": "arex.nowhere:Mover"})  # type: ignore[arg-type]
    with pytest.raises(StagingError, match="the transfer method for x: cannot be loaded"):
        await movers.of("x")
