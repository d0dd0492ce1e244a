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

All that a job description can say, in the three languages. How to use them is in
[Job descriptions](job-descriptions.md).

The column "goes to" says where a service finds it: names such as `joboption_count` are lines of `job.ID.grami`, which
the batch system's part reads; `.input` and `.output` are the lists of files; others are lines of `job.ID.local`.
"none" means that it is read, and without effect on this host.

A name that is in none of these tables is ignored, with a warning that says which one was meant, perhaps.
"""
_INTRO: Final = {
    "xRSL": "Case and underscores do not matter in names. Periods without a unit are minutes.",
    "ADL": "Names are exact. Those that belong to NorduGrid's extension are in its namespace. Periods are seconds.",
    "JDL": "Case does not matter in names. Needs the ClassAd library: `pip install 'arex[jdl]'`.",
}


def reference() -> str:
    """The whole page."""
    jdl = {rule.name: Fact(rule.meaning, rule.unit, rule.target, rule.note) for rule in RULES.values()}
    parts = [_HEAD]
    for language, facts in (("xRSL", XRSL), ("ADL", ADL), ("JDL", jdl)):
        parts += [f"## {language}\n", f"{_INTRO[language]}\n", *_table(facts.items()), ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def _table(facts: Iterable[tuple[str, Fact]]) -> Iterator[str]:
    yield "| Name | Meaning | Unit | Goes to | Notes |\n| --- | --- | --- | --- | --- |"
    for name, fact in facts:
        yield f"| `{name}` | {' | '.join(map(_cell, fact))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
