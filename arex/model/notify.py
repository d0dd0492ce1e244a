"""
``notify`` of ``.local``: at which states the owner of a job wants mail, and at which addresses.

The value is a list of words: letters of states, then the addresses for them, as often as needed.
Source: the attribute ``notify`` of ARC 6.17.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from arex.model.state import State

#: The letter of each state with mail. ACCEPTED has the letter ``a`` in ADL, and no mail, as in ARC.
LETTERS: Final[Mapping[State, str]] = {
    State.PREPARING: "b",
    State.INLRMS: "q",
    State.FINISHING: "f",
    State.FINISHED: "e",
    State.CANCELING: "c",
    State.DELETED: "d",
}
#: Letters of an address without letters before it.
_DEFAULT: Final = "be"
#: A subset of RFC 5321 in which no character has a meaning for a mail server, a header or a command line.
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9_.+=~#'-]{0,63}@(?=.{1,190}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


def is_address(text: str) -> bool:
    """Whether mail can be sent to this: a plain ``user@host``, without names, quotes or control characters."""
    return _ADDRESS.fullmatch(text) is not None


def recipients(notify: str, state: State) -> tuple[str, ...]:
    """The addresses, each once, that get mail when the job enters the state; words that are no addresses get none."""
    letter = LETTERS.get(state)
    wanted, found = _DEFAULT, dict[str, None]()
    for word in notify.replace("\t", " ").split(" "):  # as ARC: other separators are part of a word
        if not word:
            continue
        if "@" not in word:
            wanted = word
        elif letter is not None and letter in wanted and is_address(word):
            found[word] = None
    return tuple(found)
