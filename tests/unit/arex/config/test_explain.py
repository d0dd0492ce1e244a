from __future__ import annotations

import re
from pathlib import Path

import pytest

from arex.config.arc_options import kinds, names, typed
from arex.config.explain import commented_file, explain, reference_markdown
from arex.config.load import load
from arex.errors import ConfigError


@pytest.mark.parametrize("name", ["arex.maxjobs", "[arex] maxjobs", "maxjobs", " [arex]maxjobs "])
def test_an_option_is_found_by_any_of_its_spellings(name: str) -> None:
    text = explain(name)

    assert text.startswith("[arex] maxjobs\n  Five limits")
    assert "Default: -1 -1 -1 -1 -1" in text


def test_a_name_in_several_blocks_is_explained_for_each() -> None:
    assert re.findall(r"^\[.*\] defaultmemory$", explain("defaultmemory"), re.MULTILINE) == [
        "[lrms] defaultmemory",
        "[queue:NAME] defaultmemory",
    ]


def test_a_block_lists_its_options() -> None:
    text = explain("[queue:long]")

    assert "maxwalltime: Longest run time" in text
    assert "Without effect: homogeneity" in text
    assert explain("queue:long.comment").startswith("[queue:NAME] comment")
    assert explain("arex/ws/jobs").startswith("[arex/ws/jobs]")


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("maxjob", "did you mean maxjobs?"),
        ("arex.maxjob", "did you mean maxjobs?"),
        ("[arx] maxjobs", "did you mean [arex]?"),
        ("common.maxjobs", "it belongs in [arex]"),
        ("", "for example: arex.maxjobs"),
        ("zzzzzzzzz", ""),
    ],
)
def test_an_unknown_option_gets_a_suggestion(name: str, cure: str) -> None:
    with pytest.raises(ConfigError) as caught:
        explain(name)

    assert [cure] == [fault.cure for fault in caught.value.faults]


def test_every_name_can_be_explained() -> None:
    for kind in kinds():
        assert explain(f"[{kind}]")
        for name in names(kind):
            assert name in explain(f"[{kind}] {name}")


def test_options_without_effect_say_so() -> None:
    assert "it has no effect" in explain("arex.delegationdb")
    assert "without effect" in explain("arex.helper")
    assert "user of the service" in explain("mapping.map_to_user")


def test_the_reference_page_has_every_block_and_option() -> None:
    page = reference_markdown()

    for kind in kinds():
        assert f"[{kind}" in page
        assert all(f"### {name}\n" in page for name in typed(kind))
        assert all(name in page for name in names(kind))


def test_the_commented_file_loads_as_it_is_and_says_nothing_new(tmp_path: Path) -> None:
    file = tmp_path / "arc.conf"
    file.write_text(commented_file())
    environ = {"HOME": "/home/u"}

    config, warnings = load(file, environ, uid=1000)

    assert warnings == []
    assert config == load(None, environ, uid=1000, system=tmp_path / "absent")[0]


def test_the_commented_file_loads_with_every_option_in_force(tmp_path: Path) -> None:
    text = re.sub(r"^#(?! )", "", commented_file(), flags=re.MULTILINE)
    file = tmp_path / "arc.conf"
    file.write_text(text)

    config, warnings = load(file, {"HOME": "/home/u"}, uid=1000)

    assert warnings == []
    assert config.common.hostname == "ce.example.org"
    assert {about.name for kind in kinds() for about in typed(kind).values() if about.honoured} <= set(
        re.findall(r"^(\w+) =", text, re.MULTILINE)
    )
