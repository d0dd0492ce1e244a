"""One nginx for all tests of staging, an engine for each, and a clock that does not make anybody wait."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVarTuple

import pytest

from arex.config.model import ArexBlock, CommonBlock, Configuration
from arex.config.service import ServiceBlock
from arex.config.staging import DataStagingBlock
from arex.config.values import SpeedControl
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.ports import Staged, Staging
from arex.staging.engine import Engine
from tests.staging.servers import Authority, Nginx, Odd

_Ts = TypeVarTuple("_Ts")


class HastyClock:
    """A hundred seconds pass in one, or as many as a test wants."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.pace = 100

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() * self.pace

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds / self.pace)

    def call_later(self, seconds: float, callback: Callable[[*_Ts], object], *args: *_Ts) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds / self.pace, callback, *args)


@dataclass
class Site:
    """Directories and engines of one test."""

    root: Path
    config: Configuration
    clock: HastyClock
    notes: list[str] = field(default_factory=list)
    engines: list[Engine] = field(default_factory=list)

    def engine(self, **staging: object) -> Engine:
        config = self.config
        if staging:
            config = replace(config, staging=replace(config.staging, **staging))  # type: ignore[arg-type]
        engine = Engine.from_config(config, self.clock, lambda _job, text: self.notes.append(text))
        self.engines.append(engine)
        return engine

    def staging(self, *files: FileEntry, job: str = "job", **more: object) -> Staging:
        session = self.root / "sessions" / job
        session.mkdir(parents=True, exist_ok=True)
        return replace(Staging(job=JobId(job), session=session, files=files), **more)  # type: ignore[arg-type]

    async def fetched(self, *urls: str, job: str = "job", **staging: object) -> Staged:
        """Stage in ``/0``, ``/1`` and so on."""
        entries = [FileEntry(f"/{number}", url) for number, url in enumerate(urls)]
        return await self.engine(**staging).stage_in(self.staging(*entries, job=job))

    def content(self, name: str, job: str = "job") -> bytes:
        return (self.root / "sessions" / job / name).read_bytes()

    def resumed_at(self) -> int:
        """The byte from which a transfer that was cut went on."""
        [byte, *_] = (found[1] for note in self.notes if (found := re.search(r"resumed at byte (\d+)", note)))
        return int(byte)

    def left_over(self, job: str = "job") -> list[str]:
        """Part files that are still there."""
        workdir = self.root / "sessions" / f"{job}.staging"
        return [path.name for path in workdir.iterdir() if path.suffix == ".part"] if workdir.exists() else []


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Nginx]:
    server = Nginx(tmp_path_factory.mktemp("nginx"), authority)
    (server.files / "small").write_bytes(b"small content")
    (server.files / "empty").write_bytes(b"")
    (server.files / "large").write_bytes(bytes(range(256)) * 12_000)
    yield server
    server.close()


@pytest.fixture
async def odd() -> AsyncIterator[Odd]:
    server = Odd()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    listener.close()
    others = [task for task in asyncio.all_tasks() if "serve" in repr(task.get_coro())]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def configure() -> Callable[[Path, Path], Configuration]:
    return configuration


def configuration(root: Path, certificates: Path) -> Configuration:
    return Configuration(
        common=CommonBlock(x509_cert_dir=certificates),
        arex=ArexBlock(controldir=root),
        # three seconds without any data, as the default is on a clock in haste, pass on a busy machine
        staging=DataStagingBlock(maxtransfertries=3, speedcontrol=SpeedControl(max_inactivity=100_000)),
        service=ServiceBlock(),
    )


@pytest.fixture
async def site(tmp_path: Path, authority: Authority) -> AsyncIterator[Site]:
    made = Site(tmp_path, configuration(tmp_path, authority.directory), HastyClock())
    yield made
    for engine in made.engines:
        await engine.close()
