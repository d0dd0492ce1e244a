"""Counts how jobs have ended since the start of the service; worker threads count, the event loop reads."""

from __future__ import annotations

import threading
from collections.abc import Mapping


class Endings:
    """Numbers of jobs that became FINISHED, by whether they have a reason of failure."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._finished = self._failed = 0

    def add(self, *, failed: bool) -> None:
        with self._lock:
            if failed:
                self._failed += 1
            else:
                self._finished += 1

    def numbers(self) -> Mapping[str, int]:
        """``finished`` and ``failed``; a cancelled job counts as failed."""
        with self._lock:
            return {"finished": self._finished, "failed": self._failed}
