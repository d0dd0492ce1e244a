"""
The how-tos of the documentation, typed in: every ``console`` block of a page, one shell a page, by an ordinary user
in a fresh home.

A line that begins with ``$`` is typed, ``>`` continues it; the lines after it must be printed, in this order, with
anything in the place of ``…``. A heredoc is part of the line that begins it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.interop.grid import PLACE, Account

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGES: Final = sorted(
    str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if "```console\n" in page.read_text(encoding="utf-8")
)
BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HERE: Final = re.compile(r"<<'?(\w+)'?")
MARK: Final = "=-=-= "
#: A page that takes longer waits for something that does not come.
PATIENCE_S: Final = 300


@dataclass
class Typed:
    """One command of a page and what it must print."""

    page: str
    line: int
    text: str
    printed: list[str] = field(default_factory=list)


def commands(page: str) -> Iterator[Typed]:
    text = (DOCS / page).read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(1)) + 1
        yield from block_commands(page, line, block[1].splitlines())


def block_commands(page: str, first: int, lines: list[str]) -> Iterator[Typed]:
    current: Typed | None = None
    for number, line in enumerate(lines, first):
        if current is not None and in_here_document(current.text):
            current.text += f"\n{'' if line == '>' else line.removeprefix('> ')}"
        elif line.startswith("$ "):
            if current is not None:
                yield current
            current = Typed(page, number, line[2:])
        elif current is None:
            raise AssertionError(f"{page}:{number}: a console block begins with a command")
        elif line.startswith("> ") or line == ">":
            current.text += f"\n{line[2:]}"
        elif line.strip():
            current.printed.append(line)
    if current is not None:
        yield current


def in_here_document(text: str) -> bool:
    """Whether the next line belongs to a here-document that the first line opens."""
    first, *more = text.split("\n")
    opened = HERE.search(first)
    return opened is not None and opened[1] not in more


def script(typed: list[Typed]) -> str:
    lines = ["set -u", "export USER=$(id -un)"]
    if not any("arex init" in one.text for one in typed):
        lines.append("arex init >/dev/null")  # otherwise the machine's /etc/arc.conf counts
    for number, one in enumerate(typed):
        lines += [f"echo '{MARK}{number}'", one.text, "code=$?", f"echo; echo '{MARK}end' $code"]
    return "\n".join(lines) + "\n"


def outputs(text: str) -> list[tuple[str, int]]:
    """What each command printed, and its exit code."""
    found = re.findall(rf"^{MARK}\d+\n(.*?)^{MARK}end (\d+)$", text, re.MULTILINE | re.DOTALL)
    return [(printed, int(code)) for printed, code in found]


def prints(wanted: list[str], printed: str) -> bool:
    pattern = ".*?".join(".*".join(map(re.escape, line.strip().split("…"))) for line in wanted)
    return re.search(pattern, printed, re.DOTALL) is not None


@pytest.fixture
def home(account: Account) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="arex-howto-", dir="/var/tmp"))
    account.own(path)
    yield path
    shutil.rmtree(path)


@pytest.mark.timeout(PATIENCE_S + 20)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_typed_in(page: str, account: Account, home: Path) -> None:
    typed = list(commands(page))
    path = f"{PLACE}/venv/bin:/usr/local/bin:/usr/bin:/bin"
    identity = {"user": account.uid, "group": account.gid, "extra_groups": []} if os.geteuid() == 0 else {}
    shell = subprocess.Popen(
        ["bash"], cwd=home, env={"HOME": str(home), "PATH": path, "LC_ALL": "C.UTF-8"}, text=True,
        start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        **identity,  # type: ignore[call-overload]
    )  # fmt: skip
    stop = "\narex stop >/dev/null 2>&1\nkill $(jobs -p) 2>/dev/null\nexit 0\n"
    try:
        said, _ = shell.communicate(script(typed) + stop, timeout=PATIENCE_S)
    finally:
        end(shell.pid)

    found = outputs(said)
    assert len(typed) == len(found), said
    for one, (printed, code) in zip(typed, found, strict=True):
        where = f"docs/{page}:{one.line}: {one.text}"
        assert code == 0, f"{where}\nexit code {code}\n{printed}"
        assert prints(one.printed, printed), f"{where}\nprinted\n{printed}\nand not\n" + "\n".join(one.printed)


def end(group: int) -> None:
    """What the page left running in the background ends with it."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_there_are_pages() -> None:
    """Those that people follow step by step."""
    assert {"admins/staging.md", "admins/cache.md", "admins/runtime-environments.md", "admins/credentials.md",
            "admins/quotas.md", "users/job-descriptions.md"} <= set(PAGES)  # fmt: skip
