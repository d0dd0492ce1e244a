"""
The service of this checkout compared with that of another one, on the same machine: what a change costs or saves.

    python benchmarks/against.py DIR [--backend fork|slurm] [--rounds 5] [--jobs 600] [--live 0]

For fork: milliseconds of a single job from submission to FINISHED, null jobs a second, processor time of the daemon for
each of them, its memory. For SLURM: null jobs handed over in arrays and one by one, beside a loop of bare sbatch; run
tools/clusters/slurm.sh up and eval the lines of "env" first. ``--live`` adds the processor time for one more job beside
so many live ones. The checkouts take turns in every round. Jobs are submitted by this checkout's plugin to both
services, so a change of submission itself does not show. The other checkout must run with the packages installed here.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from arex.config.load import load
from benchmarks import fscalls, scale, slurm
from benchmarks.common import CHECKOUT, Daemon, Site, real_daemon, temporary, wait_for
from plugins.local import LocalPlugin
from plugins.local.submission import Submitted

LIMIT_S = 600.0
#: What is measured, and whether more of it is better.
Figures = Iterator[tuple[str, bool, float]]


def on_fork(checkout: Path, jobs: int) -> Figures:
    site = Site(temporary("against"))
    plugin = LocalPlugin(load(site.config, {})[0], subject="/CN=bench")
    finished = site.ctl / "finished"
    try:
        with Daemon(real_daemon(site, checkout), site) as daemon:
            plugin.submit([fscalls.TRUE])
            wait_for(lambda: site.finished() == 1, LIMIT_S)
            for _ in range(10):
                time.sleep(0.1)  # the service is idle again
                start = time.monotonic()
                [one] = plugin.submit([fscalls.TRUE])
                assert isinstance(one, Submitted), one
                wait_for((finished / f"job.{one.id}.status").exists, LIMIT_S, 0.001)
                yield "one job, ms", False, (time.monotonic() - start) * 1000
            before, cpu, start = site.finished(), daemon.cpu_s(), time.monotonic()
            plugin.submit([fscalls.TRUE] * jobs)
            wait_for(lambda: site.finished() >= before + jobs, LIMIT_S, 0.02)
            yield "null jobs/s", True, jobs / (time.monotonic() - start)
            yield "daemon, ms of CPU per job", False, (daemon.cpu_s() - cpu) * 1000 / jobs
            yield "memory, MB", False, daemon.rss_mb()
    finally:
        site.remove()


def on_slurm(checkout: Path, jobs: int) -> Figures:
    for name, arrays in (("arrays", True), ("singly", False)):
        handed, ended, cpu_s, _ = slurm.ours(jobs, arrays=arrays, checkout=checkout)
        yield f"{name}, handed over, jobs/s", True, jobs / handed
        yield f"{name}, all ended, s", False, ended
        yield f"{name}, daemon, ms of CPU per job", False, cpu_s * 1000 / jobs


def bare(jobs: int) -> Figures:
    handed, ended = slurm.bare(jobs, slurm.loop)
    yield "bare loop, handed over, jobs/s", True, jobs / handed
    yield "bare loop, all ended, s", False, ended


def with_live(checkout: Path, live: int) -> Figures:
    site = Site(temporary("against-live"))
    try:
        scale.populate(site, live, 0)
        with Daemon(
            [sys.executable, str(checkout / "benchmarks" / "fake_service.py"), str(site.config)], site
        ) as daemon:
            wait_for(lambda: site.states().get("INLRMS", 0) >= live, LIMIT_S)
            for cost in scale.cost_ms(site, daemon, 300, 5):
                yield f"one more beside {live}, ms of CPU", False, cost
            yield f"memory with {live}, MB", False, daemon.rss_mb()
    finally:
        site.remove()


class Table:
    """Figures of both checkouts."""

    def __init__(self) -> None:
        self._here: dict[str, list[float]] = defaultdict(list)
        self._there: dict[str, list[float]] = defaultdict(list)
        self._more_is_better: dict[str, bool] = {}

    def take(self, checkout: Path, found: Figures) -> None:
        for name, more, value in found:
            self._more_is_better[name] = more
            (self._here if checkout == CHECKOUT else self._there)[name].append(value)

    def show(self, other: str) -> None:
        print(f"{'medians, and the spread':36}{'here':>22}{other:>22}{'times better':>14}")
        for name, here in self._here.items():
            there = self._there.get(name, [])
            print(f"{name:36}{_spread(here):>22}{_spread(there):>22}{self._ratio(name, here, there):>14}", flush=True)

    def _ratio(self, name: str, here: list[float], there: list[float]) -> str:
        if not there:
            return ""
        ratio = statistics.median(here) / statistics.median(there)
        return f"{ratio if self._more_is_better[name] else 1 / ratio:.2f}"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})" if values else ""


def compare(table: Table, other: Path, backend: str, jobs: int, rounds: int, live: list[int]) -> None:
    """Rounds in which each checkout has its turn, in alternating order."""
    one_round = on_slurm if backend == "slurm" else on_fork
    order = [CHECKOUT, other]
    for number in range(rounds):
        if backend == "slurm":
            table.take(CHECKOUT, bare(jobs))
        for checkout in order:
            table.take(checkout, one_round(checkout, jobs))
            for number_of_live in live:
                table.take(checkout, with_live(checkout, number_of_live))
        order.reverse()
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("other", type=Path, metavar="DIR", help="the other checkout")
    parser.add_argument("--backend", choices=["fork", "slurm"], default="fork")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=600)
    parser.add_argument("--live", type=int, action="append", default=[], metavar="JOBS", help="may be repeated")
    asked = parser.parse_args()
    other = asked.other.resolve()
    if not (other / "arex" / "__main__.py").exists():
        parser.error(f"{other} is not a checkout of arex")
    if other == CHECKOUT:
        parser.error(f"{other} is this checkout: name another one")
    fscalls.ready(asked.backend)
    table = Table()
    compare(table, other, asked.backend, asked.jobs, asked.rounds, asked.live)
    table.show(other.name)


if __name__ == "__main__":
    os.environ.pop("ARC_CONFIG", None)
    main()
