"""Entries of listings, one by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from arex.model.ids import LocalId
from arex.model.report import Phase
from lrms.command.dialect import MOST_CHILDREN, Seen
from lrms.command.listings import entries
from lrms.command.listings.entries import UNREADABLE, listed

RUNNING = Seen(phase=Phase.RUNNING, word="R")


def names(entry: str) -> list[LocalId]:
    if not entry:
        raise KeyError("no id")
    return [LocalId(entry)]


@pytest.mark.parametrize("fault", [ValueError, RecursionError, OSError, OverflowError, ZeroDivisionError])
def test_one_entry_that_cannot_be_parsed_is_one_entry(fault: type[Exception], caplog: pytest.LogCaptureFixture) -> None:
    def read(entry: str) -> Seen:
        if entry == "2":
            raise fault("strange")
        return RUNNING

    entries._logged.clear()
    found = [listed("X", ["1", "2", "", "3"], names, read) for _ in range(3)]

    assert [{"1": RUNNING, "2": UNREADABLE, "3": RUNNING}] * 3 == found
    assert 2 == len(caplog.records)  # each once
    assert "job 2" in caplog.text


def many(first: int, last: int) -> Iterator[LocalId]:
    for number in range(first, last):
        if number > first + 2 * MOST_CHILDREN:
            raise AssertionError("ids are computed that are not needed")
        yield LocalId(f"7.{number}")


def test_an_array_that_is_too_large_for_one_of_arex_is_one_unreadable_entry(caplog: pytest.LogCaptureFixture) -> None:
    entries._logged.clear()
    ranges = [(1, 10**9), (2, 10**9), (5000, 5000 + MOST_CHILDREN)]
    found = [listed("X", ranges, lambda each: many(*each), lambda _: RUNNING) for _ in range(3)]

    assert {"7.1": UNREADABLE, "7.2": UNREADABLE} == {k: v for k, v in found[0].items() if v is UNREADABLE}
    assert MOST_CHILDREN + 2 == len(found[0])
    assert 1 == len(caplog.records)


def test_many_arrays_of_other_programs_do_not_displace_one_of_arex(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "_ALL_OTHERS", 500)
    ours = Seen(phase=Phase.RUNNING, word="R", tag="arex-0123456789abcdef")
    ranges = [(n * 100, n * 100 + 100) for n in range(20)]

    found = listed("X", ranges, lambda each: many(*each), lambda each: ours if each == ranges[-1] else RUNNING)

    assert 500 == sum(seen is RUNNING for seen in found.values())
    assert 100 == sum(seen is ours for seen in found.values())
    assert 14 == sum(seen is UNREADABLE for seen in found.values())


def test_complaints_are_remembered_within_a_limit() -> None:
    entries._logged.clear()

    for number in range(3000):
        entries.complain("X", str(number), ValueError("strange"))

    assert len(entries._logged) <= 1000
