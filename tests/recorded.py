"""Recorded jobs, moved to the present: what was to be cleaned in a week still is, on any date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

#: When ``tests/data/fixtures`` was recorded, to the hour.
RECORDED: Final = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

#: ``20261120090000Z`` of control files and ``2026-11-20T09:00:00Z`` of logs and XML, in this order.
_TIME: Final = re.compile(rb"\b20[0-9]{12}Z|\b20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_FORMS: Final = {15: "%Y%m%d%H%M%SZ", 20: "%Y-%m-%dT%H:%M:%SZ"}


def moved(data: bytes, now: datetime) -> bytes:
    """The content of a recorded file, with all times as far from ``now`` as they were from the recording."""
    return _TIME.sub(lambda found: _later(found[0], now - RECORDED), data)


def _later(text: bytes, by: timedelta) -> bytes:
    form = _FORMS[len(text)]
    return (datetime.strptime(text.decode(), form).replace(tzinfo=UTC) + by).strftime(form).encode()
