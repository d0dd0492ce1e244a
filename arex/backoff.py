"""How long to wait before a retry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: Seconds, for a service that may be overloaded or down.
OUTAGE_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


def backoff_s(failures: int, pauses_s: Sequence[float] = OUTAGE_S) -> float:
    """The pause after this many earlier failures in a row, 0 for the first; the last pause repeats."""
    return pauses_s[min(failures, len(pauses_s) - 1)]
