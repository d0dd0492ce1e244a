"""
Print the reference of the description languages as Markdown; ``make generated`` puts it into the documentation.

With ``--stored``, print where each attribute is stored instead: that page is for developers.
"""

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

An attribute that is in none of these tables is ignored with a warning, which suggests a similar name if there is one.
"""
_STORED_HEAD: Final = """\
<!-- Generated from the readers themselves: python tools/gen_attributes.py --stored -->
# Where attributes are stored

This page names the [control file](control-directory.md) that holds the value of each
[attribute of a job description](../users/attributes.md). Names such as `joboption_count` are lines of `job.ID.grami`,
which the backends read. `.input` and `.output` are the lists of files. Other names are lines of `job.ID.local`. "none"
means that the attribute is accepted but has no effect.
"""
_INTRO: Final = {
    "xRSL": "Case and underscores in names are ignored. Periods without a unit are in minutes.",
    "ADL": "Names are case-sensitive. Names of NorduGrid's extension are in its namespace. Periods are in seconds.",
    "JDL": "Case in names is ignored. JDL needs the ClassAd library: `pip install 'arex[jdl]'`.",
}


def _languages() -> Iterator[tuple[str, dict[str, Fact]]]:
    yield from (("xRSL", XRSL), ("ADL", ADL))
    yield "JDL", {rule.name: Fact(rule.meaning, rule.unit, rule.target, rule.note) for rule in RULES.values()}


def reference() -> str:
    """The whole page for users."""
    parts = [_HEAD]
    for language, facts in _languages():
        parts += [f"## {language}\n", f"{_INTRO[language]}\n", "| Name | Meaning | Notes |\n| --- | --- | --- |"]
        parts += [*_rows((name, _meaning(fact), _notes(fact)) for name, fact in facts.items()), ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def stored() -> str:
    """The whole page for developers."""
    parts = [_STORED_HEAD]
    for language, facts in _languages():
        parts += [f"## {language}\n", "| Name | Stored in |\n| --- | --- |"]
        parts += [*_rows((name, fact.target) for name, fact in facts.items()), ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def _meaning(fact: Fact) -> str:
    return f"{fact.meaning} ({fact.unit})" if fact.unit else fact.meaning


def _notes(fact: Fact) -> str:
    return "; ".join(filter(None, ("no effect" if fact.target == "none" else "", fact.note)))


def _rows(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield from (f"| `{name}` | {' | '.join(map(_cell, cells))} |" for name, *cells in rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(stored() if "--stored" in sys.argv else reference())
