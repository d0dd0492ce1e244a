"""
The grammar below xRSL: operators, relations, strings, variables; it knows no attribute.

It accepts what ARC 6.17 accepts. The time is linear in the size of the text: compiled patterns, no backtracking over
accepted text, and limits on nesting and on the expansion of variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from arex.jobdesc.remarks import SourceText
from arex.jobdesc.xrsl import cures

MAX_NESTING: Final = 250
MAX_JOBS: Final = 10_000
#: Bound on words, strings and marks; about a second of work.
MAX_TOKENS: Final = 500_000
#: Bound on the text that all variables of a description expand to.
MAX_EXPANSION: Final = 4 * 1024 * 1024

_BLANKS: Final = re.compile(r"[ \t\n\v\f\r]*")
_WORD: Final = re.compile(r"[^+&|()=<>!\"'^#$ \t\n\v\f\r]+")
_RELATION: Final = re.compile(r"!=|<=|>=|=|<|>")
_NOT_IN_NAMES: Final = re.compile(r"[+&|()=<>!\"'^#$]")


class Text(NamedTuple):
    """A string; ``at`` is where it starts."""

    at: int
    text: str


class Variable(NamedTuple):
    at: int
    name: str


class Joined(NamedTuple):
    """Values that make up one string, if they are strings."""

    at: int
    parts: tuple[Text | Variable | Group, ...]


class Group(NamedTuple):
    """A list of values in parentheses."""

    at: int
    items: tuple[Value, ...]


Value = Text | Variable | Joined | Group
#: A value once variables are gone.
Plain = Text | Group


class Relation(NamedTuple):
    """``(name op value ...)``; the name is in lower case without underscores, ``written`` is the original."""

    at: int
    name: str
    operator: str
    values: tuple[Value, ...]
    written: str = ""


class Branch(NamedTuple):
    """``&(...)(...)``, ``|(...)(...)`` or ``+(...)(...)``."""

    at: int
    operator: str
    items: tuple[Branch | Relation, ...]


def comments(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of what ARC treats as comments, also in strings; -1 for the missing end of the last one."""
    start = text.find("(*")
    while start >= 0:
        end = text.find("*)", start)
        yield start, end + 2 if end >= 0 else -1
        start = text.find("(*", end + 2) if end >= 0 else -1


class Parser:
    """One pass over one text."""

    def __init__(self, source: SourceText) -> None:
        self._source, self._text = source, source.text
        self._at = 0
        self._depth = 0
        self._tokens = 0
        self._comments = self._find_comments()

    def parse(self) -> Branch | Relation:
        """
        The whole text as one branch, or as a single relation.

        Raises:
            JobDescriptionError: it cannot be parsed.
        """
        found = self._item()
        self._skip()
        if self._at < len(self._text):
            self._source.fail("Junk at end of RSL", self._at)
        return found

    def _find_comments(self) -> dict[int, int]:
        """Starts and ends; ARC looks for them everywhere, so that ``(*`` in a string needs a ``*)`` somewhere."""
        found: dict[int, int] = {}
        for start, end in comments(self._text):
            if end < 0:
                self._source.fail("End of comment not found", start)
            found[start] = end
        return found

    def _skip(self) -> None:
        self._tokens += 1
        if self._tokens > MAX_TOKENS:
            self._source.fail(f"More than {MAX_TOKENS} words", self._at)
        while True:
            blank = _BLANKS.match(self._text, self._at)
            self._at = self._at if blank is None else blank.end()
            if self._at not in self._comments:
                return
            self._at = self._comments[self._at]

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _accept(self, mark: str) -> bool:
        if self._next() != mark:
            return False
        self._at += 1
        return True

    def _expect(self, mark: str) -> None:
        if not self._accept(mark):
            self._source.fail(f"'{mark}' expected", self._at)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            self._source.fail("Nested too deeply", self._at)

    def _item(self) -> Branch | Relation:
        self._skip()
        start, operator = self._at, self._next()
        if operator not in {"&", "|", "+"} or not operator:
            return self._relation()
        self._at += 1
        self._skip()
        items: list[Branch | Relation] = []
        self._deeper()
        while not items or self._next() == "(":
            self._expect("(")
            items.append(self._item())
            self._skip()
            self._close(items[-1])
            self._skip()
        self._depth -= 1
        return Branch(start, operator, tuple(items))

    def _close(self, item: Branch | Relation) -> None:
        operator = _RELATION.match(self._text, self._at)
        if operator is None or isinstance(item, Branch):
            self._expect(")")
            return
        rest = _WORD.match(self._text, operator.end())
        value = item.values[-1] if item.values else None
        cure = cures.of_equals(item.name, value.text if isinstance(value, Text) else "", rest[0] if rest else "")
        self._source.fail(f"')' expected{cure}", self._at)

    def _relation(self) -> Relation:
        start = self._at
        name = self._string()
        if name is None:
            self._source.fail("Attribute name expected", start)
        self._check_name("Attribute", name)
        self._skip()
        match = _RELATION.match(self._text, self._at)
        if match is None:
            self._source.fail("Relation operator expected", self._at)
        self._at = match.end()
        values = tuple(self._values())
        return Relation(start, name.text.lower().replace("_", ""), match[0], values, name.text)

    def _check_name(self, kind: str, name: Text) -> None:
        if wrong := _NOT_IN_NAMES.search(name.text):
            self._source.fail(f"{kind} name {name.text[:80]!r} has the character {wrong[0]} in it", name.at)

    def _values(self) -> Iterator[Value]:
        """All values at this place; adjacent ones without a blank between them are one, unless they are groups."""
        parts: list[Text | Variable | Group] = []
        sticky = False  # what follows at once belongs to the value before
        while True:
            before = self._at
            self._skip()
            sticky = sticky and self._at == before
            explicit = self._accept("#")
            if explicit:
                self._skip()
            if explicit and not parts:
                self._source.fail("No left operand for concatenation operator", self._at - 1)
            part = self._part()
            if part is None and explicit:
                self._source.fail("No right operand for concatenation operator", self._at)
            if parts and not explicit and not (sticky and part is not None):
                yield self._joined(parts)
                parts = []
            if part is None:
                return
            parts.append(part)
            sticky = not isinstance(part, Group)

    def _joined(self, parts: list[Text | Variable | Group]) -> Value:
        return parts[0] if len(parts) == 1 else Joined(parts[0].at, tuple(parts))

    def _part(self) -> Text | Variable | Group | None:
        start, mark = self._at, self._next()
        if mark == "(":
            self._at += 1
            self._deeper()
            items = tuple(self._values())
            self._depth -= 1
            self._skip()
            self._expect(")")
            return Group(start, items)
        return self._variable(start) if mark == "$" else self._string()

    def _variable(self, start: int) -> Variable:
        self._at += 1
        self._skip()
        self._expect("(")
        self._skip()
        name = self._string()
        if name is None:
            self._source.fail("Variable name expected", self._at)
        self._check_name("Variable", name)
        self._skip()
        self._expect(")")
        return Variable(start, name.text)

    def _string(self) -> Text | None:
        start, mark = self._at, self._next()
        if mark == '"':
            return self._quoted(start, start, mark, "End of double quoted string not found")
        if mark == "'":
            return self._quoted(start, start, mark, "End of single quoted string not found")
        if mark == "^":
            mark = self._text[start + 1 : start + 2]
            return self._quoted(start, start + 1, mark, "End of user delimited string not found")
        match = _WORD.match(self._text, start)
        if match is None:
            return None
        self._at = match.end()
        return Text(start, match[0])

    def _quoted(self, start: int, opening: int, mark: str, what: str) -> Text:
        """A string; its quotation mark is doubled where it is part of the text."""
        pieces, at = [], opening + 1
        while True:
            end = self._text.find(mark, at) if mark else -1
            if end < 0:
                self._source.fail(what, start)
            pieces.append(self._text[at:end])
            at = end + 1
            if self._text[at : at + 1] != mark:
                break
            pieces.append(mark)
            at += 1
        self._at = at
        return Text(start, "".join(pieces))


