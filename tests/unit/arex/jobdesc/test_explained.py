"""What a user is shown: the line, the place in it, and what was meant."""

from __future__ import annotations

import pytest

from arex.errors import JobDescriptionError
from arex.jobdesc import DescriptionDialect, parse


def explained(text: str | bytes) -> str:
    with pytest.raises(JobDescriptionError) as caught:
        parse(text, DescriptionDialect.USER, source="job.xrsl")
    return caught.value.explained()


def test_an_error_shows_the_line_and_the_place() -> None:
    assert explained("&(executable=a)\n (count=four)\n") == (
        "job.xrsl: line 2, column 3: Value of 'count' attribute must be an integer\n   (count=four)\n    ^"
    )


def test_an_error_asks_what_was_meant() -> None:
    assert explained("&(executable=a)(inputfiles=(b 'htp:x'))").endswith("\ndid you mean 'http'?")


def test_an_error_of_xml_shows_its_line() -> None:
    text = explained(
        '<ActivityDescription xmlns="http://www.eu-emi.eu/es/2010/12/adl">\n\t<a></b>\n</ActivityDescription>'
    )

    assert "\n    <a></b>\n" in text.replace("\t", " ").replace("   <a>", "    <a>")


def test_a_warning_shows_the_same() -> None:
    (job,) = parse("&(executable=a)\n(walltme=5)", DescriptionDialect.USER, source="job.xrsl")
    (remark,) = job.warnings

    assert str(remark) == (
        "job.xrsl: line 2, column 2: Unknown attribute 'walltme': it is ignored; did you mean 'walltime'?"
    )
    assert remark.explained() == (
        "job.xrsl: line 2, column 2: Unknown attribute 'walltme': it is ignored\n"
        "  (walltme=5)\n"
        "   ^\n"
        "did you mean 'walltime'?"
    )


def test_of_an_endless_line_only_what_is_near_is_shown() -> None:
    *_, line, caret = explained("&(executable=a)(arguments=" + "b " * 100_000 + "&)").splitlines()

    assert len(line) < 110
    assert line[len(caret) - 1] == "&"


def test_codes_for_a_terminal_are_shown_not_sent() -> None:
    text = explained("&(executable='\x1b[31m\t')(count='\x1b')")

    assert "\x1b" not in text
    *_, line, caret = text.splitlines()
    assert line[len(caret) - 1 :].startswith("count")


@pytest.mark.parametrize("text", ["&(executable=a", b"&(executable=\xff)", "", "&(a\nb)"])
def test_the_short_form_is_one_line(text: str | bytes) -> None:
    with pytest.raises(JobDescriptionError) as caught:
        parse(text, DescriptionDialect.USER)

    assert "\n" not in str(caught.value)
