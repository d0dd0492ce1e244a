"""Pauses between retries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: Pauses in seconds while a service may be overloaded or down.
OUTAGE_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


def backoff_s(failures: int, pauses_s: Sequence[float] = OUTAGE_S) -> float:
    """The pause after this many consecutive failures, starting with 0; the last pause is repeated."""
    return pauses_s[min(failures, len(pauses_s) - 1)]
