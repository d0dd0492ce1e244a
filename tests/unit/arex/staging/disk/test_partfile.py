"""Journal, speed, progress and verdicts, each by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from arex.config.values import SpeedControl
from arex.controldir import progress
from arex.controldir.progress import Progress, UnderWay
from arex.errors import CorruptFile
from arex.staging.disk import journal
from arex.staging.disk.cachemeta import CacheRecord
from arex.staging.disk.journal import Journal
from arex.staging.download import agree
from arex.staging.meter import Meter
from arex.staging.movers.base import ErrorKind, FileInfo, from_os
from arex.staging.movers.http.errors import refusal

FACTS = FileInfo(size=3, etag='"1"', modified=datetime(2026, 11, 20, tzinfo=UTC))


def test_a_journal_tells_after_a_crash_what_it_was_told(tmp_path: Path) -> None:
    work = tmp_path / "job.staging"
    book = Journal(work)
    book.add([journal.begun("/a", "http://h/a?secret", FACTS)], durable=True)
    book.add([journal.whole("/a", "u", 3, 99, durable=True), journal.sent("/b", "v")], durable=False)
    book.close()

    again = Journal(work)
    assert {"/a": (journal.url_digest("http://h/a?secret"), FACTS)} == again.begun
    assert (3, 99) == (again.whole["/a"].size, again.whole["/a"].mtime_ns)
    assert {("/b", journal.url_digest("v"))} == again.sent
    assert "secret" not in (work / "journal").read_text()
    assert (0o700, 0o600) == (work.stat().st_mode & 0o777, (work / "journal").stat().st_mode & 0o777)


def test_a_file_that_was_not_forced_to_disk_is_not_trusted_after_a_restart_of_the_machine(tmp_path: Path) -> None:
    book = Journal(tmp_path)
    book.add([journal.whole("/a", "u", 3, None, durable=False), journal.begun("/b", "u", FACTS)], durable=False)
    book.close()
    path = tmp_path / "journal"
    path.write_text(path.read_text().replace('"boot": "', '"boot": "another'))
    again = Journal(tmp_path)
    assert ({}, {}) == (again.whole, again.begun)


@pytest.mark.parametrize("rubbish", ["{", "[]", "null", "{}", '{"fact": "whole", "pfn": 1}', "\x00\xff"])
def test_lines_that_do_not_read_tell_nothing(tmp_path: Path, rubbish: str) -> None:
    book = Journal(tmp_path)
    book.add([journal.sent("/b", "v")], durable=False)
    book.close()
    with (tmp_path / "journal").open("a") as stream:
        stream.write(rubbish)

    again = Journal(tmp_path)
    again.add([journal.sent("/c", "w")], durable=False)
    again.close()
    assert 2 == len(Journal(tmp_path).sent)


def looked_at(limits: SpeedControl, *marks: tuple[float, int]) -> str:
    meter = Meter("/x", 0.0, lambda: None)
    for now, moved in marks:
        meter.moved = moved
        meter.look(now, limits)
    return meter.reason


@pytest.mark.parametrize(
    ("limits", "marks", "why"),
    [
        (SpeedControl(max_inactivity=10), [(5, 1), (14, 1)], ""),
        (SpeedControl(max_inactivity=10), [(5, 1), (15, 1)], "no data for 10 s"),
        (SpeedControl(max_inactivity=0), [(5, 1), (1500, 1)], ""),
        (SpeedControl(min_speed=10, min_time=10), [(5, 60), (10, 100)], ""),
        (SpeedControl(min_speed=10, min_time=10), [(5, 60), (10, 99)], "less than 10 bytes/s for 10 s"),
        (
            SpeedControl(min_speed=10, min_time=10),
            [(10, 1000), (15, 1000), (20, 1050)],
            "less than 10 bytes/s for 10 s",
        ),
        (SpeedControl(min_average=10, min_time=10), [(10, 1000), (20, 1050)], ""),
        (SpeedControl(min_average=60, min_time=10), [(10, 1000), (20, 1050)], "less than 60 bytes/s on average"),
    ],
)
def test_what_is_too_slow(limits: SpeedControl, marks: list[tuple[float, int]], why: str) -> None:
    assert why == looked_at(limits, *marks)


def test_progress_is_read_as_it_was_written(tmp_path: Path) -> None:
    told = Progress(
        out=False, files=3, files_done=1, moved=10, size=None, rate=5,
        under_way=(UnderWay(pfn="/a", moved=1, size=2),),
    )  # fmt: skip
    assert progress.read(tmp_path) is None
    progress.write(tmp_path, told)
    assert told == progress.read(tmp_path)
    (tmp_path / progress.NAME).write_text("[]")
    with pytest.raises(CorruptFile):
        progress.read(tmp_path)


@pytest.mark.parametrize(
    ("status", "lacking", "verdict"),
    [
        (404, "", ErrorKind.NOT_FOUND),
        (403, "", ErrorKind.PERMANENT),
        (403, "it expired", ErrorKind.CREDENTIAL),
        (401, "it expired", ErrorKind.CREDENTIAL),
        (404, "it expired", ErrorKind.NOT_FOUND),
        (429, "", ErrorKind.TEMPORARY),
        (500, "", ErrorKind.TEMPORARY),
        (501, "", ErrorKind.PERMANENT),
        (507, "", ErrorKind.NO_SPACE),
        (418, "", ErrorKind.PERMANENT),
    ],
)
def test_what_a_status_means(status: int, lacking: str, verdict: ErrorKind) -> None:
    assert verdict is refusal(status, "said", lacking, None).verdict


@pytest.mark.parametrize(
    ("number", "verdict"),
    [(28, ErrorKind.NO_SPACE), (2, ErrorKind.NOT_FOUND), (13, ErrorKind.PERMANENT), (5, ErrorKind.TEMPORARY)],
)
def test_what_an_error_of_the_file_system_means(number: int, verdict: ErrorKind) -> None:
    assert verdict is from_os(OSError(number, "x")).verdict


@pytest.mark.parametrize(
    ("record", "facts", "expected"),
    [
        ({"etag": '"1"'}, FileInfo(size=3, etag='"1"'), True),
        ({"etag": '"1"'}, FileInfo(size=3, etag='"2"'), False),
        ({}, FileInfo(size=4), False),
        ({}, FileInfo(size=3), True),
        ({}, FileInfo(), False),
        ({"modified": FACTS.modified}, FileInfo(size=3, modified=datetime(2026, 11, 21, tzinfo=UTC)), False),
        ({"modified": FACTS.modified}, FileInfo(size=3, modified=FACTS.modified), True),
    ],
)
def test_when_a_copy_is_of_what_the_source_has(record: dict[str, object], facts: FileInfo, expected: bool) -> None:
    checked = datetime(2026, 11, 20, tzinfo=UTC)
    assert expected == agree(CacheRecord(size=3, checked=checked, **record), facts)  # type: ignore[arg-type]
