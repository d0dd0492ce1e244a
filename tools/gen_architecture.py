"""
Write the parts of docs/developers/architecture.md that follow from the files: the tree of folders, and the list of
modules that may import each third-party package. ``make generated`` runs it; a test compares.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGES: Final = ("arex", "plugins", "lrms", "infoprovider")
#: A third-party package, and the places that may import it: folders end in a slash.
HOMES: Final = {
    "aiofiles": ("arex/staging/",),
    "aiohttp": ("arex/staging/",),
    "asyncssh": ("arex/staging/movers/sftp.py", "arex/staging/remote/sftp.py"),
    "botocore": ("arex/staging/movers/s3/",),
    "classad2": ("arex/jobdesc/jdl/classads.py",),
    "click": ("arex/cli/",),
    "cryptography": ("arex/credentials/",),
    "fsspec": ("arex/staging/movers/fsspec/",),
    "lxml": (
        "arex/cli/arcinfo.py",
        "arex/jobdesc/adl/",
        "arex/staging/movers/s3/mover.py",
        "infoprovider/xml.py",
        "arex/staging/remote/dav.py",
        "arex/staging/remote/s3.py",
    ),
    "watchdog": ("arex/controldir/watch.py",),
    "XRootD": ("arex/staging/movers/xrootd.py", "arex/staging/remote/xrootd.py"),
    "yaml": ("arex/config/yamlconf.py",),
    "yarl": ("arex/staging/movers/",),
}
_COLUMNS: Final = 105
BEGIN: Final = "<!-- generated: {} -->"
END: Final = "<!-- end -->"


def about(path: Path) -> str:
    """The first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_bytes())) or ""
    return " ".join(text.split("\n\n")[0].replace("``", "").split())


def tree() -> str:
    """The folders of all packages, and the single modules at the top of ``arex``."""
    lines: list[tuple[str, str]] = []
    for package in PACKAGES:
        lines.append((f"{package}/", about(ROOT / package / "__init__.py")))
        if package == "arex":
            lines += [(f"  {path.name}", about(path)) for path in sorted((ROOT / package).glob("[!_]*.py"))]
        lines += list(_folders(ROOT / package, 1))
    width = max(len(name) for name, _ in lines) + 2
    return "\n".join(["```text", *(line for name, text in lines for line in _wrapped(f"{name:{width}}", text)), "```"])


def _wrapped(name: str, text: str) -> list[str]:
    """As many lines as fit beside the navigation of a desktop."""
    return wrap(text, _COLUMNS, initial_indent=name, subsequent_indent=" " * len(name)) or [name.rstrip()]


def _folders(folder: Path, depth: int) -> Iterator[tuple[str, str]]:
    for init in sorted(folder.glob("*/__init__.py")):
        yield f"{'  ' * depth}{init.parent.name}/", about(init)
        yield from _folders(init.parent, depth + 1)


def homes() -> str:
    rows = [f"| {package} | {', '.join(f'`{place}`' for place in places)} |" for package, places in HOMES.items()]
    return "\n".join(["| Package | Imported in |", "| --- | --- |", *rows])


def fresh(page: str) -> str:
    """The page with its generated parts as they should be."""
    for name, text in (("tree", tree()), ("homes", homes())):
        begin = BEGIN.format(name)
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(END)
        page = f"{before}{begin}\n{text}\n{END}{after}"
    return page


if __name__ == "__main__":
    sys.stdout.write(fresh(Path(sys.argv[1]).read_text(encoding="utf-8")))
