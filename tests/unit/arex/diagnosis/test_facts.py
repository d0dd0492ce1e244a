from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.diagnosis import facts
from arex.diagnosis.facts import BatchFacts, Outage, WaitingFacts
from arex.model.ids import JobId
from arex.model.reason import Reason, ReasonKind

NOW = datetime(2026, 11, 20, 8, 49, tzinfo=UTC)
FULL = WaitingFacts(
    updated=NOW, pid=7,
    batch={
        "slurm": BatchFacts(
            down=Outage(why="no answer", since=NOW, next_try=NOW + timedelta(seconds=5)),
            paused={"short": Outage(why="the queue is closed", since=NOW)},
        )
    },
    slots=2, slots_used=1, limit="slots of fork", line={JobId("abc"): 1}, owner_limit=3, owner_line={JobId("def"): 2},
    most_jobs=10, outside=4,
    jobs={JobId("ghi"): Reason(ReasonKind.TRANSFER_RETRY, "no connection", NOW, NOW + timedelta(seconds=32), 3)},
)  # fmt: skip


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    facts.write(tmp_path, FULL)

    assert FULL == facts.read(tmp_path, NOW)


def test_only_the_time_may_differ_in_equal_facts(tmp_path: Path) -> None:
    facts.write(tmp_path, FULL)
    later = facts.read(tmp_path, NOW)
    assert later is not None

    assert FULL.same(later)
    assert not FULL.same(None)
    assert not FULL.same(WaitingFacts(updated=NOW, pid=7))


def test_facts_of_a_service_that_hangs_or_has_gone_do_not_count(tmp_path: Path) -> None:
    facts.write(tmp_path, FULL)

    assert facts.read(tmp_path, NOW + timedelta(minutes=4)) is None


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"{}", b'{"updated": 3}', b'{"updated": "2026-11-20T08:49:00Z"}', b"\xff"]
)
def test_a_spoiled_file_is_no_answer(tmp_path: Path, text: bytes) -> None:
    (tmp_path / facts.NAME).write_bytes(text)

    assert facts.read(tmp_path, NOW) is None


def test_without_a_file_there_are_no_facts(tmp_path: Path) -> None:
    assert facts.read(tmp_path, NOW) is None
