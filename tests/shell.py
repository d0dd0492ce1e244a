"""A user with a separate home and configuration, no daemon, and a way to call commands."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from arex.cli import entry
from arex.config.load import load
from arex.controldir.layout import PLACE_OF, Place
from arex.model.ids import JobId
from arex.model.state import State
from plugins.local import LocalPlugin


@dataclass
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class User:
    """Someone at a shell."""

    home: Path
    run: Callable[..., Said]

    @property
    def plugin(self) -> LocalPlugin:
        return LocalPlugin(load(self.home / "arc.conf", uid=1000)[0])

    def submit(self, text: str = "&(executable=/bin/true)(stdout=out.txt)(jobname=hello)") -> JobId:
        said = self.run("arcsub", "-e", text)
        assert said.code == 0, said.err
        return JobId(said.out.strip().rpartition("/")[2])

    def move(self, job: str, state: State) -> None:
        """What a daemon would do."""
        source = next(self.home.glob(f"ctl/*/job.{job}.status"))
        assert source.parent.name in set(Place)
        target = self.home / "ctl" / PLACE_OF[state] / source.name
        source.rename(target)
        target.write_text(str(state))


def someone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> User:
    (tmp_path / "arc.conf").write_text(
        f"[common]\n[lrms]\nlrms=fork\n[arex]\ncontroldir={tmp_path}/ctl\nsessiondir={tmp_path}/session\n"
        f"pidfile={tmp_path}/run/arex.pid\n[queue:q1]\n[queue:q2]\n"
    )
    for name in ("X509_USER_PROXY", "X509_USER_CERT", "ARC_LOCATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ARC_CONFIG", str(tmp_path / "arc.conf"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    monkeypatch.chdir(tmp_path)

    def run(program: str, *args: object, stdin: bytes = b"") -> Said:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        code = entry.call(program, [str(arg) for arg in args])
        sys.stdout.flush()
        sys.stderr.flush()
        said = capfdbinary.readouterr()
        return Said(code, said.out.decode(), said.err.decode())

    return User(tmp_path, run)
