"""What holds for all of the code, and what its page of architecture says of it."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from arex import errors
from tests import environments, source
from tests.environments import ROOT
from tools.gen_architecture import HOMES, PACKAGES, fresh, tree

#: Everything that belongs to the project, as folders and single files.
OURS: Final = (
    *PACKAGES, ".ci", "ansible", "benchmarks", "docs", "tests", "tools", "Makefile", "mkdocs.yml", "pyproject.toml",
    ".gitignore", ".pre-commit-config.yaml", ".yamllint", "README.md", "CHANGELOG.md", "CONTRIBUTING.md",
)  # fmt: skip
CODE: Final = (*PACKAGES, "tests", "tools", "benchmarks")
PAGE: Final = ROOT / "docs/developers/architecture.md"
#: Modules in a folder, beyond which it holds two ideas; lines in a module.
MOST_MODULES: Final = 16
MOST_LINES: Final = 450
ERRORS: Final = [one for _, one in inspect.getmembers(errors, inspect.isclass) if one.__module__ == errors.__name__]


def files(*suffixes: str, within: tuple[str, ...] = OURS) -> Iterator[Path]:
    """Files of ours, whether or not anybody has added them yet."""
    for name in within:
        top = ROOT / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and (not suffixes or path.suffix in suffixes):
                yield path


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_says_what_it_means(error: type) -> None:
    assert error.__doc__


@pytest.mark.parametrize("error", [e for e in ERRORS if issubclass(e, Exception)], ids=lambda error: error.__name__)
def test_every_error_belongs_to_the_tree_and_has_an_exit_code(error: type) -> None:
    assert issubclass(error, errors.ArexError)
    assert error.exit_code in range(1, 128)


def test_the_drawing_of_the_errors_is_the_tree() -> None:
    """Each class below the one that it is made from: deeper by what stands left of its name."""
    drawn: dict[str, str] = {}
    above: list[tuple[int, str]] = [(-1, "ArexError")]
    for line in (errors.__doc__ or "").splitlines():
        if (match := re.match(r"([+|][- |]*[ -]+|\+ )([A-Z]\w+)", line)) is not None:
            depth, name = len(match[1]), match[2]
            above = [each for each in above if each[0] < depth]
            drawn[name] = above[-1][1]
            above.append((depth, name))

    assert {one.__name__: one.__base__.__name__ for one in ERRORS if one.__base__ in ERRORS} == drawn


# --- imports ----------------------------------------------------------------------------------------------------------


def test_imports_point_down_only() -> None:
    """The contracts in pyproject.toml."""
    environments.run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")


def test_every_module_has_its_place_in_the_layers() -> None:
    """A module that no layer names would be free to import anything."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["id"] == "layers"]
    placed = {name for layer in layers for name in re.split(r" [|:] ", layer)}
    modules = {f"arex.{path.stem}" for path in (ROOT / "arex").iterdir() if path.suffix in {".py", ""}}
    modules |= {f"arex.config.{path.stem}" for path in (ROOT / "arex/config").glob("*.py")}

    assert set() == modules - placed - {"arex.__init__", "arex.__pycache__", "arex.config", "arex.config.__init__"}


@pytest.mark.parametrize("package", HOMES)
def test_a_third_party_package_is_imported_in_its_places_only(package: str) -> None:
    users = {name_of(path) for path in files(".py", within=PACKAGES) if package in imported(path)}

    assert users
    assert set() == {user for user in users if not user.startswith(HOMES[package])}


def test_every_third_party_package_has_its_places() -> None:
    known = {*HOMES, *PACKAGES, *sys.stdlib_module_names}

    assert {} == {
        name_of(path): strange for path in files(".py", within=PACKAGES) if (strange := imported(path) - known)
    }


# --- the tree ---------------------------------------------------------------------------------------------------------


def test_the_page_shows_the_tree_and_the_places_of_packages_as_they_are() -> None:
    """If not: make generated."""
    page = PAGE.read_text(encoding="utf-8")

    assert fresh(page) == page


def test_the_tree_has_every_folder() -> None:
    folders = [path.parent for path in files(".py", within=PACKAGES) if path.name == "__init__.py"]
    drawn = [line for line in tree().splitlines() if re.match(r" *\w+/ ", line)]

    assert len(folders) == len(drawn)
    assert [] == [line for line in drawn if len(line.split(maxsplit=1)) < 2]


