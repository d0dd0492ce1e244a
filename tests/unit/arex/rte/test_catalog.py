from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from arex.errors import UnsafePath
from arex.rte import (
    DEFAULT,
    DUMMY,
    ENABLED,
    BadParameter,
    Catalog,
    LinkedElsewhere,
    NoSuchRuntime,
    installed,
    is_name,
    matching,
    nearest,
)
from tests import environments

SCRIPT = """# description: a test
# param:COLOUR:red,blue:red:which one
# param:COUNT:int:1:how many: really
# param:TEXT:string::anything
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    for name in ("system/ENV/PROXY", "system/ENV/RTE", "user/APPS/HEP/X-1.0", "user/APPS/HEP/X-2.0", "user/ENV/RTE"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SCRIPT)
    return Catalog(tmp_path / "ctl", tmp_path / "system", [tmp_path / "user", tmp_path / "none"])


def put(catalog: Catalog, name: str, place: str = ENABLED, *, force: bool = False) -> bool:
    return catalog.link(name, catalog.available()[name], place, force=force)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["A", "ENV/PROXY", "APPS/HEP/X-1.0", "a b", ".x", "..x", "é"])
def test_a_name_is_a_place_below_a_directory(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "/", "/A", "A/", "A//B", ".", "..", "A/../B", "../A", "A\n", "A\0", "\x1b[31m"])
def test_what_leads_elsewhere_is_no_name(name: str) -> None:
    assert not is_name(name)


def test_a_pattern_takes_slashes_and_a_name_is_itself() -> None:
    names = ["APPS/X-1", "APPS/Y", "ENV/[x]"]

    assert matching("APPS*", names) == ["APPS/X-1", "APPS/Y"]
    assert matching("*-?", names) == ["APPS/X-1"]
    assert matching("ENV/[x]", names) == ["ENV/[x]"]
    assert matching("NO*", names) == []


@pytest.mark.parametrize(
    ("text", "meant"), [("env/proxy", "ENV/PROXY"), ("ENV/PORXY", "ENV/PROXY"), ("proxy", "ENV/PROXY"), ("zzz", "")]
)
def test_the_name_that_was_meant(text: str, meant: str) -> None:
    assert nearest(text, ["ENV/PROXY", "APPS/HEP/X-1.0"]) == meant


# --- links ------------------------------------------------------------------------------------------------------------


def test_the_sites_own_scripts_mask_those_of_arex(catalog: Catalog) -> None:
    assert catalog.available()["ENV/RTE"] == catalog.user_dirs[0] / "ENV/RTE"


def test_the_list_can_be_limited_to_enabled_and_default(catalog: Catalog, tmp_path: Path) -> None:
    assert installed(tmp_path / "ctl") == frozenset()

    put(catalog, "APPS/HEP/X-1.0")
    put(catalog, "ENV/PROXY", DEFAULT)
    catalog.link("NAME/ONLY", DUMMY, ENABLED)

    assert installed(tmp_path / "ctl") == {"APPS/HEP/X-1.0", "ENV/PROXY", "NAME/ONLY"}
    assert catalog.linked(ENABLED)["NAME/ONLY"].dummy
    assert (tmp_path / "ctl/rte/enabled/APPS/HEP/X-1.0").readlink() == tmp_path / "user/APPS/HEP/X-1.0"


@pytest.mark.parametrize("target", ["/no/such", "/", "X"])
def test_a_link_without_a_script_cannot_be_requested(catalog: Catalog, tmp_path: Path, target: str) -> None:
    (tmp_path / "ctl/rte/enabled").mkdir(parents=True)
    (tmp_path / "ctl/rte/enabled/X").symlink_to(target)

    assert installed(tmp_path / "ctl") == frozenset()
    assert catalog.linked(ENABLED)["X"].broken


def test_to_enable_twice_changes_nothing_and_another_script_needs_force(catalog: Catalog, tmp_path: Path) -> None:
    assert put(catalog, "ENV/RTE")
    assert not put(catalog, "ENV/RTE")
    with pytest.raises(LinkedElsewhere, match="--force"):
        catalog.link("ENV/RTE", tmp_path / "system/ENV/RTE", ENABLED)
    assert catalog.link("ENV/RTE", tmp_path / "system/ENV/RTE", ENABLED, force=True)
    assert catalog.linked(ENABLED)["ENV/RTE"].target == tmp_path / "system/ENV/RTE"


def test_what_no_tool_has_made_is_left_alone(catalog: Catalog, tmp_path: Path) -> None:
    own = tmp_path / "ctl/rte/enabled/ENV"
    own.mkdir(parents=True)
    (own / "RTE").write_text("by hand")

    with pytest.raises(LinkedElsewhere, match="not a link"):
        put(catalog, "ENV/RTE", force=True)
    with pytest.raises(LinkedElsewhere, match="not a link"):
        catalog.unlink("ENV/RTE", ENABLED)
    assert (own / "RTE").read_text() == "by hand"


def test_no_name_can_be_both_an_environment_and_a_folder_of_others(catalog: Catalog) -> None:
    catalog.link("ENV", DUMMY, ENABLED)

    with pytest.raises(LinkedElsewhere, match="itself"):
        put(catalog, "ENV/RTE")


@pytest.mark.parametrize("name", ["../X", "/tmp/X", "A/../../X", ""])
def test_hostile_names_get_nowhere(catalog: Catalog, tmp_path: Path, name: str) -> None:
    with pytest.raises((NoSuchRuntime, UnsafePath)):
        catalog.link(name, DUMMY, ENABLED)
    with pytest.raises(NoSuchRuntime):
        catalog.set_value(name, "A", "1")
    assert not (tmp_path / "ctl").exists()


def test_disabling_takes_empty_folders_along_and_no_others(catalog: Catalog, tmp_path: Path) -> None:
    put(catalog, "APPS/HEP/X-1.0")
    put(catalog, "APPS/HEP/X-2.0")

    catalog.unlink("APPS/HEP/X-1.0", ENABLED)
    assert [*catalog.linked(ENABLED)] == ["APPS/HEP/X-2.0"]
    catalog.unlink("APPS/HEP/X-2.0", ENABLED)
    assert [*(tmp_path / "ctl/rte/enabled").iterdir()] == []


# --- parameters -------------------------------------------------------------------------------------------------------


def test_parameters_have_the_defaults_that_the_script_declares(catalog: Catalog) -> None:
    found = [(each.name, each.default, each.description) for each in catalog.params("ENV/RTE")]

    assert found == [("COLOUR", "red", "which one"), ("COUNT", "1", "how many: really"), ("TEXT", "", "anything")]


@pytest.mark.parametrize(
    ("param", "value"), [("COLOUR", "blue"), ("COUNT", "-12"), ("TEXT", ""), ("TEXT", "$WORKDIR/it's a; b & é")]
)
def test_what_is_set_is_what_a_shell_reads(catalog: Catalog, tmp_path: Path, param: str, value: str) -> None:
    catalog.set_value("ENV/RTE", param, value)

    assert catalog.values("ENV/RTE") == {param: value}
    shown = subprocess.run(
        ["/bin/sh", "-c", f'. {tmp_path}/ctl/rte/params/ENV/RTE; printf %s "${param}"'],
        env={"WORKDIR": "$WORKDIR"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == value


@pytest.mark.parametrize(
    ("param", "value", "why"),
    [
        ("COLOUR", "green", "one of red, blue"),
        ("COUNT", "many", "must be a number"),
        ("COLOR", "red", "did you mean COLOUR"),
        ("TEXT", 'a"; rm -rf /; "', "TEXT must not contain quotes"),
        ("TEXT", "$(id)", "TEXT must not contain quotes"),
        ("TEXT", "`id`", "TEXT must not contain quotes"),
        ("TEXT", "a\nb", "TEXT must not contain quotes"),
        ("TEXT", "a\\", "TEXT must not contain quotes"),
    ],
)
def test_an_invalid_value_of_a_parameter_is_an_error(catalog: Catalog, param: str, value: str, why: str) -> None:
    with pytest.raises(BadParameter, match=why):
        catalog.set_value("ENV/RTE", param, value)

    assert catalog.values("ENV/RTE") == {}


def test_a_default_comes_back_and_nothing_is_left_behind(catalog: Catalog, tmp_path: Path) -> None:
    catalog.set_value("ENV/RTE", "COUNT", "2")
    catalog.set_value("ENV/RTE", "TEXT", "x")

    catalog.set_value("ENV/RTE", "COUNT", None)
    assert catalog.values("ENV/RTE") == {"TEXT": "x"}
    catalog.set_value("ENV/RTE", "TEXT", None)
    assert [*(tmp_path / "ctl/rte/params").iterdir()] == []


def test_values_of_other_tools_are_kept(catalog: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "ctl/rte/params/ENV/RTE"
    path.parent.mkdir(parents=True)
    path.write_text('OTHER="x"\nCOUNT="1"\n')

    catalog.set_value("ENV/RTE", "COUNT", "3")

    assert catalog.values("ENV/RTE") == {"OTHER": "x", "COUNT": "3"}


# --- the scripts that come with arex ----------------------------------------------------------------------------------


def shipped() -> list[Path]:
    root = environments.ROOT / "lrms" / "rte"
    return sorted(path for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.name)
def test_a_script_of_ours_is_clean_and_describes_itself(path: Path) -> None:
    catalog = Catalog(Path("/none"), environments.ROOT / "lrms" / "rte")
    name = str(path.relative_to(catalog.system_dir))
    program = shutil.which("shellcheck")
    assert program, "shellcheck is part of the test tools"

    done = subprocess.run([program, "-s", "sh", str(path)], capture_output=True, text=True, check=False)

    assert done.stdout + done.stderr == ""
    assert catalog.text(name).startswith("# description: ")
    assert all(each.description for each in catalog.params(name))
    assert os.access(path, os.R_OK)
