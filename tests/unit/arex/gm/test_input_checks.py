"""Checksums of uploaded inputs, in parts."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from arex.controldir.cksum import Cksum
from arex.gm.input_checks import InputChecks
from arex.model.ids import JobId
from tests.fakes.clock import FakeClock

JOB = JobId("one")


class RushingClock(FakeClock):
    """Each look at it takes longer than a part may take."""

    def monotonic(self) -> float:
        self._elapsed += 1.0
        return self._elapsed


@pytest.fixture
def session(tmp_path: Path) -> Path:
    (tmp_path / "data").write_bytes(b"x" * 3_500_000)
    return tmp_path


def number_of(data: bytes) -> int:
    crc = Cksum()
    crc.update(data)
    return crc.number()


def test_a_large_file_takes_several_calls(session: Path) -> None:
    checks = InputChecks(RushingClock())

    answers = [checks.cksum(JOB, session, "/data") for _ in range(20)]

    assert None is answers[0]
    assert number_of(b"x" * 3_500_000) == answers[-1]


def test_a_file_that_changes_meanwhile_is_read_from_its_beginning(session: Path) -> None:
    checks = InputChecks(RushingClock())
    checks.cksum(JOB, session, "/data")
    checks.cksum(JOB, session, "/data")
    (session / "data").write_bytes(b"y" * 3_500_000)
    os.utime(session / "data", (1, 1))

    assert number_of(b"y" * 3_500_000) == [checks.cksum(JOB, session, "/data") for _ in range(20)][-1]


def test_only_one_thread_computes(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = InputChecks(FakeClock())
    inside, go = threading.Event(), threading.Event()
    pread = os.pread

    def slow(*args: int) -> bytes:
        inside.set()
        assert go.wait(30)
        return pread(*args)

    monkeypatch.setattr(os, "pread", slow)
    first = threading.Thread(target=checks.cksum, args=(JOB, session, "/data"))
    first.start()
    assert inside.wait(30)
    second = checks.cksum(JobId("two"), session, "/data")
    go.set()
    first.join()

    assert None is second
    assert number_of(b"x" * 3_500_000) == checks.cksum(JobId("two"), session, "/data")
