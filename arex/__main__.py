"""``python -m arex``: check that all parts of the program belong to arex, then run the command line."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Run the command line after checking that no other package hides a part of the program."""
    from arex.guard import refusal, shadowed_packages  # noqa: PLC0415 - needs the complete sys.path

    foreign = shadowed_packages(Path(__file__).resolve().parent.parent)
    if foreign:
        if sys.stderr is None:  # the caller has closed it
            raise SystemExit(70)
        sys.stderr.write(f"arex: {refusal(foreign)}\n")
        raise SystemExit(70)
    from arex.cli.entry import arex  # noqa: PLC0415 - must not be imported before the check

    arex()


if __name__ == "__main__":
    if not __package__:  # the daemon is started by path, so the directory of arex is not in sys.path yet
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