def requests(source: SourceText) -> list[Branch | Relation]:
    """
    The jobs of a text: one tree for each.

    Raises:
        JobDescriptionError: it cannot be parsed, or has too many jobs.
    """
    top = Parser(source).parse()
    found = list(_requests(top))
    if len(found) > MAX_JOBS:
        source.fail(f"More than {MAX_JOBS} jobs", top.at)
    return found


def _requests(item: Branch | Relation) -> Iterator[Branch | Relation]:
    if not isinstance(item, Branch) or item.operator != "+":
        yield item
        return
    for part in item.items:
        yield from _requests(part)


class Variables:
    """
    ``rslsubstitution``: the values of ``$(NAME)``.

    A variable is defined from its relation to the end of the branch. Without a value, it is an empty string.
    """

    def __init__(self, source: SourceText) -> None:
        self._source = source
        self._left = MAX_EXPANSION

    def resolve(self, item: Branch | Relation, known: dict[str, str] | None = None) -> Branch | Relation:
        """
        The same tree without variables.

        Raises:
            JobDescriptionError: the expansion is too large, or is not a string.
        """
        known = {} if known is None else known
        if isinstance(item, Relation):
            if item.name == "rslsubstitution":
                self._define(item, known)
                return item
            return item._replace(values=tuple(self._plain(value, known) for value in item.values))
        if item.operator == "+":
            self._source.fail("Multi-request operator only allowed at top level", item.at)
        inside = dict(known)
        return item._replace(items=tuple(self.resolve(part, inside) for part in item.items))

    def _define(self, item: Relation, known: dict[str, str]) -> None:
        for value in item.values:
            if not isinstance(value, Group):
                self._source.fail("RSL substitution is not a sequence", value.at)
            if len(value.items) != 2:
                self._source.fail("RSL substitution sequence is not of length 2", value.at)
            name, text = (self._plain(part, known) for part in value.items)
            if not isinstance(name, Text) or not isinstance(text, Text):
                self._source.fail("RSL substitution is not a pair of strings", value.at)
            known[name.text] = text.text

    def _plain(self, value: Value, known: dict[str, str]) -> Plain:
        if isinstance(value, Text):
            return value
        if isinstance(value, Group):
            return Group(value.at, tuple(self._plain(item, known) for item in value.items))
        parts = value.parts if isinstance(value, Joined) else (value,)
        return Text(value.at, "".join(self._text(part, known) for part in parts))

    def _text(self, part: Text | Variable | Group, known: dict[str, str]) -> str:
        if isinstance(part, Text):
            return part.text
        if isinstance(part, Group):
            self._source.fail("An operand of a concatenation is not a string", part.at)
        if part.name not in known:
            self._source.remark(f"Variable '{part.name[:80]}' is not defined here: it is empty", part.at)
            return ""
        text = known[part.name]
        self._left -= len(text)
        if self._left < 0:
            self._source.fail("Variables expand to too much text", part.at)
        return text
