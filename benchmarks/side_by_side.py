"""
arex and the real A-REX 6.17 on the same machine, in one run, as the same user, both on their fork backend.

A-REX runs with ``wakeupperiod=10``. Reported: the median of the rounds, the spread, and the ratio of the medians.

    python -m benchmarks.side_by_side [--rounds 5] [--jobs 1000] [--theirs 60]

Needs what ``make interop`` installs; run as root it makes and uses the user of the interop tests.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.common import spread
from tests.interop.grid import PLACE, Site, site, until
from tests.interop.preparation import prepare

TRUE = '&(executable="/bin/true")(stdout="out")(stderr="err")'
HERE = Path(__file__).resolve().parent


def timed(action: Callable[[], object]) -> float:
    start = time.monotonic()
    action()
    return time.monotonic() - start


def finished(here: Site) -> int:
    return len(os.listdir(here.control / "finished")) if (here.control / "finished").exists() else 0


def write_many(here: Site, count: int) -> list[Path]:
    return [here.write(f"many/{number}.xrsl", TRUE) for number in range(count)]


def report(what: str, ours: Sequence[float], theirs: Sequence[float], unit: str, *, more_is_better: bool) -> None:
    a, b = statistics.median(ours), statistics.median(theirs)
    ratio = a / b if more_is_better else b / a
    print(f"{what}\n  arex        {spread(ours, unit)}\n  A-REX 6.17  {spread(theirs, unit)}", flush=True)
    print(f"  ratio       {ratio:.1f} times better", flush=True)


def our_round(here: Site, files: Sequence[Path]) -> tuple[float, float]:
    """Seconds of one arcsub for all files, and jobs a second from its start to the last FINISHED."""
    before = finished(here)
    start = time.monotonic()
    here.arex("arcsub", "-S", "local", *files, within=120).good()
    submitted = time.monotonic() - start
    until(lambda: finished(here) >= before + len(files), 300, lambda: "jobs do not finish", pause=0.1)
    return submitted, len(files) / (time.monotonic() - start)


def their_round(here: Site, files: Sequence[Path]) -> tuple[float, float]:
    before = finished(here)
    start = time.monotonic()
    here.arc("arcsub", "-T", "internal", "-C", "localhost", "-Q", "NONE", *files, within=300).good()
    submitted = time.monotonic() - start
    until(lambda: finished(here) >= before + len(files), 600, lambda: "jobs do not finish", pause=0.2)
    return submitted, len(files) / (time.monotonic() - start)


def measure_ours(here: Site, rounds: int, jobs: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"one": [], "bulk": [], "rate": []}
    latencies = here.call(PLACE / "venv/bin/python", HERE / "latency_client.py", "50", within=120).good()
    found["latency"] = [second * 1000 for second in json.loads(latencies.out)]
    one = here.write("one.xrsl", TRUE)
    found["one"] = [timed(lambda: here.arex("arcsub", "-S", "local", one).good()) * 1000 for _ in range(20)]
    files = write_many(here, jobs)
    for number in range(rounds):
        bulk, rate = our_round(here, files)
        print(
            f"  arex, round {number + 1}: {len(files)} submitted in {bulk:.2f} s, {rate:.0f} jobs/s to FINISHED",
            flush=True,
        )
        found["bulk"].append(bulk)
        found["rate"].append(rate)
    return found


def measure_theirs(here: Site, rounds: int, jobs: int, bulk: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"latency": [], "one": [], "rate": []}
    one = here.write("one.xrsl", TRUE)

    def submit() -> None:
        here.arc("arcsub", "-T", "internal", "-C", "localhost", "-Q", "NONE", one).good()

    for _ in range(rounds):
        before = finished(here)
        start = time.monotonic()
        submit()
        until(lambda: finished(here) > before, 120, lambda: "the job does not finish")  # noqa: B023 - used at once
        found["latency"].append((time.monotonic() - start) * 1000)
    files = write_many(here, jobs)
    for number in range(rounds):
        _, rate = their_round(here, files)
        print(f"  A-REX, round {number + 1}: {rate:.2f} jobs/s to FINISHED", flush=True)
        found["rate"].append(rate)
    here.stop_real()
    here.start_real()
    found["one"] = [timed(submit) * 1000 for _ in range(10)]
    many = write_many(here, bulk)
    argv: list[str | Path] = ["-T", "internal", "-C", "localhost", "-Q", "NONE", *many]
    found["bulk"] = [timed(lambda: here.arc("arcsub", *argv, within=300).good())]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--theirs", type=int, default=60, help="jobs of a round for A-REX, which does about 2 a second")
    options = parser.parse_args()
    account = prepare()
    with site(account, "bench-ours", lambda: False, maxjobs="-1 16 -1 -1 -1", wakeup=10) as here:
        here.start_ours()
        ours = measure_ours(here, options.rounds, options.jobs)
        here.stop_ours()
    with site(account, "bench-theirs", lambda: False, wakeup=10) as here:
        here.start_real()
        theirs = measure_theirs(here, options.rounds, options.theirs, options.jobs)
        here.stop_real()
    report(
        "one job on an idle service, submit to FINISHED", ours["latency"], theirs["latency"], "ms", more_is_better=False
    )
    report("jobs a second, submit to FINISHED", ours["rate"], theirs["rate"], "jobs/s", more_is_better=True)
    report("one arcsub", ours["one"], theirs["one"], "ms", more_is_better=False)
    report(f"one arcsub of {options.jobs} descriptions", ours["bulk"], theirs["bulk"], "s", more_is_better=False)


if __name__ == "__main__":
    main()
