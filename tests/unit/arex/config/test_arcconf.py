from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.config.arcconf import Entry, Section, decode, parse

FILE = Path("/etc/arc.conf")


def sections(text: str) -> list[Section]:
    found, faults = parse(text, FILE)

    assert faults == []
    return found


def test_options_keep_their_order_repetition_and_lines() -> None:
    found = sections("[arex]\nb=1\n\n# c\na = 2\nb= 3 \n")

    assert found == [Section("arex", None, 1, [Entry("b", "1", 2), Entry("a", "2", 5), Entry("b", "3", 6)])]


@pytest.mark.parametrize("header", ["[queue:long]", "  [queue:long]  ", "[queue: long ]", "[ queue:long]"])
def test_blanks_around_a_block_and_its_name_do_not_count(header: str) -> None:
    assert [each.header for each in sections(header)] == ["queue:long"]


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("comment = a = b", ("comment", "a = b")),
        ("comment = 'quoted'", ("comment", "'quoted'")),
        ("comment = a # b", ("comment", "a # b")),
        ("\tcomment\t=\tx\t", ("comment", "x")),
        ("comment=", ("comment", "")),
        ("comment", ("comment", "")),
        ("+subject=/CN=x", ("+subject", "/CN=x")),
    ],
)
def test_a_value_is_everything_after_the_first_equals_sign(line: str, entry: tuple[str, str]) -> None:
    assert [(each.name, each.value) for each in sections(f"[b]\n{line}\n")[0].entries] == [entry]


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf[a]\r\nx=1\r\n", b"[a]\rx=1\r", b"[a]\nx=1"])
def test_byte_order_marks_and_other_line_ends_are_no_part_of_the_text(data: bytes) -> None:
    assert sections(decode(data)) == [Section("a", None, 1, [Entry("x", "1", 2)])]


def test_a_comment_may_hold_any_bytes() -> None:
    assert sections(decode(b"# gr\xfc\xdfe\n[a]\n")) == [Section("a", None, 2, [])]


def test_every_invalid_line_is_a_fault() -> None:
    _, faults = parse(decode(b"x=1\n[a\n[a b]\n[a:]\n[a[b]]\na b\n=c\n[ok]\ny=\xff\n"), FILE)

    assert [fault.line for fault in faults] == [1, 2, 3, 4, 5, 6, 7, 9]
    assert all(fault.file == FILE for fault in faults)


@given(st.binary())
def test_no_bytes_break_the_parser(data: bytes) -> None:
    found, faults = parse(decode(data), FILE)

    assert all(fault.line for fault in faults)
    assert all("\n" not in entry.value for section in found for entry in section.entries)
