"""The Tab key in real shells, at a real terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests import environments
from tests.environments import ROOT, Environment

_PROMPT: Final = "READY>"
_PATIENCE_S: Final = 60.0
#: Shells with their options to read no start-up files of the machine, and what makes the prompt known.
SHELLS: Final = {
    "bash": (("--noprofile", "--norc", "-i"), f"PS1='{_PROMPT} '; bind 'set enable-bracketed-paste off'"),
    "zsh": (("-f", "-i"), f"PROMPT='{_PROMPT} '; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u"),
    "fish": (("--no-config", "-i"), f"function fish_prompt; echo -n '{_PROMPT} '; end"),
}
LOADED: Final = {
    "bash": 'eval "$(arex completion bash)"',
    "zsh": 'eval "$(arex completion zsh)"',
    "fish": "arex completion fish | source",
}
#: The beginning of a command line, and the line after the Tab key.
COMPLETED: Final = {
    "arcstat long": "arcstat longname1",
    "arckill -s Kil": "arckill -s Killed",
    "arcsub -q for": "arcsub -q fork",
    "arccat -d VERB": "arccat -d VERBOSE",
    "arex config explain wakeupp": "arex config explain wakeupperiod",
    "arexctl rte enable ENV/PR": "arexctl rte enable ENV/PROXY",
}
_ESCAPES: Final = re.compile(rb"\x1b(?:\[[0-9;?<>=]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B]|[=>78])")


@dataclass
class Terminal:
    """A shell at a terminal: what is typed, and what can be read since."""

    number: int
    seen: bytes = b""

    def type(self, text: str) -> None:
        self.seen = b""
        os.write(self.number, text.encode())

    def read_until(self, text: str) -> str:
        """What is on the terminal, without colours and cursor movements, once ``text`` is in it."""
        end = time.monotonic() + _PATIENCE_S
        while text not in (shown := _ESCAPES.sub(b"", self.seen).decode(errors="replace")):
            left = end - time.monotonic()
            assert left > 0, f"no {text!r} in {shown!r}"
            if select.select([self.number], [], [], left)[0]:
                self.seen += os.read(self.number, 65536)
                self._answer()
        return shown

    def _answer(self) -> None:
        """Shells ask the terminal what it is and where the cursor is, and wait for the answer."""
        for question, answer in ((b"\x1b[0c", b"\x1b[?62c"), (b"\x1b[c", b"\x1b[?62c"), (b"\x1b[6n", b"\x1b[1;1R")):
            if question in self.seen:
                self.seen = self.seen.replace(question, b"")
                os.write(self.number, answer)

    def run(self, line: str) -> str:
        """What is shown after the line, once it has run: the mark is put together only by the shell."""
        self.type(f"{line}; echo do''ne\n")
        return self.read_until("done")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = environments.make(tmp_path_factory.mktemp("installed") / "venv")
    environment.install(ROOT)
    return environment


@pytest.fixture(params=SHELLS)
def terminal(request: pytest.FixtureRequest, installed: Environment, tmp_path: Path) -> Iterator[Terminal]:
    """A shell that has loaded the completion, with one job called ``longname1`` that no service runs."""
    shell = str(request.param)
    words, start = SHELLS[shell]
    environment = {
        "HOME": str(tmp_path), "PATH": f"{installed.path / 'bin'}:/usr/local/bin:/usr/bin:/bin", "TERM": "xterm",
        "LC_ALL": "C.UTF-8", "COLUMNS": "200", "LINES": "50",
    }  # fmt: skip
    description = "&(executable=/bin/true)(jobname=longname1)"
    subprocess.run(["arcsub", "-e", description], env=environment, check=True, cwd=tmp_path, capture_output=True)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", shell, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=tmp_path
    )
    os.close(theirs)
    terminal = Terminal(ours)
    try:
        terminal.run(start)
        terminal.run(LOADED[shell])
        yield terminal
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_the_tab_key_completes_the_word(terminal: Terminal) -> None:
    for typed, becomes in COMPLETED.items():
        terminal.type(f"{typed}\t")
        terminal.read_until(becomes)
        terminal.type("\x15")  # Ctrl-U removes the line
