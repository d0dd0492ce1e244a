"""
What a user writes means the same to us as to ARC 6.17: accepted by both or by neither, and the same ADL.

Where it does not, the reason is in ``WANTED``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from arex.errors import JobDescriptionError
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.jobdesc.adl.writer import write_adl
from arex.jobdesc.xrsl.writer import write_xrsl
from tests.interop.corpus import corpus, inside
from tests.interop.generate import adl, xrsl
from tests.interop.oracle import Alternative, Answer, Oracle, Question

DATA: Final = Path(__file__).parents[1] / "data"
DIALECTS: Final = {DescriptionDialect.USER: "", DescriptionDialect.GRIDMANAGER: "GRIDMANAGER"}
UNSET_TRIES: Final = 20
ENVIRON: Final = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

#: Where we differ from ARC 6.17, and why that is better for the user.
WANTED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "adl-document: document type",
            "adl-document: document type with an entity",
            "adl-document: document type with a file",
            "adl-xml: acl doctype",
            "xrsl-values: acl with a document type",
        ),
        "security: entities read files and eat memory",
    ),
    **dict.fromkeys(
        (
            "adl-application: access control in cdata",
            "adl-identification: name in cdata",
            "adl-xml: cdata in a number",
            "adl-xml: cdata in an argument",
        ),
        "XML says that CDATA is text; 6.17 drops it without a message",
    ),
    "adl-xml: utf 16": "6.17 takes it for xRSL, and reads no more than its first two letters",
    "adl-document: list of jobs": "the service of 6.17 takes lists apart before its reader sees them",
    "adl-resources: exclusive without slots per host": "6.17 forgets the wish for a node of one's own",
    **dict.fromkeys(
        (
            "xrsl-grammar: control character in a string",
            "xrsl-grammar: escape character in a string",
            "xrsl-grammar: latin 1",
            "xrsl-lexical: beyond unicode",
            "xrsl-lexical: noncharacter",
            "xrsl-lexical: overlong",
            "xrsl-lexical: surrogates in utf 8",
        ),
        "XML can't carry it: 6.17 writes an empty string in its place",
    ),
    "xrsl-grammar: nul character": "security: what follows is lost in every C program on the way",
    "xrsl-grammar: byte order mark": "it is invisible, and some editors write it",
    **dict.fromkeys(
        (
            "xrsl-grammar: string not closed own",
            "xrsl-grammar: empty list without operand",
            "xrsl-times: starttime short",
        ),
        "6.17 crashes",
    ),
    **dict.fromkeys(
        ("xrsl-times: starttime year zero", "xrsl-values: starttime beyond 9999"),
        "a year that our calendar does not have",
    ),
    "xrsl-lexical: own with multibyte delimiter": "6.17 takes half a letter for the delimiter, and loses the string",
    **dict.fromkeys(
        (
            "adl-values: source without a scheme",
            "adl-values: target without a scheme",
            "xrsl-values: input from a url without a scheme",
            "xrsl-values: output to a url without a scheme",
        ),
        "6.17 takes the text without its beginning for a URL, which is none",
    ),
    **dict.fromkeys(
        ("adl-xml: acl latin1", "adl-xml: acl unknown encoding", "xrsl-values: acl with another encoding"),
        "6.17 decodes a text that is decoded already",
    ),
    **dict.fromkeys(
        (
            "xrsl-amounts: memory with a unit",
            "xrsl-amounts: memory with a unit apart",
            "xrsl-times: cputime colons",
            "xrsl-times: cputime fraction",
            "xrsl-times: cputime tab before the unit",
            "xrsl-values: walltime with dots",
        ),
        "6.17 drops the unit of a size, and takes such a period for none; here it means what the user has typed",
    ),
    **{name: "6.17 has lost the JDL that its forerunners read" for name in corpus() if name.startswith("jdl: ")},
}

_RELATION: Final = re.compile(r'\( ((?:runtimeenvironment|opsys|middleware) [!<>=]+ (?:"(?:[^"]|"")*" ?)+)\)')


def canonical(adl: str) -> bytes:
    """The document, but for blanks between elements."""
    root = etree.fromstring(adl.encode("utf-8", "surrogateescape"), etree.XMLParser(remove_blank_text=True))
    return etree.tostring(root, method="c14n")


def relations(xrsl: str) -> list[str]:
    # the whole text comes again at the end, quoted
    return sorted(text.strip() for text in _RELATION.findall(xrsl.partition("( clientxrsl")[0]))


def theirs(answer: Answer) -> object:
    if answer.crashed:
        return "crashed"
    if not answer.jobs:
        return "refused"
    return [[_facts(one) for one in job] for job in answer.jobs]


def _facts(one: Alternative) -> object:
    return canonical(one.adl).decode() if one.adl else "no ADL", relations(one.xrsl)


def ours(text: bytes, dialect: DescriptionDialect) -> object:
    try:
        jobs = parse(text, dialect)
        return [[_our_facts(one) for one in (job, *job.alternatives)] for job in jobs]
    except JobDescriptionError:
        return "refused"


def _our_facts(job: JobDescription) -> object:
    return canonical(write_adl(job)).decode(), relations(write_xrsl(job))


def compare(oracle: Oracle, text: bytes, dialect: DescriptionDialect) -> tuple[object, object]:
    """
    Their answer and ours; where they differ, that of a process that has seen nothing else.

    Whether a notification is optional is a variable that 6.17 does not set, even in a new process: a third of them
    refuse what the others accept. Then any of their answers may be ours.
    """
    question, we = Question(text, DIALECTS[dialect]), ours(text, dialect)
    they = theirs(oracle.ask(question))
    for _ in range(UNSET_TRIES if b"Notification" in text else 1):
        if they == we:
            break
        oracle.renew()
        they = theirs(oracle.ask(question))
    return they, we


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """It stands where we stand, in the same zone."""
    here, zone = Path.cwd(), os.environ.get("TZ")
    os.chdir(tmp_path_factory.mktemp("here"))
    os.environ["TZ"] = ENVIRON["TZ"]
    time.tzset()
    with Oracle(ENVIRON, Path.cwd()) as found:
        yield found
    os.chdir(here)
    os.environ.pop("TZ")
    if zone is not None:
        os.environ["TZ"] = zone
    time.tzset()


def described() -> dict[str, bytes]:
    """The corpus, and all descriptions that came from elsewhere."""
    paths = [*DATA.glob("descriptions/arcsub-*/*.*"), *DATA.glob("fixtures/*/ctl/*.description")]
    texts = {f"{path.parts[-3]}/{path.parts[-2]}/{path.name}": path.read_bytes() for path in sorted(paths)}
    return {**corpus(), **texts}


@pytest.mark.parametrize("dialect", DescriptionDialect)
def test_every_description_means_what_it_means_to_arc(oracle: Oracle, dialect: DescriptionDialect) -> None:
    texts = described()

    pairs = {name: compare(oracle, text, dialect) for name, text in texts.items()}
    differ = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    print(f"{dialect}: {len(texts)} descriptions compared, {len(differ)} differ as wanted")
    assert {} == {name: pair for name, pair in differ.items() if name not in WANTED}


def test_every_wanted_difference_is_one(oracle: Oracle) -> None:
    """A reason that has gone must go from the table, too."""
    texts = corpus()

    stale = [
        name
        for name in WANTED
        if all(len(set(map(repr, compare(oracle, texts[name], d)))) == 1 for d in DescriptionDialect)
    ]

    assert [] == stale


GENERATED: Final = settings(
    max_examples=300,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@GENERATED
@given(text=xrsl(), dialect=st.sampled_from(DescriptionDialect))
def test_any_xrsl_means_what_it_means_to_arc(oracle: Oracle, text: str, dialect: DescriptionDialect) -> None:
    they, we = compare(oracle, text.encode(), dialect)

    assert they in ("crashed", we)


@GENERATED
@given(body=adl(), dialect=st.sampled_from(DescriptionDialect))
def test_any_adl_means_what_it_means_to_arc(oracle: Oracle, body: str, dialect: DescriptionDialect) -> None:
    they, we = compare(oracle, inside(body.encode()), dialect)

    assert they in ("crashed", we)
