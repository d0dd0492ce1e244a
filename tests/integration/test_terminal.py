"""What people see on a terminal: a real one, with a real service."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_LONGEST_S = 120


class Terminal:
    """A program on a terminal of 90 columns."""

    def __init__(self, home: Path, program: str, *arguments: str) -> None:
        argv = [sys.executable, "-c", f"from arex.cli import entry; entry.{program}()", *arguments]
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, cwd=home, env=environment(home), start_new_session=True
        )
        os.close(slave)
        self.seen = ""

    def until(self, condition: Callable[[str], object]) -> str:
        """Read until the text fulfils a condition, or to the end of the program."""
        end = time.monotonic() + _LONGEST_S
        while not condition(self.seen):
            assert time.monotonic() < end, self.seen
            if not select.select([self.master], [], [], 1)[0]:
                continue
            with contextlib.suppress(OSError):  # the last program has closed the terminal
                if data := os.read(self.master, 65536):
                    self.seen += data.decode().replace("\r\n", "\n")
                    continue
            break
        return self.seen

    def ended(self) -> tuple[int, str]:
        text = self.until(lambda _: False)
        code = self.process.wait(timeout=_LONGEST_S)
        os.close(self.master)
        return code, text


def environment(home: Path) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("X509", "ARC_"))}
    plain.pop("NO_COLOR", None)
    return {
        **plain, "HOME": str(home), "ARC_CONFIG": str(home / "arc.conf"), "PYTHONPATH": str(ROOT), "COLUMNS": "90",
        "TERM": "xterm",
    }  # fmt: skip


def run(home: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", f"from arex.cli import entry; entry.{program}()", *arguments]
    return subprocess.run(
        argv, cwd=home, env=environment(home), capture_output=True, text=True, check=False, timeout=_LONGEST_S
    )


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "arc.conf").write_text(
        f"[common]\n[lrms]\nlrms=fork\n[arex]\ncontroldir={tmp_path}/ctl\nsessiondir={tmp_path}/session\n"
        f"pidfile={tmp_path}/run/arex.pid\nlogfile={tmp_path}/run/arex.log\n"
        "[arex/service]\nallow_root=yes\nfork_slots=1\n[queue:q1]\n"
    )
    assert 0 == run(tmp_path, "arex", "start").returncode
    yield tmp_path
    run(tmp_path, "arckill", "-a")
    run(tmp_path, "arex", "stop")


SLEEP = '&(executable=/bin/sleep)(arguments="600")(jobname="long{}")(walltime=20)'


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def waits_for_slots(home: Path) -> Callable[[], bool]:
    return lambda: "slots of fork are in use" in run(home, "arcstat", "--table", "-a").stdout


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + _LONGEST_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_arcstat_alone_is_a_table_of_all_jobs_with_colours_and_reasons(home: Path) -> None:
    for number in range(2):
        assert 0 == run(home, "arcsub", "-e", SLEEP.format(number)).returncode
    until(waits_for_slots(home))

    code, text = Terminal(home, "arcstat").ended()

    title, *lines, counts = plain(text).splitlines()
    assert 0 == code
    assert title.split() == ["NAME", "ID", "STATE", "QUEUE", "TIME", "WALL", "EXIT", "WHY"]
    assert sorted(line.split()[2] for line in lines) == ["Preparing", "Running"]
    assert counts.startswith("2 jobs: 1 running, 1 waiting")
    assert "\x1b[36m" in text
    assert all(len(line) <= 90 for line in lines)
    [waiting] = [line for line in lines if "Preparing" in line]
    assert "next in line: 1 of 1 slots" in waiting


def test_without_a_terminal_it_is_arcs_form(home: Path) -> None:
    run(home, "arcsub", "-e", SLEEP.format(1))

    said = run(home, "arcstat", "-a")

    assert re.match(r"Job: file://\S+\n Name: long1\n State: \w+\n", said.stdout)
    assert said.stdout.endswith("Status of 1 jobs was queried, 1 jobs returned information\n")


def test_waiting_is_one_line_and_an_interrupt_says_that_the_jobs_go_on(home: Path) -> None:
    terminal = Terminal(home, "arcsub", "--wait", "-e", SLEEP.format(1))
    terminal.until(lambda text: "1 running" in text)

    os.killpg(terminal.process.pid, signal.SIGINT)
    code, text = terminal.ended()

    assert 130 == code
    assert "the job goes on: 'arcstat -a -w' waits again, 'arckill' cancels" in text
    assert "\n" not in text[text.index("\r1 job: ") : text.index("1 running")].strip()


def test_a_watch_redraws_until_all_jobs_have_ended(home: Path) -> None:
    run(home, "arcsub", "-e", '&(executable=/bin/true)(jobname="short")')

    code, text = Terminal(home, "arcstat", "--watch").ended()

    assert 0 == code
    assert text.count("\x1b[H\x1b[J") >= 1
    assert plain(text).splitlines()[-1] == "1 job: 1 finished"


def test_fetching_shows_how_far_it_is(home: Path) -> None:
    for number in range(3):
        run(home, "arcsub", "--wait", "-e", f'&(executable=/bin/echo)(arguments=x)(stdout=o)(jobname="j{number}")')

    code, text = Terminal(home, "arcget", "-a", "-D", "results").ended()

    assert 0 == code
    assert "fetching [#############       ] 2 of 3" in text
    assert "Jobs processed: 3, successfully retrieved: 3, successfully cleaned: 3" in text


def test_a_copy_shows_its_progress_in_one_line_and_then_how_much_it_was(tmp_path: Path) -> None:
    (tmp_path / "arc.conf").write_text("[common]\n")
    (tmp_path / "a").write_bytes(b"x" * 5_000_000)

    code, text = Terminal(tmp_path, "arccp", "-i", "a", "b").ended()

    assert 0 == code
    assert "\r5 MB of 5 MB  a\x1b[K" in text
    assert text.endswith("\r\x1b[K1 file copied, 5 MB\n")


def test_a_copy_is_silent_without_the_option(tmp_path: Path) -> None:
    (tmp_path / "arc.conf").write_text("[common]\n")
    (tmp_path / "a").write_text("x")

    assert (0, "") == Terminal(tmp_path, "arccp", "a", "b").ended()
