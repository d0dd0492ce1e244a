"""Print the reference of the description languages, as Markdown; ``make generated`` puts it into the documentation."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Final

from arex.jobdesc.jdl.rules import RULES
from arex.jobdesc.reference import ADL, XRSL, Fact

_HEAD: Final = """\
<!-- Generated from the readers themselves: python tools/gen_attributes.py -->
# Attributes

This page lists all attributes of job descriptions in xRSL, ADL and JDL. [Job descriptions](job-descriptions.md)
explains how to use them.

The column "Stored in" names the control file that holds the value. Names such as `joboption_count` are lines of
`job.ID.grami`, which the backends read. `.input` and `.output` are the lists of files. Other names are lines of
`job.ID.local`. "none" means that the attribute is accepted but has no effect.

An attribute that is in none of these tables is ignored with a warning, which suggests a similar name if there is one.
"""
_INTRO: Final = {
    "xRSL": "Case and underscores in names are ignored. Periods without a unit are in minutes.",
    "ADL": "Names are case-sensitive. Names of NorduGrid's extension are in its namespace. Periods are in seconds.",
    "JDL": "Case in names is ignored. JDL needs the ClassAd library: `pip install 'arex[jdl]'`.",
}


def reference() -> str:
    """The whole page."""
    jdl = {rule.name: Fact(rule.meaning, rule.unit, rule.target, rule.note) for rule in RULES.values()}
    parts = [_HEAD]
    for language, facts in (("xRSL", XRSL), ("ADL", ADL), ("JDL", jdl)):
        parts += [f"## {language}\n", f"{_INTRO[language]}\n", *_table(facts.items()), ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def _table(facts: Iterable[tuple[str, Fact]]) -> Iterator[str]:
    yield "| Name | Meaning | Unit | Stored in | Notes |\n| --- | --- | --- | --- | --- |"
    for name, fact in facts:
        yield f"| `{name}` | {' | '.join(map(_cell, fact))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
