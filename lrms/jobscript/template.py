"""
The shell code of job scripts: the files in ``shell/``, filled through named slots.

The files are shell that shellcheck accepts as it is. ``@NAME@`` is a word, or a part of one. A line ``#@NAME@`` is
replaced by whole lines; without any, it disappears. Comments above the first empty line are for readers of the file:
they do not get into a script. A value is filled in once, whatever it contains.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_SLOT: Final = re.compile(r"^#@([A-Z_]+)@\n|@([A-Z_]+)@", re.MULTILINE)


def _body(text: str) -> str:
    """Without the comments at the top, except a first line with the interpreter."""
    head, _, body = text.partition("\n\n")
    first = head.partition("\n")[0]
    return f"{first}\n{body}" if first.startswith("#!") else body


# read on import, because scripts are also built on the event loop, where no file may be read
_PARTS: Final = {path.stem: _body(path.read_text()) for path in (Path(__file__).parent / "shell").glob("*.sh")}


def part(name: str, **slots: str) -> str:
    """
    ``shell/NAME.sh`` with its slots filled, without the last line break.

    Raises:
        KeyError: there is no such file, or a slot without a value.
        ValueError: a value without a slot.
    """
    used = set()

    def value(found: re.Match[str]) -> str:
        slot = found[1] or found[2]
        used.add(slot)
        return slots[slot] + "\n" if found[1] and slots[slot] else slots[slot]

    text = _SLOT.sub(value, _PARTS[name])
    if unused := slots.keys() - used:
        raise ValueError(f"shell/{name}.sh has no slot {', '.join(sorted(unused))}")
    return text.removesuffix("\n")
