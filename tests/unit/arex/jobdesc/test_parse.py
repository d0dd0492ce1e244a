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


# --- texts that are more than one language, or less than UTF-8 --------------------------------------------------------


def test_one_attribute_of_jdl_without_brackets_is_jdl() -> None:
    [job] = parse('Executable = "/bin/hostname";\n', DescriptionDialect.USER)

    assert "/bin/hostname" == job.executable


@pytest.mark.parametrize(
    "text",
    [
        b"&(executable=/bin/echo)(* l\xe4uft *)(arguments=a)",
        b'[ Executable = "/bin/echo"; // l\xe4uft\n Arguments = "a"; ]',
        b'[ Executable = "/bin/echo"; /* l\xe4uft\n */ Arguments = "a"; ]',
        b'# l\xe4uft\n[ Executable = "/bin/echo"; Arguments = "a"; ]',
    ],
)
def test_a_byte_that_is_not_utf_8_does_not_matter_in_a_comment(text: bytes) -> None:
    [job] = parse(text, DescriptionDialect.USER)

    assert ("/bin/echo", ("a",)) == (job.executable, job.arguments)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        (b'&(executable="/bin/echo")\n(arguments="l\xe4uft")', 2, 14),
        (b'&(executable="/bin/echo")(arguments="// l\xe4uft")', 1, 42),
        (b"&(executable=/bin/echo)(inputfiles=(a http://x/l\xe4))", 1, 49),
        (b'[ Executable = "/bin/echo"; Arguments = "/* l\xe4uft */"; ]', 1, 46),
    ],
)
def test_elsewhere_it_is_an_error_with_its_place(text: bytes, line: int, column: int) -> None:
    with pytest.raises(JobDescriptionError, match="not UTF-8 text") as caught:
        parse(text, DescriptionDialect.USER)

    assert (line, column) == (caught.value.line, caught.value.column)


@pytest.mark.parametrize(
    "text",
    [
        '&(executable=/bin/sh)(environment=("NOTE" "one\ntwo"))',
        '[ Executable = "/bin/sh"; Environment = { "NOTE=one\\ntwo" }; ]',
    ],
)
def test_a_line_break_in_a_variable_is_dropped_with_a_warning(text: str) -> None:
    [job] = parse(text, DescriptionDialect.USER)
    [warning] = job.warnings

    assert "are dropped" in warning.what
    assert "NOTE" in warning.what


def test_parameters_that_no_attribute_uses_make_jobs_that_are_alike() -> None:
    text = '[ JobType = "Parametric"; Parameters = 3; Executable = "/bin/sh"; Arguments = "pilot.sh"; ]'
    jobs = parse(text, DescriptionDialect.USER)

    assert 3 == len(jobs)
    assert jobs[0] == jobs[1] == jobs[2]
