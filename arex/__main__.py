"""``python -m arex``: are our parts ours? Then the command line."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """The command line, once it is certain that every part of the program is our own."""
    from arex.guard import refusal, shadowed_packages  # noqa: PLC0415 - the path is complete only now

    foreign = shadowed_packages(Path(__file__).resolve().parent.parent)
    if foreign:
        sys.stderr.write(f"arex: {refusal(foreign)}\n")
        raise SystemExit(70)
    from arex.cli.entry import arex  # noqa: PLC0415 - nothing is imported before the check

    arex()


if __name__ == "__main__":
    if not __package__:  # started by path, as the daemon is: nothing of ours is on the path yet
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
