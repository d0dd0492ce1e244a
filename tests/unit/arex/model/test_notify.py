"""Who gets mail at which state."""

from __future__ import annotations

import pytest

from arex.model.notify import is_address, recipients
from arex.model.state import State


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.PREPARING, ("a@x.org", "d@x.org")),
        (State.INLRMS, ("b@x.org", "c@x.org")),
        (State.FINISHED, ("a@x.org", "c@x.org", "d@x.org")),
        (State.FINISHING, ()),
        (State.ACCEPTED, ()),
        (State.SUBMIT, ()),
    ],
)
def test_letters_are_those_of_the_addresses_after_them(state: State, expected: tuple[str, ...]) -> None:
    assert expected == recipients("be a@x.org q b@x.org qe c@x.org abe d@x.org a@x.org", state)


@pytest.mark.parametrize("state", [State.PREPARING, State.FINISHED])
def test_an_address_without_letters_gets_mail_at_the_begin_and_at_the_end(state: State) -> None:
    assert ("me@example.org",) == recipients("me@example.org", state)
    assert () == recipients("me@example.org", State.INLRMS)


def test_words_that_are_no_addresses_get_no_mail() -> None:
    assert ("me@x",) == recipients("e -f@x |rm@x \t me@x  a@b,c@d <a@b> a@x\u2028b@x", State.FINISHED)


@pytest.mark.parametrize(
    "text", ["me@example.org", "first.last+jobs@mail.example.org", "o'neill_2@h-1.x", "root@localhost"]
)
def test_plain_addresses_are_accepted(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "me", "@x", "me@", "me@-x", "me@x-", "me@x..y", "me@x.", "a@b@c", "-oQ/tmp@x", "|sh@x", "/etc/passwd@x",
        '"a b"@x', "a b@x", "a,b@x", "<a@x>", "a@x\nBcc: b@x", "a@x\r", "a@x\n", "a\0@x", "a@x\u2028", "a;b@x",
        "a%b@x", "a!b@x", "a`b`@x", "$(a)@x", "a@[127.0.0.1]", "ä@x", "a@ä.org", "a" * 65 + "@x", "a@" + "x" * 300,
        "a@x\x85",
    ],
)  # fmt: skip
def test_what_could_mean_something_to_a_mail_server_or_a_shell_is_no_address(text: str) -> None:
    assert not is_address(text)
