"""The page of attributes says what the readers do."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from arex.jobdesc.jdl.rules import RULES
from arex.jobdesc.reference import ADL, XRSL
from arex.jobdesc.xrsl.parser import _LATE
from arex.jobdesc.xrsl.parser import _RULES as XRSL_RULES
from tests.environments import ROOT
from tools.gen_attributes import reference, stored


def known_elements() -> Iterator[str]:
    """Whatever the readers of ADL say that they know."""
    for name in ("parser", "files"):
        tree = ast.parse((ROOT / "arex/jobdesc/adl" / f"{name}.py").read_text())
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "knows":
                constants = (node.value for node in ast.walk(call) if isinstance(node, ast.Constant))
                yield from (text.removeprefix("?").removeprefix("ng:") for text in constants if isinstance(text, str))


def test_the_pages_of_attributes_are_fresh() -> None:
    """If not: make generated."""
    assert reference() == (ROOT / "docs/users/attributes.md").read_text(encoding="utf-8")
    assert stored() == (ROOT / "docs/developers/attributes.md").read_text(encoding="utf-8")


def test_every_attribute_of_xrsl_is_explained() -> None:
    assert set(XRSL) == {*XRSL_RULES, *_LATE}


def test_every_element_of_adl_is_explained() -> None:
    inside = {"Value", "Name"}  # of an option and of a variable

    assert set(ADL) | inside == set(known_elements()) | inside


def test_every_attribute_of_jdl_is_explained() -> None:
    assert all(rule.meaning and name == rule.name.lower() for name, rule in RULES.items())
