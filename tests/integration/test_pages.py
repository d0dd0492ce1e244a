"""
Pages for beginners, typed in as they are: one real shell for each page, an ordinary user with a fresh home, a fresh
installation. ``tests/pages.py`` says how such a page is written.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests import environments, pages
from tests.environments import ROOT, Environment

#: Pages, and the section of those that have other commands too.
SECTIONS: Final = {"README.md": "Five minutes", "docs/users/tutorial.md": ""}
PAGES: Final = sorted(
    {*SECTIONS}
    | {str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md") if "\n```output\n" in page.read_text()}
)
_PATIENCE_S: Final = 120
#: Root becomes an ordinary user who can still read this checkout and its Python, wherever they are.
_ORDINARY: Final = ("unshare", "--user", "--map-user=1000", "--map-group=1000") if os.geteuid() == 0 else ()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = environments.make(tmp_path_factory.mktemp("installed") / "venv")
    environment.install(ROOT)
    return environment


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page: str, installed: Environment, tmp_path: Path) -> None:
    typed = pages.pasted(ROOT / page, heading=SECTIONS.get(page, ""))
    assert typed
    # a page that does without it uses the defaults, and not an /etc/arc.conf of this machine
    start = [] if any("arex init" in one.text for one in typed) else ["arex init >/dev/null"]
    (tmp_path / "arex").symlink_to(installed.path)  # where the pages install it
    path = f"{installed.path / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    shell = subprocess.Popen(
        [*_ORDINARY, "bash"], cwd=tmp_path, text=True, start_new_session=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={"HOME": str(tmp_path), "PATH": path, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    stop = "\narex stop >/dev/null 2>&1\nexit 0\n"
    try:
        said, _ = shell.communicate(pages.script(typed, *start) + stop, timeout=_PATIENCE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)

    pages.check(typed, said)
    assert not [*tmp_path.rglob("arex.pid")], "the service still runs after the page"
