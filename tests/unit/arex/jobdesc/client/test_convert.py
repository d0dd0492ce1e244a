"""From one language to another: what is not named as lost comes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.errors import JobDescriptionError
from arex.jobdesc import DescriptionDialect, parse
from arex.jobdesc.client.convert import Language, convert
from arex.jobdesc.model import (
    InputFile,
    JobDescription,
    Location,
    OutputFile,
    Program,
    Resources,
    Software,
    Target,
)
from tests.interop.corpus import corpus

#: What all three have words for.
COMMON = JobDescription(
    name="n",
    executable="run.sh",
    arguments=("a b", "", "'\"\\$x", "é"),
    stdin="i",
    stdout="o",
    stderr="e",
    environment=(("A", "x=y z"),),
    rerun=2,
    inputs=(InputFile(name="data", sources=(Location(url="https://h:443/p/data"),)), InputFile(name="run.sh")),
    outputs=(OutputFile(name="o"), OutputFile(name="r", targets=(Target(url="gsiftp://h:2811/r"),))),
    resources=Resources(
        runtimes=(Software(name="A", version="1.2"),),
        memory_mb=5,
        slots=4,
        slots_per_host=2,
        exclusive=True,
        queue="q",
        cputime_s=61,
        walltime_s=3600,
    ),
)

TEXT = st.text(max_size=12)
WORD = st.text("abcXYZ.-_ é\"'\\$&<{[(", min_size=1, max_size=8)
AMOUNT = st.none() | st.integers(0, 10**6)
JOBS = st.builds(
    JobDescription,
    name=TEXT,
    executable=WORD,
    arguments=st.lists(TEXT, max_size=3).map(tuple),
    exit_code=AMOUNT,
    stdin=TEXT,
    stdout=TEXT,
    environment=st.lists(st.tuples(WORD, TEXT), max_size=2).map(tuple),
    rerun=AMOUNT,
    priority=st.none() | st.integers(1, 100),
    lifetime_s=AMOUNT,
    dryrun=st.booleans(),
    before=st.lists(st.builds(Program, path=WORD, exit_code=st.just(0) | AMOUNT), max_size=2).map(tuple),
    inputs=st.lists(
        st.builds(
            InputFile,
            name=WORD,
            executable=st.booleans(),
            sources=st.sampled_from([(), (Location(url="https://h:443/x"),), (Location(url="/l/x"),)]),
        ),
        max_size=2,
    ).map(tuple),
    outputs=st.lists(
        st.builds(
            OutputFile,
            name=WORD,
            targets=st.sampled_from(
                [(), (Target(url="https://h:443/x", if_failure=True),), (Target(url="rc://h:389/x"),)]
            ),
        ),
        max_size=2,
    ).map(tuple),
    rank=st.sampled_from(["", "other.X"]),
    requirements=st.sampled_from(["", "(a || b) && !c", "other.X =?= undefined"]),
    resources=st.builds(
        Resources,
        memory_mb=AMOUNT,
        walltime_s=AMOUNT,
        cputime_s=AMOUNT,
        slots=AMOUNT,
        exclusive=st.none() | st.booleans(),
        queue=TEXT,
        runtimes=st.lists(st.builds(Software, name=WORD, version=st.sampled_from(["", "1.2"])), max_size=2).map(tuple),
    ),
)


@pytest.mark.parametrize("language", Language)
def test_what_all_languages_can_say_is_never_lost(language: Language) -> None:
    found = convert(COMMON, language)

    assert found.lost == ()


@pytest.mark.parametrize("language", Language)
@given(job=JOBS)
def test_what_is_not_named_as_lost_comes_back(language: Language, job: JobDescription) -> None:
    """And the text stays the same from then on."""
    try:
        found = convert(job, language)
    except JobDescriptionError:
        return
    (again,) = parse(found.text, DescriptionDialect.USER)

    same = [job.arguments == again.arguments, job.environment == again.environment, job.stdout == again.stdout]
    assert all(same) or found.lost
    assert convert(again, language).lost == ()
    for field, words in {
        "exit_code": "exit code",
        "rank": "rank",
        "requirements": "requirements",
        "before": "before the job",
        "lifetime_s": "results are kept",
        "priority": "priority",
    }.items():
        lost = any(words in what for what in found.lost)
        assert lost == (getattr(job, field) != getattr(again, field)), field


@pytest.mark.parametrize("language", Language)
def test_every_description_of_the_corpus_settles_at_once(language: Language) -> None:
    """What was written and read loses nothing when it is written again."""
    for name, text in corpus().items():
        for job in read(text):
            try:
                found = convert(job, language)
            except JobDescriptionError:
                continue
            (again,) = parse(found.text, DescriptionDialect.USER)
            assert (name, ()) == (name, convert(again, language).lost)


def read(text: bytes) -> list[JobDescription]:
    try:
        return parse(text, DescriptionDialect.USER)
    except JobDescriptionError:
        return []


def test_every_loss_is_a_sentence() -> None:
    job = replace(
        COMMON,
        exit_code=3,
        summary="text",
        expiration=datetime(2030, 1, 1, tzinfo=UTC),
        inputs=(InputFile(name="x", sources=(Location(url="*.dat"),), pattern=True),),
        resources=Resources(parallel=None, platform="arm64", memory_mb=5),
    )

    assert convert(job, Language.XRSL).lost == (
        "xRSL cannot express the description of the job: text",
        "xRSL cannot express the exit code that counts as success: 3",
        "xRSL cannot express the time when the description expires: 2030-01-01 00:00:00+00:00",
        "input file x: xRSL cannot express that it stands for any number of files: True",
    )
    assert "JDL cannot express the platform: arm64" in convert(job, Language.JDL).lost
    assert "input file x: in JDL it is named *.dat" in convert(job, Language.JDL).lost
    assert "input file x: ADL cannot express its source: *.dat; it has x" in convert(job, Language.ADL).lost


def test_what_jdl_has_no_use_for_comes_back_in_jdl() -> None:
    text = '[ Executable = "x"; VirtualOrganisation = "v"; Own = { 1, [ a = b ] }; Rank = -other.R; ExpiryTime = 5; ]'
    (job,) = parse(text, DescriptionDialect.USER)

    found = convert(job, Language.JDL)

    assert (found.lost, parse(found.text, DescriptionDialect.USER)) == ((), [job])


@pytest.mark.parametrize("language", Language)
def test_a_character_that_a_language_can_not_carry_is_an_error(language: Language) -> None:
    with pytest.raises(JobDescriptionError, match=r"NUL|is not allowed in"):
        convert(replace(COMMON, name="a\0b"), language)


def test_what_xrsl_takes_for_a_comment_without_an_end_is_an_error() -> None:
    with pytest.raises(JobDescriptionError, match="begins a comment"):
        convert(replace(COMMON, name="a(*b"), Language.XRSL)


@pytest.mark.parametrize("name", ["xrsl", "XRSL", "nordugrid:xrsl"])
def test_a_language_has_two_names(name: str) -> None:
    assert Language.named(name) is Language.XRSL
