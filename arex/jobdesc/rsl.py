"""
The grammar below xRSL: operators, relations, strings, variables; it knows no attribute.

Linear in the size of the text: one compiled pattern, no backtracking over what was accepted, and limits on
nesting, on alternatives and on what variables may grow to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Final, NamedTuple, NoReturn

from arex.errors import JobDescriptionError

MAX_NESTING: Final = 32
MAX_ALTERNATIVES: Final = 100
MAX_JOBS: Final = 10_000
#: Bound on the relations of one job over all its alternatives.
MAX_RELATIONS: Final = 100_000
#: Bound on words, strings and marks; about a second of work.
MAX_TOKENS: Final = 500_000
#: Bound on the text that all variables of a description expand to.
MAX_EXPANSION: Final = 4 * 1024 * 1024

_SKIP: Final = re.compile(r"\s+|\(\*")
_TOKEN: Final = re.compile(
    r"""
      (?P<op>!=|<=|>=|[=<>])
    | (?P<var>\$\()
    | (?P<mark>[()&|+\#])
    | "(?P<double>[^"]*+(?:""[^"]*+)*+)"
    | '(?P<single>[^']*+(?:''[^']*+)*+)'
    | \^(?P<user>[^\s])
    | (?P<word>[^\s()&|+\#=<>!"'^$]++)
    """,
    re.VERBOSE,
)


class Text(NamedTuple):
    """A string; ``at`` is where it starts."""

    at: int
    text: str


class Variable(NamedTuple):
    at: int
    name: str


class Joined(NamedTuple):
    """Strings and variables that make up one string."""

    at: int
    parts: tuple[Text | Variable, ...]


class Group(NamedTuple):
    """A list of values in parentheses."""

    at: int
    items: tuple[Value, ...]


Value = Text | Joined | Group
#: A value once variables are gone.
Plain = Text | Group


class Relation(NamedTuple):
    """``(name op value ...)``; the name is in lower case and without underscores."""

    at: int
    name: str
    operator: str
    values: tuple[Value, ...]


class Branch(NamedTuple):
    """``&(...)(...)``, ``|(...)(...)`` or ``+(...)(...)``."""

    at: int
    operator: str
    items: tuple[Branch | Relation, ...]


class Source:
    """The text; it knows lines."""

    def __init__(self, text: str) -> None:
        self.text = text

    def fail(self, what: str, at: int) -> NoReturn:
        """Raise JobDescriptionError for an offset in the text."""
        before = self.text.rfind("\n", 0, at)
        raise JobDescriptionError(what, self.text.count("\n", 0, at) + 1, at - before)


class Parser:
    """One pass over one text."""

    def __init__(self, source: Source) -> None:
        self._source, self._text = source, source.text
        self._at = 0
        self._depth = 0
        self._tokens = 0
        self._spaced = False  # whether anything was skipped before the current token
        self._skip()

    def parse(self) -> Branch:
        """
        The whole text as one branch.

        Raises:
            JobDescriptionError: it does not read.
        """
        branch = self._branch()
        if self._at < len(self._text):
            self._source.fail("Junk at end of RSL", self._at)
        return branch

    def _skip(self) -> None:
        start = self._at
        self._tokens += 1
        if self._tokens > MAX_TOKENS:
            self._source.fail(f"More than {MAX_TOKENS} words", start)
        while (match := _SKIP.match(self._text, self._at)) is not None:
            self._at = match.end()
            if match[0] == "(*":
                end = self._text.find("*)", self._at)
                if end < 0:
                    self._source.fail("End of comment not found", match.start())
                self._at = end + 2
        self._spaced = self._at > start

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _accept(self, mark: str) -> bool:
        if self._next() != mark:
            return False
        self._at += 1
        self._skip()
        return True

    def _expect(self, mark: str) -> None:
        if not self._accept(mark):
            self._source.fail(f"'{mark}' expected", self._at)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            self._source.fail("Nested too deeply", self._at)

    def _branch(self) -> Branch:
        start, operator = self._at, self._next()
        if operator in {"&", "|", "+"}:
            self._at += 1
            self._skip()
        elif operator == "(":
            operator = "&"
        else:
            self._source.fail("'&', '|', '+' or '(' expected", self._at)
        items: list[Branch | Relation] = []
        self._deeper()
        while self._accept("("):
            items.append(self._branch() if self._next() in {"&", "|", "+", "("} else self._relation())
            self._expect(")")
        self._depth -= 1
        if not items:
            self._source.fail("'(' expected", self._at)
        return Branch(start, operator, tuple(items))

    def _relation(self) -> Relation:
        start = self._at
        name = self._literal()
        if name is None:
            self._source.fail("Attribute name expected", start)
        match = _TOKEN.match(self._text, self._at)
        if match is None or match["op"] is None:
            self._source.fail("Relation operator expected", self._at)
        self._at = match.end()
        self._skip()
        return Relation(start, name.text.lower().replace("_", ""), match["op"], tuple(self._values()))

    def _values(self) -> Iterator[Value]:
        while (value := self._value()) is not None:
            yield value

    def _value(self) -> Value | None:
        start = self._at
        if self._accept("("):
            self._deeper()
            items = tuple(self._values())
            self._depth -= 1
            self._expect(")")
            return Group(start, items)
        part = self._part()
        if part is None:
            return None
        parts = [part]
        while True:
            joined = self._accept("#")
            if not joined and self._spaced:
                break
            if (part := self._part()) is None:
                if joined:
                    self._source.fail("No right operand for concatenation operator", self._at)
                break
            parts.append(part)
        if len(parts) == 1 and isinstance(parts[0], Text):
            return parts[0]
        return Joined(start, tuple(parts))

    def _part(self) -> Text | Variable | None:
        start = self._at
        if not self._text.startswith("$(", start):
            return self._literal()
        self._at += 2
        self._skip()
        name = self._literal()
        if name is None:
            self._source.fail("Variable name expected", self._at)
        if self._next() != ")":
            self._source.fail("')' expected", self._at)
        self._at += 1
        self._skip()
        return Variable(start, name.text)

    def _literal(self) -> Text | None:
        start = self._at
        match = _TOKEN.match(self._text, start)
        if match is None:
            self._check_broken(start)
            return None
        kind = match.lastgroup
        if kind == "double":
            text = match["double"].replace('""', '"')
        elif kind == "single":
            text = match["single"].replace("''", "'")
        elif kind == "word":
            text = match["word"]
        elif kind == "user":
            return self._user_quoted(start, match["user"])
        else:
            return None
        self._at = match.end()
        self._skip()
        return Text(start, text)

    def _user_quoted(self, start: int, mark: str) -> Text:
        pieces, at = [], start + 2
        while True:
            end = self._text.find(mark, at)
            if end < 0:
                self._source.fail("End of user delimited string not found", start)
            pieces.append(self._text[at:end])
            at = end + 1
            if self._text[at : at + 1] != mark:
                break
            pieces.append(mark)
            at += 1
        self._at = at
        self._skip()
        return Text(start, "".join(pieces))

    def _check_broken(self, start: int) -> None:
        what = {
            '"': "End of double quoted string not found",
            "'": "End of single quoted string not found",
            "^": "Delimiter expected after '^'",
        }.get(self._next())
        if what:
            self._source.fail(what, start)


def jobs(source: Source) -> list[list[list[Relation]]]:
    """
    What a text asks for: jobs, each a list of alternatives, each a list of relations.

    Raises:
        JobDescriptionError: it does not read, or holds more jobs or alternatives than we take.
    """
    top = Parser(source).parse()
    requests = list(_requests(source, top))
    if len(requests) > MAX_JOBS:
        source.fail(f"More than {MAX_JOBS} jobs", top.at)
    return [_alternatives(source, request) for request in requests]


def _requests(source: Source, branch: Branch) -> Iterator[Branch]:
    if branch.operator != "+":
        yield branch
        return
    for item in branch.items:
        if isinstance(item, Relation):
            source.fail("A job description is expected after the multi-request operator", item.at)
        yield from _requests(source, item)


def _alternatives(source: Source, item: Branch | Relation) -> list[list[Relation]]:
    if isinstance(item, Relation):
        return [[item]]
    if item.operator == "+":
        source.fail("Multi-request operator only allowed at top level", item.at)
    choices = [_alternatives(source, part) for part in item.items]
    if item.operator == "|":
        count = sum(len(part) for part in choices)
    else:
        count = 1
        for part in choices:
            count = min(count * len(part), MAX_ALTERNATIVES + 1)
    if count > MAX_ALTERNATIVES:
        source.fail(f"More than {MAX_ALTERNATIVES} alternatives", item.at)
    if count * sum(max(map(len, part)) for part in choices) > MAX_RELATIONS:
        source.fail(f"More than {MAX_RELATIONS} relations", item.at)
    if item.operator == "|":
        return [choice for part in choices for choice in part]
    return [[relation for part in combined for relation in part] for combined in product(*choices)]


class Substitution:
    """``rslsubstitution``: the values of ``$(NAME)``, taken in the order of the text."""

    def __init__(self, source: Source, relations: list[Relation]) -> None:
        self._source = source
        self._left = MAX_EXPANSION
        self._known: dict[str, str] = {}
        for relation in relations:
            if relation.name == "rslsubstitution":
                for value in relation.values:
                    self._define(value)

    def _define(self, value: Value) -> None:
        if not isinstance(value, Group) or len(value.items) != 2:
            self._source.fail("Value of attribute 'rslsubstitution' must be pairs of a name and a value", value.at)
        name, text = (self.apply(item) for item in value.items)
        if not isinstance(name, Text) or not isinstance(text, Text):
            self._source.fail("Value of attribute 'rslsubstitution' must be pairs of strings", value.at)
        self._known[name.text] = text.text

    def apply(self, value: Value) -> Plain:
        """The value without variables; an unknown one is an error."""
        if isinstance(value, Text):
            return value
        if isinstance(value, Group):
            return Group(value.at, tuple(self.apply(item) for item in value.items))
        return Text(value.at, "".join(self._text(part) for part in value.parts))

    def _text(self, part: Text | Variable) -> str:
        if isinstance(part, Text):
            return part.text
        if part.name not in self._known:
            self._source.fail(f"Variable '{part.name[:80]}' is not defined", part.at)
        text = self._known[part.name]
        self._left -= len(text)
        if self._left < 0:
            self._source.fail("Variables expand to too much text", part.at)
        return text
