from __future__ import annotations

from pathlib import Path

import pytest

from arex.errors import SubmitRejected
from arex.model.grami import Grami, RunTime
from arex.model.ids import JobId
from lrms.runtimes import load_runtimes
from lrms.script import RuntimeScript


def asking_for(root: Path, *runtimes: RunTime) -> Grami:
    return Grami(gridid=JobId("j"), directory=root / "s", controldir=root, args=("./x",), runtimes=runtimes)


def put(root: Path, path: str, text: str) -> None:
    (root / "rte" / path).parent.mkdir(parents=True, exist_ok=True)
    (root / "rte" / path).write_text(text)


def test_enabled_wins_over_default_and_parameters_come_along(tmp_path: Path) -> None:
    put(tmp_path, "enabled/ENV/X", "enabled")
    put(tmp_path, "default/ENV/X", "default")
    put(tmp_path, "params/ENV/X", 'A="1"\n')

    loaded = load_runtimes(asking_for(tmp_path, RunTime(name="ENV/X", options=("o",))))

    assert loaded == (RuntimeScript(name="ENV/X", options=("o",), params='A="1"\n', body="enabled"),)


def test_defaults_are_added_once_behind_what_was_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "default/B", "b")
    put(tmp_path, "default/A/A", "a")
    put(tmp_path, "enabled/Z", "z")

    loaded = load_runtimes(asking_for(tmp_path, RunTime(name="Z"), RunTime(name="B")))

    assert [each.name for each in loaded] == ["Z", "B", "A/A"]


def test_a_dummy_environment_is_empty(tmp_path: Path) -> None:
    (tmp_path / "rte" / "enabled").mkdir(parents=True)
    (tmp_path / "rte" / "enabled" / "DUMMY").symlink_to("/dev/null")

    assert load_runtimes(asking_for(tmp_path, RunTime(name="DUMMY"))) == (RuntimeScript(name="DUMMY"),)


@pytest.mark.parametrize("name", ["NONE", "", "ENV", "../secret", "/etc/passwd", "ENV/../../secret"])
def test_what_is_not_installed_is_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path, "enabled/ENV/X", "body")
    (tmp_path / "rte" / "secret").write_text("secret")

    with pytest.raises(SubmitRejected, match="RunTimeEnvironment"):
        load_runtimes(asking_for(tmp_path, RunTime(name=name)))
