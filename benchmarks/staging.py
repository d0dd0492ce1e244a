"""
Input files over http from an nginx on loopback, beside ``curl`` on the same list in the same run.

    python benchmarks/staging.py [--rounds N] [--small N] [--big MB]

Small files: 1 kB each, ``curl --parallel`` with its own limit of 50 at a time; arex with ``maxdelivery`` of 10, the
default, and of 50. One big file: ``curl -o``. The engine runs in a separate process, without a daemon around it, and
has asked for a file before, so that its libraries are loaded.
arex waits for the disk (fsync) as it does by default; curl does not, so arex without it stands beside, and curl
followed by an fsync of its file. What was fetched stays until the end: ext4 makes new files several times as slowly
for seconds after thousands were deleted, which would hide what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from arex.clock import SystemClock
from arex.config.model import ArexBlock, Configuration
from arex.config.service import ServiceBlock
from arex.config.staging import DataStagingBlock
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.ports import Staging
from arex.staging.engine import Engine
from benchmarks.common import ROOT
from tests.staging.servers import Authority, Nginx

MB = 1024 * 1024


def worker(root: Path, urls: list[str], most: int, *, fsync: bool) -> None:
    """Stage in once; prints seconds and the most memory in use."""
    session = root / "job"
    session.mkdir(parents=True)
    config = Configuration(
        arex=ArexBlock(controldir=root),
        staging=DataStagingBlock(maxdelivery=most),
        service=ServiceBlock(fsync=fsync),
    )
    files = tuple(FileEntry(f"/{number}", url) for number, url in enumerate(urls))

    async def stage() -> float:
        engine = Engine.from_config(config, SystemClock())
        first = root / "first"  # libraries are loaded, as in a service that runs
        first.mkdir()
        await engine.stage_in(Staging(job=JobId("first"), session=first, files=(FileEntry("/0", f"{urls[0]}none"),)))
        start = time.perf_counter()
        staged = await engine.stage_in(Staging(job=JobId("job"), session=session, files=files))
        took = time.perf_counter() - start
        await engine.close()
        assert staged.done, staged
        return took

    took = asyncio.run(stage())
    assert len(list(session.iterdir())) == len(urls)
    print(json.dumps([took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))


def arex(place: Path, urls: list[str], most: int, *, fsync: bool) -> tuple[float, float]:
    """Seconds, and MB of memory."""
    target = Path(tempfile.mkdtemp(dir=place))
    (target / "urls").write_text("\n".join(urls))
    argv = [sys.executable, __file__, "--worker", str(target), "--most", str(most)]
    argv += [] if fsync else ["--no-fsync"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    _spare_room(target, urls)
    took, memory = json.loads(said)
    return took, memory / 1024


def curl(place: Path, urls: list[str], *, fsync: bool = False) -> float:
    target = Path(tempfile.mkdtemp(dir=place))
    config = target.with_suffix(".list")
    config.write_text("".join(f'url = "{url}"\noutput = "{target}/{number}"\n' for number, url in enumerate(urls)))
    start = time.perf_counter()
    subprocess.run(["curl", "--no-progress-meter", "--fail", "--parallel", "--config", str(config)], check=True)
    if fsync:
        subprocess.run(["sync", *target.iterdir()], check=True)
    took = time.perf_counter() - start
    assert len(list(target.iterdir())) == len(urls)
    _spare_room(target, urls)
    return took


def _spare_room(target: Path, urls: list[str]) -> None:
    if len(urls) == 1:
        shutil.rmtree(target)


def compare(place: Path, urls: list[str], rounds: int, ways: tuple[tuple[int, bool], ...]) -> None:
    """``ways``: how many at a time, and whether with fsync."""
    theirs: dict[bool, list[float]] = {fsync: [] for fsync in (False, True) if len(urls) == 1 or not fsync}
    ours: dict[tuple[int, bool], list[float]] = {way: [] for way in ways}
    memory: list[float] = []
    for _ in range(rounds):  # in turns, so that the machine's moods meet both
        for fsync, times in theirs.items():
            times.append(curl(place, urls, fsync=fsync))
        for most, fsync in ways:
            took, used = arex(place, urls, most, fsync=fsync)
            ours[most, fsync].append(took)
            memory.append(used)
    base = statistics.median(theirs[False])
    for fsync, times in theirs.items():
        print(f"  curl{', then fsync' if fsync else '':25}  {median(times)}  x {statistics.median(times) / base:.2f}")
    for (most, fsync), times in ours.items():
        ratio = statistics.median(times) / base
        print(f"  arex, {most:2} at a time{'' if fsync else ', no fsync':11}  {median(times)}  x {ratio:.2f}")
    print(f"  arex, most memory            {max(memory):.0f} MB", flush=True)


def median(times: list[float]) -> str:
    return f"{statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--small", type=int, default=2000)
    options.add_argument("--big", type=int, default=2048, help="MB")
    options.add_argument("--worker", type=Path)
    options.add_argument("--most", type=int, default=10)
    options.add_argument("--no-fsync", action="store_true")
    chosen, _ = options.parse_known_args()
    if chosen.worker is not None:
        urls = (chosen.worker / "urls").read_text().split("\n")
        worker(chosen.worker, urls, chosen.most, fsync=not chosen.no_fsync)
        return
    with tempfile.TemporaryDirectory(prefix="arex-bench-", dir=ROOT) as name:
        root = Path(name)
        nginx = Nginx(root / "server", Authority(root / "ca"))
        try:
            for number in range(chosen.small):
                (nginx.files / f"s{number}").write_bytes(bytes([number % 256]) * 1024)
            print(f"{chosen.small} files of 1 kB, {chosen.rounds} rounds, medians", flush=True)
            urls = [nginx.http(f"/files/s{number}") for number in range(chosen.small)]
            compare(root, urls, chosen.rounds, ((10, True), (50, True)))
            with (nginx.files / "big").open("wb") as stream:
                for _ in range(chosen.big):
                    stream.write(bytes(MB))
            print(f"one file of {chosen.big} MB, {min(chosen.rounds, 3)} rounds, medians", flush=True)
            compare(root, [nginx.http("/files/big")], min(chosen.rounds, 3), ((10, True), (10, False)))
        finally:
            nginx.close()


if __name__ == "__main__":
    main()
