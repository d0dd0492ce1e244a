"""End notices: files that job scripts leave, and the local ids that they mean."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arex.model.ids import LocalId
from lrms.command.end_notices import EndNotices
from lrms.jobscript.script import END_NOTICES


@pytest.fixture
async def notices(tmp_path: Path) -> AsyncIterator[tuple[EndNotices, asyncio.Queue[LocalId]]]:
    notices = EndNotices([tmp_path])
    await notices.start()
    ended: asyncio.Queue[LocalId] = asyncio.Queue()
    task = asyncio.create_task(notices.run(ended.put_nowait))
    yield notices, ended
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_notice_reports_the_local_id_of_its_tag(
    notices: tuple[EndNotices, asyncio.Queue[LocalId]], tmp_path: Path
) -> None:
    reader, ended = notices
    reader.note("job1-0a0b0c0d", LocalId("12"))
    (tmp_path / END_NOTICES / "job1-0a0b0c0d").touch()

    assert "12" == await asyncio.wait_for(ended.get(), 60)
    assert [] == list((tmp_path / END_NOTICES).iterdir())


async def test_a_notice_that_comes_before_its_local_id_is_not_lost(
    notices: tuple[EndNotices, asyncio.Queue[LocalId]], tmp_path: Path
) -> None:
    reader, ended = notices
    (tmp_path / END_NOTICES / "job1-0a0b0c0d").touch()
    while not reader._early:
        await asyncio.sleep(0.01)
    assert ended.empty()
    assert [] == list((tmp_path / END_NOTICES).iterdir())

    reader.note("job1-0a0b0c0d", LocalId("12"))

    assert "12" == ended.get_nowait()


async def test_a_directory_that_was_removed_is_made_again(
    notices: tuple[EndNotices, asyncio.Queue[LocalId]], tmp_path: Path
) -> None:
    reader, ended = notices
    (tmp_path / END_NOTICES).rmdir()
    while not (tmp_path / END_NOTICES).exists():
        await asyncio.sleep(0.05)
    reader.note("job1-0a0b0c0d", LocalId("12"))
    (tmp_path / END_NOTICES / "job1-0a0b0c0d").touch()

    assert "12" == await asyncio.wait_for(ended.get(), 60)
