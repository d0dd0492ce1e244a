from __future__ import annotations

import json
from pathlib import Path

import pytest

from arex.config.load import load
from arex.config.model import Configuration
from arex.config.show import as_dict, show
from tests import environments

DATA = environments.DATA / "config"


@pytest.mark.parametrize("defaults", [False, True])
@pytest.mark.parametrize("name", ["arc-6.17.conf", "site.conf", "site.yaml", None])
def test_what_is_shown_loads_to_the_same(tmp_path: Path, name: str | None, defaults: bool) -> None:
    environ = {"HOME": "/home/u"}
    expected, _ = load(DATA / name if name else None, environ, uid=1000, system=tmp_path / "absent")
    file = tmp_path / "arc.conf"
    file.write_text(show(expected, defaults=defaults))

    actual, _ = load(file, environ, uid=1000)

    assert expected == actual


def test_only_what_differs_is_shown_unless_defaults_are_asked_for() -> None:
    assert "maxrerun" not in show(Configuration())
    assert "maxrerun=5" in show(Configuration(), defaults=True).splitlines()


def test_paths_are_shown_even_where_they_are_the_default(tmp_path: Path) -> None:
    """Another user's default is another directory."""
    file = tmp_path / "arc.conf"
    file.write_text("[common]\nhostname=localhost\n[arex]\ncontroldir=/var/spool/arc/jobstatus\n")
    config, _ = load(file, {"HOME": "/home/u"}, uid=1000)
    file.write_text(show(config))

    assert config == load(file, {"HOME": "/home/v"}, uid=1000)[0]


def test_the_dictionary_is_json_with_plain_values() -> None:
    config, _ = load(DATA / "site.conf", {}, uid=0)

    found = json.loads(json.dumps(as_dict(config)))

    assert found["source"] == str(DATA / "site.conf")
    blocks = found["blocks"]
    assert blocks["arex"]["sessiondir"] == ["/srv/arc/session1", "/srv/arc/session2 drain"]
    assert blocks["arex"]["wakeupperiod"] == 180
    assert blocks["arex"]["maxjobs"] == "1000 100 50 -1 5"
    assert blocks["arex"]["loglevel"] == 4
    assert blocks["arex"]["joblog"] is None
    assert blocks["arex"]["scratchdir"] == "/scratch"
    assert blocks["arex/service"]["fsync"] is True
    assert blocks["queue:short"]["maxwalltime"] == 3600
    assert blocks["mapping"] == {"map_to_user": "all nobody:nogroup"}


def test_options_that_repeat_are_lists(tmp_path: Path) -> None:
    file = tmp_path / "arc.conf"
    file.write_text("[arex]\nruntimedir=/a\nruntimedir=/b\n")

    found = as_dict(load(file, {}, uid=0)[0])

    assert isinstance(found["blocks"], dict)
    assert found["blocks"]["arex"]["runtimedir"] == ["/a", "/b"]


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "arc.conf"
    file.write_text("[lrms]\nboinc_db_pass=secret-word\n")
    config, warnings = load(file, {}, uid=0)

    assert "secret-word" not in show(config) + str(as_dict(config)) + str(warnings)
