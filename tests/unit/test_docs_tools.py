"""What makes the documentation out of the code: the diagram of states, the colours of xRSL, the docstrings."""

from __future__ import annotations

import re

from pygments.token import Keyword, String

from arex.model.state import EDGES, State
from plugins.local.status import ClientState
from tests.environments import ROOT
from tools.docs_docstrings import readable
from tools.docs_hooks import XrslLexer, on_page_markdown
from tools.gen_states import PLACES, diagram


def test_the_diagram_of_states_is_fresh() -> None:
    """If not: make generated."""
    assert diagram() == (ROOT / "docs/states.svg").read_text(encoding="utf-8")


def test_the_diagram_shows_every_state_and_every_change() -> None:
    arrows = set(re.findall(r'<path id="(\w+)-(\w+)"', diagram()))

    assert {*State} - {State.UNDEFINED} == {*PLACES}
    assert {(start, end) for start, ends in EDGES.items() if start in PLACES for end in ends} == arrows


def test_the_diagram_and_the_tutorial_name_every_state_that_clients_show() -> None:
    tutorial = (ROOT / "docs/users/tutorial.md").read_text(encoding="utf-8")
    words = {str(state) for state in ClientState} - {ClientState.OTHER}

    assert [] == [word for word in words if word not in diagram()]
    assert [] == [word for word in words - {ClientState.DELETED} if word not in tutorial]


def test_attributes_and_strings_of_a_description_are_coloured() -> None:
    tokens = [*XrslLexer().get_tokens('&(executable="/bin/a b")(count >= 2)')]

    assert ["executable", "count"] == [text for kind, text in tokens if kind is Keyword]
    assert ['"/bin/a b"'] == [text for kind, text in tokens if kind is String]


def test_only_blocks_with_a_description_become_xrsl() -> None:
    page = "```text\n&(a=b)\n```\n\n```text\n$ ls\n```\n"

    assert page.replace("text", "xrsl", 1) == on_page_markdown(page)


def test_exceptions_without_a_description_get_that_of_their_class() -> None:
    text = "Do it.\n\nRaises:\n    NoSuchJob, NotYourJob\n    ValueError: it is odd.\n"

    lines = readable(text).splitlines()

    assert ["Do it.", "", "Raises:"] == lines[:3]
    assert ["NoSuchJob", "NotYourJob", "ValueError"] == [line.split(":")[0].strip() for line in lines[3:]]
    assert all(len(line.partition(": ")[2]) > 5 for line in lines[3:])
