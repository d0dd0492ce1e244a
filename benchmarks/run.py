"""All benchmarks, in an order that leaves the longest for last: ``python benchmarks/run.py``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import calls, fscalls, scale, side_by_side, staging


def main() -> None:
    fscalls.ready("fork")  # what is missing is known at once, not after half an hour
    print("=== side by side with A-REX 6.17", flush=True)
    side_by_side.main()
    print("=== questions to the batch system", flush=True)
    calls.main()
    print("=== file-system calls for each job", flush=True)
    fscalls.main([])
    print("=== input files beside curl", flush=True)
    staging.main()
    print("=== many jobs in one control directory", flush=True)
    scale.main()


if __name__ == "__main__":
    main()
