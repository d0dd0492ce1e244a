"""Every description of the corpus reads, or is refused with its place; and what reads can be kept."""

from __future__ import annotations

import pytest

from arex.errors import JobDescriptionError
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.jobdesc.adl.writer import write_adl
from arex.jobdesc.xrsl.writer import write_xrsl
from tests.interop.corpus import corpus

CORPUS = corpus()


def read(text: bytes, dialect: DescriptionDialect) -> list[JobDescription]:
    try:
        return parse(text, dialect)
    except JobDescriptionError:
        return []


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) > 1400


@pytest.mark.parametrize("dialect", DescriptionDialect)
def test_an_error_has_a_line(dialect: DescriptionDialect) -> None:
    for text in CORPUS.values():
        try:
            parse(text, dialect)
        except JobDescriptionError as exc:
            assert exc.line is not None  # noqa: PT017 - both ways are right
            assert exc.explained()  # noqa: PT017 - the same


@pytest.mark.parametrize("dialect", DescriptionDialect)
def test_what_is_written_as_adl_reads_and_stays_the_same_from_then_on(dialect: DescriptionDialect) -> None:
    """Readers of ADL skip options without a value, and all operating systems but the first."""
    for name, text in CORPUS.items():
        for job in read(text, dialect):
            try:
                written = write_adl(job, whole=True)
            except JobDescriptionError:  # a character that XML can't carry
                continue
            (again,) = parse(written, DescriptionDialect.GRIDMANAGER)
            assert [again] == parse(write_adl(again, whole=True), DescriptionDialect.GRIDMANAGER), name


def test_what_is_kept_as_xrsl_reads_again() -> None:
    for name, text in CORPUS.items():
        for job in read(text, DescriptionDialect.USER):
            assert parse(write_xrsl(job), DescriptionDialect.USER) or not job.executable, name