def test_no_folder_holds_two_ideas() -> None:
    """``cli`` has one module for each command."""
    folders = Counter(path.parent for path in files(".py", within=PACKAGES))

    assert {} == {name_of(folder): many for folder, many in folders.items() if many > MOST_MODULES
                  and folder != ROOT / "arex/cli"}  # fmt: skip


def test_a_class_name_has_one_meaning() -> None:
    places: dict[str, list[str]] = {}
    for path in files(".py", within=PACKAGES):
        for node in source.syntax(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name_of(path))

    assert {} == {name: where for name, where in places.items() if len(where) > 1}


def test_no_module_is_too_long() -> None:
    code = [path for path in files(".py", ".sh", within=CODE) if environments.DATA not in path.parents]
    lines = {name_of(path): path.read_bytes().count(b"\n") for path in code}

    assert {} == {name: many for name, many in lines.items() if many > MOST_LINES}


def imported(path: Path) -> set[str]:
    """Top-level names that a module imports."""
    found = set()
    for node in source.nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


# --- classes ----------------------------------------------------------------------------------------------------------


def classes() -> dict[str, ast.ClassDef]:
    """Every class of ours by its full name, with its bases in full names where they are ours."""
    found = {}
    for path in files(".py", within=PACKAGES):
        module = name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        tree = source.syntax(path)
        names = {each.name: f"{module}.{each.name}" for each in tree.body if isinstance(each, ast.ClassDef)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
        for each in tree.body:
            if isinstance(each, ast.ClassDef):
                each.bases = [ast.Name(names.get(ast.unparse(base), ast.unparse(base))) for base in each.bases]
                found[f"{module}.{each.name}"] = each
    return found


def privates(node: ast.ClassDef) -> set[str]:
    """Methods and attributes of a class itself that are its own business."""
    names = {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {name for name in names if name.startswith("_") and not name.endswith("__")}


def test_no_subclass_overrides_a_private_method() -> None:
    """Classes are composed: see docs/adr/0009. A method that others may replace is public, and part of a protocol."""
    every = classes()
    overridden = []
    for name, node in every.items():
        above = [ast.unparse(base) for base in node.bases]
        while above:
            parent = above.pop()
            if (base := every.get(parent)) is not None:
                overridden += [f"{name}.{each} overrides {parent}" for each in privates(node) & privates(base)]
                above += [ast.unparse(each) for each in base.bases]

    assert ["lrms.pbs.dialect.PbsDialect"] == [
        ast.unparse(base) for base in every["lrms.pbs.dialect.TorqueDialect"].bases
    ]
    assert [] == overridden


# --- texts ------------------------------------------------------------------------------------------------------------


def test_no_file_names_the_machine_that_it_was_written_on() -> None:
    pattern = re.compile(rb"(?<![\w./-])/(?:work|farm)/|/root/\.")

    assert [] == [name_of(path) for path in files() if path != Path(__file__) and pattern.search(path.read_bytes())]


def test_nothing_is_left_for_later() -> None:
    pattern = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    code = files(".py", ".sh", within=CODE)

    assert [] == [name_of(path) for path in code if pattern.search(path.read_text(encoding="utf-8"))]


def test_nothing_secret_goes_into_a_log() -> None:
    """No proxy, token or environment is an argument of a logging call."""
    secret = re.compile(r"\b(?:environ|pem|proxy|credential|token|password|secret)\b")
    found = []
    for path in files(".py", within=PACKAGES):
        for call in logging_calls(path):
            values = [ast.unparse(each) for each in (*call.args, *(word.value for word in call.keywords))
                      if not isinstance(each, ast.Constant)]  # fmt: skip
            found += [f"{name_of(path)}:{call.lineno}" for value in values if secret.search(value)]

    assert [] == found


def logging_calls(path: Path) -> Iterator[ast.Call]:
    for node in source.nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id in {"log", "logger", "logging"}:
                yield node


def test_every_shell_script_is_checked() -> None:
    """What the Makefile hands to shellcheck is every script that there is, and every part of a job script."""
    scripts = {name_of(path) for path in files(within=(".ci", "tools")) if path.read_bytes().startswith(b"#!/")}
    parts = {name_of(path) for path in files(".sh", within=PACKAGES)}
    [line] = re.findall(r"^SCRIPTS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    checked = {name_of(path) for word in re.findall(r"[\w.*/]+", line) for path in ROOT.glob(word) if path.is_file()}

    assert checked == scripts | parts
    assert scripts == {".ci/run", *(name_of(path) for path in (ROOT / "tools").rglob("*.sh"))}
