"""Versions, how they compare, and which runtime environments a job gets."""

from __future__ import annotations

import pytest

from arex.errors import JobRefused
from arex.jobdesc import DescriptionDialect, parse
from arex.jobdesc.model import Software
from arex.jobdesc.software import greater, resolve_runtimes, satisfies, software

INSTALLED = ("A-1.0", "A-1.2", "A-1.10", "A-2.0-rc1", "B", "ENV/PROXY", "C-1", "C-1.0")


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        ("A", "A", ""),
        ("A-1.0", "A", "1.0"),
        ("A-B-1.0-2", "A-B", "1.0-2"),
        ("A-rc1", "A-rc1", ""),
        ("A--1", "A-", "1"),
        ("-1", "", "1"),
        ("A-", "A-", ""),
    ],
)
def test_the_version_starts_behind_the_first_dash_that_a_digit_follows(text: str, name: str, version: str) -> None:
    found = software(text)

    assert (name, version) == (found.name, found.version)
    assert text == found.full_name or not name


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("A-2", "A-1", True),
        ("A-1", "A-2", False),
        ("A-1", "A-1", False),
        ("A-1.10", "A-1.9", True),
        ("A-1.0", "A-1", False),
        ("A-1.0.1", "A-1", True),
        ("A-1", "A-1.0.1", False),
        ("A-1.x", "A-1", False),
        ("A-1-1", "A-1.0", True),
        ("A-1.a", "A-1.b", False),
        ("A-1.a.2", "A-1.a.1", True),
        ("A-2", "B-1", False),
        ("A-1", "A", True),
        ("A", "A-1", False),
        ("A-01", "A-1", False),
    ],
)
def test_versions_compare_as_in_arc(left: str, right: str, expected: bool) -> None:
    assert expected is greater(software(left), software(right))


def test_families_do_not_mix() -> None:
    assert not greater(Software(name="a", version="2", family="x"), Software(name="a", version="1", family="y"))


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ("=", {"A-1.2"}),
        (">", {"A-1.10", "A-2.0-rc1"}),
        (">=", {"A-1.2", "A-1.10", "A-2.0-rc1"}),
        ("<", {"A-1.0"}),
        ("<=", {"A-1.0", "A-1.2"}),
        ("!=", {"A-1.0", "A-1.10", "A-2.0-rc1"}),
    ],
)
def test_a_relation_chooses(relation: str, expected: set[str]) -> None:
    wanted = software("A-1.2", relation)

    assert expected == {name for name in INSTALLED if name.startswith("A") and satisfies(software(name), wanted)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=A-1.0", ["A-1.0"]),
        (">=A-1.0", ["A-2.0-rc1"]),
        ("<A-2.0", ["A-1.10"]),
        ("<=A-1.5", ["A-1.2"]),
        (">A-1.2", ["A-2.0-rc1"]),
        ("!=A-7", []),
        ("=B", ["B"]),
        (">=B", ["B"]),
        (">=C-1", ["C-1"]),
    ],
)
def test_of_those_that_satisfy_the_latest_is_taken(text: str, expected: list[str]) -> None:
    (job,) = parse(f"&(executable=x)(runtimeenvironment{text})", DescriptionDialect.USER)

    found = resolve_runtimes(job, INSTALLED).resources.runtimes

    assert expected == [one.full_name for one in found]
    assert all(one.relation == "=" for one in found)


def test_options_stay_with_what_is_chosen() -> None:
    (job,) = parse(
        "&(executable=x)(runtimeenvironment>=A-1 a 'b c')(runtimeenvironment=ENV/PROXY)", DescriptionDialect.USER
    )

    found = resolve_runtimes(job, INSTALLED).resources.runtimes

    assert [("A-2.0-rc1", ("a", "b c")), ("ENV/PROXY", ())] == [(one.full_name, one.options) for one in found]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">A-7", "No runtime environment > A-7 is installed; there is A-1.0, A-1.10, A-1.2, A-2.0-rc1"),
        ("=D", "No runtime environment D is installed"),
        ("=env/proxy", "No runtime environment env/proxy is installed"),
        ("!=A-1.0", "Runtime environment A-1.0 is installed here, but the job requires that it is not"),
    ],
)
def test_what_can_not_be_satisfied_is_refused(text: str, message: str) -> None:
    (job,) = parse(f"&(executable=x)(runtimeenvironment{text})", DescriptionDialect.USER)

    with pytest.raises(JobRefused) as caught:
        resolve_runtimes(job, INSTALLED)

    assert str(caught.value).startswith(message)
