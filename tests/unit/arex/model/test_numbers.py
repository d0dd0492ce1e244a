"""Numbers in ARC's manner."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.model.numbers import leading_number, whole_number, wrap


@pytest.mark.parametrize(
    ("text", "number"),
    [("4", 4), (" 4", 4), ("\n\t+4", 4), ("-4", -4), ("-0", 0), ("0" * 5000 + "4", 4), ("-2147483648", -(2**31))],
)
def test_a_whole_number_may_have_blanks_in_front(text: str, number: int) -> None:
    assert number == whole_number(text) == leading_number(text)


@pytest.mark.parametrize("text", ["", " ", "-", "x", "4 ", "4x", "4.0", "1e3", "2147483648", "-2147483649", "- 4", "٤"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        whole_number(text)


@pytest.mark.parametrize(("text", "number"), [("4x", 4), ("4 GB", 4), ("-1.5", -1), ("0x10", 0)])
def test_a_leading_number_may_be_followed_by_anything(text: str, number: int) -> None:
    assert number == leading_number(text)


def test_without_a_sign_a_minus_counts_from_the_top() -> None:
    assert (2**64 - 5, 2**64 - 1) == (
        whole_number("-5", 64, signed=False),
        whole_number(str(2**64 - 1), 64, signed=False),
    )


@given(st.integers())
def test_a_wrapped_number_fits_and_differs_by_whole_turns(number: int) -> None:
    assert -(2**31) <= wrap(number) < 2**31
    assert (number - wrap(number)) % 2**32 == 0
