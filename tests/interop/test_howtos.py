"""
The how-tos of the documentation, typed in: every ``console`` block of a page, one shell a page, by an ordinary user
in a fresh home. ``tests/pages.py`` says how such a page is written.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests import pages
from tests.interop.grid import PLACE, Account

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGES: Final = sorted(
    str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if "```console\n" in page.read_text(encoding="utf-8")
)
#: A page that takes longer waits for something that does not come.
PATIENCE_S: Final = 300


@pytest.fixture
def home(account: Account) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="arex-howto-", dir="/var/tmp"))
    account.own(path)
    yield path
    shutil.rmtree(path)


@pytest.mark.timeout(PATIENCE_S + 20)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_typed_in(page: str, account: Account, home: Path) -> None:
    typed = pages.sessions(DOCS / page)
    start = ["export USER=$(id -un)"]
    if not any("arex init" in one.text for one in typed):
        start.append("arex init >/dev/null")  # otherwise the machine's /etc/arc.conf counts
    path = f"{PLACE}/venv/bin:/usr/local/bin:/usr/bin:/bin"
    identity = {"user": account.uid, "group": account.gid, "extra_groups": []} if os.geteuid() == 0 else {}
    shell = subprocess.Popen(
        ["bash"], cwd=home, env={"HOME": str(home), "PATH": path, "LC_ALL": "C.UTF-8"}, text=True,
        start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        **identity,  # type: ignore[call-overload]
    )  # fmt: skip
    stop = "\narex stop >/dev/null 2>&1\nkill $(jobs -p) 2>/dev/null\nexit 0\n"
    try:
        said, _ = shell.communicate(pages.script(typed, *start) + stop, timeout=PATIENCE_S)
    finally:
        end(shell.pid)

    pages.check(typed, said)


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
