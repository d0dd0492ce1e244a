"""``python -m arex``: are our parts ours? Then the command line."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_PARTS = ("plugins", "lrms", "infoprovider")


def strangers(home: Path) -> list[str]:
    """Packages of our names that would be imported from elsewhere; looked up without running them."""
    found = []
    for name in _PARTS:
        spec = importlib.util.find_spec(name)
        origin = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
        if origin != home / name / "__init__.py":
            found.append(f"{name} from {origin or 'nowhere'}")
    return found


def main() -> None:
    """The command line, once it is certain that every part of the program is our own."""
    foreign = strangers(Path(__file__).resolve().parent.parent)
    if foreign:
        sys.stderr.write(
            f"arex: another package hides a part of arex: {', '.join(foreign)}. "
            "Start it with 'python -I -m arex' or from another directory.\n"
        )
        raise SystemExit(70)
    from arex.cli.entry import arex  # noqa: PLC0415 - nothing is imported before the check

    arex()


if __name__ == "__main__":
    if not __package__:  # started by path, as the daemon is: nothing of ours is on the path yet
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
