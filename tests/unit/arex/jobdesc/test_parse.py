"""Which language is it."""

from __future__ import annotations

import pytest

from arex.errors import JobDescriptionError
from arex.jobdesc import DescriptionDialect, parse

ADL = '<ActivityDescription xmlns="http://www.eu-emi.eu/es/2010/12/adl"><Application/></ActivityDescription>'


@pytest.mark.parametrize(
    "text",
    [
        "&(executable=x)",
        "  \n&(executable=x)",
        "|(executable=x)(executable=y)",
        b"\xef\xbb\xbf&(executable=x)",
        b"+(&(executable=x))",
        "(* a comment *) & (executable=x)",
        "executable=x",
    ],
)
def test_rsl_starts_with_an_operator_or_a_name(text: str | bytes) -> None:
    assert parse(text, DescriptionDialect.USER)[0].executable == "x"


@pytest.mark.parametrize(
    "text",
    [
        ADL,
        "\n " + ADL,
        "\ufeff" + ADL,
        b"\xef\xbb\xbf" + ADL.encode(),
        '<?xml version="1.0" encoding="UTF-8"?>' + ADL,
        ADL.encode(),
    ],
)
def test_adl_starts_with_an_angle_bracket(text: str | bytes) -> None:
    assert parse(text, DescriptionDialect.GRIDMANAGER)[0].executable == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("garbage", "none of xRSL, ADL and JDL: Relation operator expected"),
        ("(executable=x)", "Attribute name expected"),
        ("&(executable=x\0)", "line 1, column 15: a NUL character"),
        ("[ executable = x; ]", "line 1, column 3: executable must be a string"),
        (b"&(executable=\xff)", "line 1, column 14: not UTF-8"),
        ("\n\n<a>", "line 3, column 4"),
        ("&(executable=x", "line 1, column 15"),
    ],
)
def test_anything_else_is_an_error_that_names_the_source(text: str | bytes, message: str) -> None:
    with pytest.raises(JobDescriptionError, match=message) as caught:
        parse(text, DescriptionDialect.USER, source="job.xrsl")

    assert str(caught.value).startswith("job.xrsl: line ")


@pytest.mark.parametrize(
    "text",
    [
        '[ Executable = "x"; ]',
        b'\xef\xbb\xbf\n[executable="x"]',
        '# a comment\n/* and ] more */ // and more\n[ Executable = "x" ]',
        'Executable = "x";\nArguments = "a";',
        '// without brackets\nExecutable = "x";\nStdOutput = "o";\n# end',
    ],
)
def test_jdl_starts_with_a_bracket_or_leaves_both_out(text: str | bytes) -> None:
    assert parse(text, DescriptionDialect.USER)[0].executable == "x"


def test_a_service_reads_no_jdl() -> None:
    """The library for it must not be in the daemon."""
    with pytest.raises(JobDescriptionError, match="JDL is only supported in clients"):
        parse('[ Executable = "x"; ]', DescriptionDialect.GRIDMANAGER)


@pytest.mark.parametrize("text", ["&(executable=é)", "&(executable=é)".encode()])
def test_the_limit_is_in_bytes(text: str | bytes) -> None:
    assert parse(text, DescriptionDialect.USER, max_size=16)
    with pytest.raises(JobDescriptionError, match="Job description is too big"):
        parse(text, DescriptionDialect.USER, max_size=15)
    assert parse(text, DescriptionDialect.USER, max_size=0)
