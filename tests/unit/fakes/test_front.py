"""Options and ranges of the fake programs."""

from __future__ import annotations

import pytest

from tests.fakes.cluster.front import Refusal, numbers, options, ranges


def test_options_read_as_they_are_written() -> None:
    table = {"-o": "out=", "--out": "out=", "-h": "hold", "--nice": "nice?", "-l": "limits+=", "-Jd": "text="}

    given, rest = options(
        ["-hofile", "--nice=5", "-l", "a", "-lb", "-Jd", "x", "--ou", "f2", "s", "-z"], table, stops=True
    )

    assert {"hold": "", "out": "f2", "nice": "5", "limits": "a,b", "text": "x"} == given
    assert ["s", "-z"] == rest
    for wrong in (["-z"], ["--none"], ["-o"]):
        with pytest.raises(Refusal):
            options(wrong, table)


def test_ranges_read_both_ways() -> None:
    assert numbers("1-3,7") == [1, 2, 3, 7]
    assert ranges([1, 2, 3, 7]) == "1-3,7"
    with pytest.raises(Refusal):
        numbers("one")
