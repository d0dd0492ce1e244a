from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from arex import errors
from arex.errors import ArexError, JobDescriptionError, JobRefused


def _all(root: type[ArexError]) -> Iterator[type[ArexError]]:
    yield root
    for child in root.__subclasses__():
        yield from _all(child)


OURS = [error for error in _all(ArexError) if error.__module__ == errors.__name__]


@pytest.mark.parametrize("error", OURS, ids=lambda error: error.__name__)
def test_every_error_says_what_it_means_and_how_a_command_ends(error: type[ArexError]) -> None:
    assert inspect.getdoc(error)
    assert 0 < error.exit_code < 126


@pytest.mark.parametrize("error", OURS[1:], ids=lambda error: error.__name__)
def test_the_tree_at_the_top_of_the_module_is_the_real_one(error: type[ArexError]) -> None:
    assert errors.__doc__
    [line] = [line for line in errors.__doc__.splitlines() if f" {error.__name__} " in f"{line} "]
    depth = (line.index(error.__name__) + 1) // 3

    assert depth == len(error.__mro__) - len(ArexError.__mro__)


@pytest.mark.parametrize("make", [JobRefused, JobDescriptionError])
@pytest.mark.parametrize("text", ["a\nb", "a\rb", "\x1b[2J", "\0", "\udcff", "a\u2028b", "\u202e"])
def test_a_users_own_words_are_shown_on_one_line_and_command_no_terminal(make: type[ArexError], text: str) -> None:
    message = str(make(f"queue {text}"))

    assert message.isprintable()
    assert message.startswith("queue ")


def test_ordinary_words_stay_as_they_are() -> None:
    assert "line 3, column 4: größer als 1 €" == str(JobDescriptionError("größer als 1 €", 3, 4))
