"""Four packages with common names in one wheel, and the six guards that this needs; see docs/adr/0004."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from arex.cli.entry import COMMANDS
from arex.cli.service import command_line
from arex.config.model import Configuration
from tests import environments
from tests.environments import ROOT, Environment
from tests.trees import everything_below

PACKAGES = ["arex", "infoprovider", "lrms", "plugins"]
GIVEN_NAMES = ["infoprovider", "lrms", "plugins"]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("wheel")
    environments.run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(into), str(ROOT), cwd=into
    )
    [built] = into.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = environments.make(tmp_path_factory.mktemp("installed") / "venv")
    environment.install(wheel)
    return environment


@pytest.fixture
def hostile(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A working directory with a package of one of our names, which leaves a trace when it is run."""
    package = tmp_path / "elsewhere" / str(request.param)
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("open('trace', 'w').close()\n")
    return package.parent


def test_the_wheel_holds_our_four_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = sorted({name.partition("/")[0] for name in names})

    assert PACKAGES == [top for top in tops if not top.endswith((".dist-info", ".data"))]
    assert all("/share/man/man1/" in name for name in names if ".data/" in name)


def test_each_package_says_that_it_is_typed(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert [f"{package}/py.typed" for package in PACKAGES] == sorted(name for name in names if "py.typed" in name)


def test_the_wheel_brings_the_shell_code_of_job_scripts(wheel: Path) -> None:
    files = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "lrms/jobscript/shell").iterdir())

    assert files
    assert files == sorted(name for name in zipfile.ZipFile(wheel).namelist() if "/shell/" in name)


def test_the_wheel_brings_every_command_and_every_entry_point(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    [name] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    text = archive.read(name).decode()

    assert [] == [script for script in project()["project"]["scripts"] if f"\n{script} = arex.cli.entry:" not in text]
    assert "[arex.lrms]\nfork = lrms.fork.backend:ForkBackend" in text


def test_man_shows_our_page_of_an_installed_command(installed: Environment) -> None:
    """As it does for everybody with the environment's ``bin`` on PATH, also where ARC's pages are installed."""
    env = {"PATH": f"{installed.path / 'bin'}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "120"}

    found = {name: subprocess.run(["man", "-w", name], env=env, capture_output=True, text=True, check=True).stdout
             for name in (*COMMANDS, "arex-start", "arex-config")}  # fmt: skip
    shown = subprocess.run(["man", "arcsub"], env=env, capture_output=True, text=True, check=True)

    assert {name: f"{installed.path}/share/man/man1/{name}.1\n" for name in found} == found
    assert "--submission-id TEXT" in shown.stdout
    assert shown.stderr == ""


def test_an_installed_arex_starts_where_nothing_hides_its_parts(installed: Environment, tmp_path: Path) -> None:
    done = installed.run("-m", "arex", "--version", cwd=tmp_path)

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("hostile", GIVEN_NAMES, indirect=True)
def test_a_foreign_package_of_our_name_stops_the_start_and_is_not_run(installed: Environment, hostile: Path) -> None:
    """Exit code 70 and a sentence that names the file."""
    [package] = hostile.iterdir()

    done = installed.run("-m", "arex", "--version", cwd=hostile)

    assert 70 == done.returncode
    assert f"{package.name} from {package / '__init__.py'}" in done.stderr
    assert 1 == done.stderr.count("\n")
    assert not (hostile / "trace").exists()


@pytest.mark.parametrize("hostile", GIVEN_NAMES, indirect=True)
def test_an_isolated_start_does_not_see_foreign_packages(installed: Environment, hostile: Path) -> None:
    done = installed.run("-I", "-m", "arex", "--version", cwd=hostile)

    assert (0, "") == (done.returncode, done.stderr)
    assert not (hostile / "trace").exists()


@pytest.mark.parametrize("hostile", GIVEN_NAMES, indirect=True)
def test_the_installed_commands_do_not_see_foreign_packages(installed: Environment, hostile: Path) -> None:
    done = installed.run(str(installed.path / "bin" / "arcsub"), "--listplugins", cwd=hostile)

    assert (0, "") == (done.returncode, done.stderr)
    assert not (hostile / "trace").exists()


def test_the_service_starts_itself_isolated() -> None:
    """Guard 2: whatever directory and variables the caller has."""
    assert "-I" == command_line(Configuration(), "run")[1]


def test_configuration_and_entry_points_use_short_names() -> None:
    """Guard 4: a later change of package names touches one table for each package."""
    groups = project()["project"]["entry-points"]

    assert {"arex.lrms": ["fork"]} == {group: [*names] for group, names in groups.items()}


def test_no_directory_of_the_checkout_is_a_package_by_accident() -> None:
    """Guard 5: with one, the checkout would hide packages of that name from everybody who works in it."""
    ours = {*PACKAGES, "demo-run"}
    beside = [each for each in ROOT.iterdir() if each.is_dir() and each.name not in ours and ".venv" not in each.name]

    assert [] == [str(found) for path in beside for found in everything_below(path) if found.name == "__init__.py"]


def test_tests_and_the_build_name_what_they_take() -> None:
    """Guard 5, its other half."""
    tool = project()["tool"]

    assert PACKAGES == sorted(tool["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert PACKAGES == sorted(tool["mypy"]["packages"])
    assert PACKAGES == sorted(tool["importlinter"]["root_packages"])
    assert "--import-mode=importlib" in tool["pytest"]["ini_options"]["addopts"]
