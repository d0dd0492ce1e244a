"""tools/check-english.py: what it finds, and what it leaves alone."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from tests.environments import ROOT

GLOSSARY: Final = """\
# Glossary

- **queue**: not a lane.

## Retired words

| Say | For | Instead of |
| --- | --- | --- |
| queue | a partition | `lane`, `lanes` |
| no one | no person | `nobody` |
| be created | a file | `come into being` |
"""


def tool() -> ModuleType:
    """The script; its name is no name of a module."""
    if (loaded := sys.modules.get("check_english")) is not None:
        return loaded
    spec = importlib.util.spec_from_file_location("check_english", ROOT / "tools/check-english.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["check_english"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECK: Final = tool()


def found(text: object, path: str = "a.file") -> list[tuple[int, str]]:
    return [(each.line, each.phrase) for each in CHECK.find(path, text, CHECK.rules(GLOSSARY))]


def in_python(source: str) -> list[tuple[int, str]]:
    return found(CHECK.python(source, CHECK.event_names([source])))


def in_markdown(source: str) -> list[tuple[int, str]]:
    return found(CHECK.markdown(source))


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    ["lane = 1", "def in_lane(): ...", "class LaneQueue: ...", "class BusyLane: ...", "LANE = 1", "import gm.lane",
     "x = 'the lane is full'", "# the lane is full", '"""The lane is full."""', "x = f'{y} lane'", "x = 'lane_parked'"],
)  # fmt: skip
def test_a_retired_word_is_found_in_identifiers_comments_and_strings(source: str) -> None:
    assert ["lane"] == [phrase.lower() for _, phrase in in_python(source)]


@pytest.mark.parametrize(
    "source", ["plane = 1", "x = 'planet'", "lanelet = 1", "class Planes: ...", "MiscellaneousX = 1"]
)
def test_a_part_of_another_word_is_not_a_retired_word(source: str) -> None:
    assert [] == in_python(source)


def test_the_name_of_a_file_counts() -> None:
    assert [(1, "lane in the name of the file")] == found(CHECK.python("x = 1"), "arex/gm/lane.py")


def test_names_of_log_events_are_allowed_where_they_are_text() -> None:
    source = 'log.info("full", extra={"event": "lane.parked"})  # lane.parked\nassert "lane.parked" in text\n'

    assert [] == in_python(source)
    assert [(3, "lane")] == in_python(source + "lane.parked(1)\n")


def test_the_account_nobody_is_allowed() -> None:
    assert [] == in_python('pwd.getpwnam("nobody")')
    assert [(1, "nobody")] == in_python('x = "nobody knows"')


def test_shell_is_checked_as_a_whole() -> None:
    source = 'arex_lane=1 # a lane\necho "it does not read" >&2\n'

    assert [(1, "lane"), (1, "lane"), (2, "does not read")] == sorted(found(CHECK.shell(source)))


# --- phrases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prose",
    ["the file does not read", "it does not read: {exc}", "jobs that do not read are kept", "it doesn't read.",
     "the owner is told", "they were told why", "it is not told", "a job of its own", "lines of their own, and more",
     "ends are heard of", "Who?", "it has come into being", "The line belongs into your profile", "what it shall be",
     "NONE, or as -T; no matter.", "brokering, which there is none of", "jobs that nothing is known of",
     "for ARC's sake", "a host that is root's to spoil", "the service believes it", "arex wants a number"],
)  # fmt: skip
def test_an_unclear_phrase_is_found_in_text_but_not_in_names(prose: str) -> None:
    assert len(in_python(f"x = {prose!r}")) == 1
    assert len(in_python(f"# {prose}\n")) == 1
    assert len(in_markdown(prose)) == 1
    assert [] == in_python("does_not_read = is_told = of_its_own = 1")


@pytest.mark.parametrize(
    "prose",
    ["arex does not read the profile", "it does not read `~/.profile`", "told apart is fine", "a user of its own kind",
     "it is its own master", "look at the log", "we hear it", "who is there", "no matter what the job does",
     "the user wants it"],
)  # fmt: skip
def test_good_english_passes(prose: str) -> None:
    assert [] == in_python(f"x = {prose!r}")
    assert [] == in_markdown(prose)


def test_a_phrase_may_go_on_in_the_next_line() -> None:
    assert [(1, "come into being")] == in_markdown("it has come\ninto being")
    assert [(1, "come into being")] == in_python("# it has come\n# into being\n")
    assert [(2, "come into being")] == in_python('x = (\n    "it has come "\n    "into being"\n)\n')


def test_a_phrase_does_not_go_across_code() -> None:
    assert [] == in_python("x['come'] = 'into being'  # nothing\n")


# --- documents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quoted", ["`lane`", "``a `lane` there``", "```text\nlane\n```\n", "[queue](lane.md#lane)"])
def test_what_a_page_quotes_is_left_alone(quoted: str) -> None:
    assert [] == in_markdown(f"before\n\n{quoted}\n")
    assert [(1, "lane")] == in_markdown(f"A lane.\n\n{quoted}\n")


def test_the_table_of_retired_words_does_not_count_but_the_rest_of_the_glossary_does() -> None:
    assert [(3, "lane")] == in_markdown(GLOSSARY)


def test_the_glossary_gives_the_words_and_what_to_say() -> None:
    assert [
        ("lane", "queue"), ("lanes", "queue"), ("nobody", "no one"), ("come into being", "be created"),
    ] == [*CHECK.retired(GLOSSARY)]  # fmt: skip


def test_the_real_glossary_has_words() -> None:
    words = dict(CHECK.retired((ROOT / CHECK.GLOSSARY).read_text(encoding="utf-8")))

    assert {"lane", "desk", "bell", "stray", "witness", "nobody", "somebody"} <= set(words)


# --- the whole --------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in {
        "docs/glossary.md": GLOSSARY.replace("not a lane", "a partition"),
        "docs/page.md": "A lane.\n",
        "README.md": "Nobody.\n",
        "arex/some.py": "# a lane\n",
        "tools/run.sh": "# a lane\n",
        "tests/data/slurm/some.py": "# a lane\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("only", "paths"),
    [("docs", ["README.md", "docs/page.md"]), ("code", ["arex/some.py", "tools/run.sh"]),
     ("all", ["README.md", "arex/some.py", "docs/page.md", "tools/run.sh"])],
)  # fmt: skip
def test_only_what_is_asked_for_is_checked(tree: Path, only: str, paths: list[str]) -> None:
    assert paths == [finding.path for finding in CHECK.check(tree, only, [])]


def test_files_can_be_skipped(tree: Path) -> None:
    assert ["docs/page.md"] == [finding.path for finding in CHECK.check(tree, "docs", ["README.md"])]


def test_a_finding_says_where_it_is_and_what_to_write(tree: Path) -> None:
    assert "docs/page.md:1: lane -> queue" == str(CHECK.check(tree, "docs", ["README.md"])[0])
