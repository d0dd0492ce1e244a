"""Runs ARC's scan script repeatedly, one at a time."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from typing import Final

from arex.clock import Clock
from arex.controldir import atomic, codec
from arex.errors import BatchUnavailable
from lrms import processes
from lrms.arcscripts import run
from lrms.arcscripts.site import ArcScripts

log = logging.getLogger(__name__)

#: Names the control directory in the environment of its scan script.
_SCAN_MARK: Final = "AREX_SCAN"
_SCAN_ERRORS: Final = "scan.errors"
_SHOWN: Final = 20  #: lines of a scan's messages that are logged


class Scanner:
    """Starts ``scan-X-job`` and logs its messages. The script itself writes ``lrms_done``."""

    def __init__(self, scripts: ArcScripts, clock: Clock, counts: Counter[str]) -> None:
        self._scripts = scripts
        self._clock = clock
        self._counts = counts

    async def run(self) -> None:
        mark = f"{_SCAN_MARK}={self._scripts.root}".encode()
        while await asyncio.to_thread(processes.having_environment, mark):
            await self._clock.sleep(1.0)  # the last scan of an earlier daemon
        while True:
            began = self._clock.monotonic()
            try:
                await self._scan()
            except (BatchUnavailable, OSError) as exc:
                log.warning("cannot scan for ended jobs: %s", exc, extra={"event": "scan.failed"})
            await self._clock.sleep(max(0.0, began + self._scripts.scan_apart_s - self._clock.monotonic()))

    async def _scan(self) -> None:
        scripts = self._scripts
        argv = (str(scripts.script("scan")), "--config", str(scripts.cfg_path), str(scripts.root))
        path = str(scripts.root / _SCAN_ERRORS)
        self._counts["scan"] += 1
        errors = await asyncio.to_thread(run.open_log, path, os.O_TRUNC)
        try:
            process = await run.start(argv, errors, {**scripts.environment(), _SCAN_MARK: str(scripts.root)})
        finally:
            os.close(errors)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            run.let_go(process)  # if it were killed, it could leave an incomplete file
            raise
        said = codec.decode(await asyncio.to_thread(lambda: atomic.read(path) or b"")).splitlines()
        for line in said[-_SHOWN:]:
            log.info("%s: %s", argv[0], line, extra={"event": "scan.said"})
        if code:
            log.warning("%s ended with exit code %d", argv[0], code, extra={"event": "scan.failed"})
