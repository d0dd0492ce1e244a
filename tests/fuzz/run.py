"""
Feed every reader with mutated texts: run.py [--inputs N] [--seconds S] [--seed K] [--only NAME]

Stops at the first of both limits; prints how many inputs each reader had and the slowest. Exit code 1, and the input
in a file, if a reader raises anything but our own errors, takes longer than a second, or breaks a promise.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[2]))

from arex.errors import ArexError
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import Target, targets

SLOW_S: Final = 1.0
#: An entity that expands would need more.
MEMORY: Final = 2 << 30
_ROUND: Final = 500


@dataclass
class Score:
    inputs: int = 0
    accepted: int = 0
    slowest_s: float = 0.0


@dataclass(frozen=True)
class Fault:
    target: str
    data: bytes
    why: str


def feed(target: Target, data: bytes, score: Score) -> Fault | None:
    """One input; None if all is as promised."""
    start = time.process_time()  # how busy the machine is does not count
    why = ""
    try:
        target.read(data)
        score.accepted += 1
    except (ArexError, ValueError) as exc:
        if type(exc).__module__ == "builtins" and not _promised(target, exc):
            why = f"{type(exc).__name__}: {exc}"
    except Exception as exc:  # noqa: BLE001 - that is what is looked for
        why = f"{type(exc).__name__}: {exc}"
    took = time.process_time() - start
    score.inputs += 1
    score.slowest_s = max(score.slowest_s, took)
    if not why and took > SLOW_S:
        why = f"took {took:.2f} s for {len(data)} bytes"
    return Fault(target.name, data, why) if why else None


def _promised(target: Target, exc: Exception) -> bool:
    """Readers of single control files say ValueError where their docstring does; descriptions never."""
    return type(exc) is ValueError and target.name.startswith(".")


def fuzz(
    wanted: list[Target], rng: random.Random, inputs: int, seconds: float, scores: dict[str, Score]
) -> Iterator[Fault]:
    """The readers in turns, until enough inputs or time are used up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and sum(score.inputs for score in scores.values()) < inputs:
        for target in wanted:
            for _ in range(_ROUND):
                if (fault := feed(target, mutated(rng, target.seeds), scores[target.name])) is not None:
                    yield fault


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    options.add_argument("--inputs", type=int, default=1_000_000)
    options.add_argument("--seconds", type=float, default=1200)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options.add_argument("--only", default="", help="readers whose name has this in it")
    chosen = options.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    wanted = [target for target in targets() if chosen.only in target.name]
    scores = {target.name: Score() for target in wanted}
    print(f"seed {chosen.seed}", flush=True)
    faults = 0
    for fault in fuzz(wanted, random.Random(chosen.seed), chosen.inputs, chosen.seconds, scores):
        faults += 1
        path = Path(f"fuzz-{faults}.txt")
        path.write_bytes(fault.data)
        print(f"{fault.target}: {fault.why[:200]} (input in {path})", flush=True)
        if faults == 20:
            break
    for name, score in scores.items():
        print(
            f"{name:22} {score.inputs:9} inputs, {score.accepted:8} accepted, slowest {score.slowest_s * 1000:.0f} ms"
        )
    print(f"{sum(score.inputs for score in scores.values())} inputs, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
