"""Writes ``info.xml`` in the control directory once a minute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from arex.clock import Clock
from arex.config.model import Configuration
from arex.controldir import atomic
from infoprovider.collect import collect

log = logging.getLogger(__name__)

_PERIOD_S: Final = 60.0


class InfoPublisher:
    """Publishes information for brokers and monitors."""

    def __init__(self, config: Configuration, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    async def run(self, counts: Callable[[], Mapping[str, int]], controldir: Path) -> None:
        """Run until cancelled; if the document cannot be written, log a warning and keep the old one."""
        while True:
            try:
                await asyncio.to_thread(self.write, dict(counts()), controldir)
            except OSError as exc:
                log.warning("cannot write info.xml: %s", exc, extra={"event": "info.failed"})
            await self._clock.sleep(_PERIOD_S)

    def write(self, states: Mapping[str, int], controldir: Path) -> None:
        from infoprovider.xml import document  # noqa: PLC0415 - importing lxml takes 20 ms

        atomic.put(str(controldir / "info.xml"), document(collect(self._config, states, self._clock.now())))
