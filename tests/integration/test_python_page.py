"""The examples of the page about Python pass mypy --strict, and run against a real service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/users/python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_examples_are_typed(tmp_path: Path) -> None:
    files = [tmp_path / f"example{number}.py" for number in range(len(EXAMPLES))]
    for file, text in zip(files, EXAMPLES, strict=True):
        file.write_text(text)

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), *map(str, files)],
        cwd=PAGE.parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert len(EXAMPLES) > 7
    assert 0 == done.returncode, done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A service with its own home, for all examples."""
    home = tmp_path_factory.mktemp("home")
    (home / "arc.conf").write_text(
        f"[common]\n[lrms]\nlrms=fork\n[arex]\ncontroldir={home}/ctl\nsessiondir={home}/session\n"
        f"pidfile={home}/run/arex.pid\nlogfile={home}/run/arex.log\n[arex/service]\nallow_root=yes\n[queue:q1]\n"
    )
    run(home, "-m", "arex", "start")
    yield home
    run(home, "-m", "arex", "stop")


def run(home: Path, *arguments: str, cwd: Path | None = None) -> str:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("X509", "ARC_"))},
        "HOME": str(home), "ARC_CONFIG": str(home / "arc.conf"), "PYTHONPATH": str(PAGE.parents[2]),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd or home, capture_output=True, text=True, check=False, timeout=200,
        env=environment,
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


#: What the examples print, in their order.
PRINTED = [
    r"hello\n\n",
    r"description 20 was refused: .*\n(\w{54} sim\d+ Finished 0\n){20}",
    r"",
    r"\w{54} \w+\n0 failed\n",
    r"it starts at 20.*, as its description asks 20.*\+00:00\n",
    r"(Accepted|Preparing|Submitting|Queuing|Running)\n(\w+\n)*Finished\n",
    r"(\w+\n)*Finished\nhello\n\n",
    r"Finished\n",
]


@pytest.mark.parametrize("number", range(len(PRINTED)))
def test_the_examples_print_what_the_page_says(home: Path, tmp_path: Path, number: int) -> None:
    script = tmp_path / "example.py"
    script.write_text(EXAMPLES[number])

    assert re.fullmatch(PRINTED[number], run(home, str(script), cwd=tmp_path))


def test_every_example_is_run() -> None:
    assert len(EXAMPLES) == len(PRINTED)
