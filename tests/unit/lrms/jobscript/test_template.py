from __future__ import annotations

import pytest

from lrms.jobscript import template
from lrms.jobscript.template import part
from tests.environments import ROOT


def test_a_slot_is_a_placeholder_in_the_part() -> None:
    assert "RUNTIME_LOCAL_SCRATCH_DIR=" not in part("sandbox_watch", LATE="17")
    assert "sleep 17 &&" in part("sandbox_watch", LATE="17")


def test_a_line_that_is_a_slot_becomes_lines_or_nothing() -> None:
    filled = part("environment", EXPORTS="export 'A=1'\nexport 'B=2'")

    assert filled.splitlines()[:3] == ["export 'A=1'", "export 'B=2'", "HOME=$RUNTIME_JOB_DIR"]
    assert part("environment", EXPORTS="").splitlines()[0] == "HOME=$RUNTIME_JOB_DIR"


def test_a_missing_slot_is_an_error() -> None:
    with pytest.raises(KeyError, match="LATE"):
        part("sandbox_watch")


def test_a_value_without_a_slot_is_an_error() -> None:
    with pytest.raises(ValueError, match="no slot LATER"):
        part("sandbox_watch", LATE="1", LATER="2")


def test_a_value_is_filled_in_once_whatever_it_contains() -> None:
    assert "arex_args=@ARGS@ \\1 ${x}\n" in part("payload", ARGS="@ARGS@ \\1 ${x}", DIRECTORIES="")


def test_comments_for_readers_of_a_file_are_in_no_script() -> None:
    """The directives for shellcheck and their reasons; a first line with the interpreter stays."""
    starter = part("sge_starter", SCRIPT="x")

    assert starter.startswith("#!/bin/sh\n/bin/sh x\n")
    assert not any("SC2034, SC2154" in text for text in template._PARTS.values())


def test_every_file_says_what_it_is_for() -> None:
    """Its head ends with the first empty line; without one, the code would be taken for it."""
    for path in (ROOT / "lrms/jobscript/shell").iterdir():
        head = path.read_text().partition("\n\n")[0].splitlines()

        assert all(line.startswith("#") for line in head), path.name
        assert len(head) >= 2, path.name
