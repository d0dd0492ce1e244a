"""What ``arcproxy`` reads in its options and writes as periods."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from arex.cli.constraints import BadConstraint, parse
from arex.cli.proxyinfo import period

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def test_periods_read_as_arc_writes_them() -> None:
    assert "99 hours 59 minutes 59 seconds" == period(359999)
    assert ["1 hour 1 second", "1 minute", "0 seconds"] == [period(3601), period(60), period(0)]


@pytest.mark.parametrize("text", ["", "=", "keybits", "validityStart=", "pathLength=-1", "policyLanguage=1.x", "\0=\0"])
def test_an_invalid_constraint_is_an_error(text: str) -> None:
    with pytest.raises(BadConstraint):
        parse([text], NOW)
