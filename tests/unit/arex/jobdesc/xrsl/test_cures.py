"""Errors of xRSL that say what to write instead."""

from __future__ import annotations

import pytest

from arex.errors import JobDescriptionError
from arex.jobdesc import DescriptionDialect, parse


@pytest.mark.parametrize(
    ("relation", "what"),
    [
        (
            "(¦walltime=10 minuts)",
            "Value of attribute 'walltime' expected to be single value: quote it: (walltime=\"10 minutes\")",
        ),
        (
            "(¦jobname=my job)",
            "Value of attribute 'jobname' expected to be single value: quote it: (jobname=\"my job\")",
        ),
        ("(¦jobname=)", "Value of attribute 'jobname' expected to be single value"),
        ("(environment=FOO¦=bar)", "')' expected: write (environment=(FOO bar))"),
        ("(environment=PATH¦=/bin)", "')' expected: write (environment=(PATH \"/bin\"))"),
        ("(jobname=a¦=b)", "')' expected: quote it: (jobname=\"a=b\")"),
        ("(jobname=a¦=$(b))", "')' expected: quote values that contain operators"),
        ("(environment=¦FOO)", "Value of attribute 'environment' is not sequence: write (environment=(FOO VALUE))"),
        (
            '(environment=¦"FOO=b c")',
            "Value of attribute 'environment' is not sequence: write (environment=(FOO \"b c\"))",
        ),
        ("(outputfiles=¦a)", 'Value of attribute \'outputfiles\' is not sequence: write (outputfiles=("a" ""))'),
        (
            "(inputfiles=¦(a))",
            'At least two values are needed for the \'inputfiles\' attribute: write (inputfiles=("a" ""))',
        ),
    ],
)
def test_the_cure_is_in_the_message(relation: str, what: str) -> None:
    """The mark in the relation is where the caret stands."""
    text = f"&(executable=a){relation}"

    with pytest.raises(JobDescriptionError) as caught:
        parse(text.replace("¦", ""), DescriptionDialect.USER)

    assert (caught.value.what, caught.value.column) == (what, text.index("¦") + 1)
