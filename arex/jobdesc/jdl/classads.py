"""
ClassAds, the grammar below JDL: places in the text are found here, values come from the ClassAd library.

The library does not say where an error is, and misses some: it returns an empty ad for some texts and zero for a
number that is too large, and it crashes on a long chain of operators. So it gets only texts that were checked here, and
must find the same names. Nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn

from arex.errors import JobDescriptionError
from arex.jobdesc.remarks import SourceText

MAX_NESTING: Final = 40
#: Bound on words, strings and marks; about a second of work.
MAX_TOKENS: Final = 500_000
#: Bound on the operators of one expression: the library goes one level down for each.
MAX_OPERATORS: Final = 1000

_TOKEN: Final = re.compile(
    r"""(?P<blank>[ \t\n\v\f\r]+|(?:\#|//)[^\n]*|/\*.*?\*/)
    |(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")
    |(?P<name>[A-Za-z_][A-Za-z_0-9]*|'[^'\\\n]+')
    |(?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z_0-9.]))
    |(?P<mark>=\?=|=!=|==|&&|\|\||<=|>=|!=|<<|>>>|>>|[][{}();,=<>!~+*/%&|^?:.-])""",
    re.VERBOSE | re.DOTALL,
)
_ODD_ESCAPE: Final = re.compile(r"\\(?:\\|(0{1,3}|[2-3][0-7]{2}))")
_CLOSING: Final = {"[": "]", "{": "}", "(": ")"}
_NOT_OPERATORS: Final = frozenset("[]{}();,=")
_LARGEST: Final = 2**63 - 1
_CURE: Final = "pip install 'arex[jdl]'"


@dataclass(frozen=True, slots=True)
class Expression:
    """A value that is not a literal; only its text is known."""

    text: str


class AdAttribute(NamedTuple):
    """A name and its value; ``text`` is the value as written, except that blanks and comments become one blank."""

    name: str
    at: int
    value: Value
    text: str


@dataclass(frozen=True, slots=True)
class Ad:
    """Attributes by name in lower case."""

    at: int
    attributes: Mapping[str, AdAttribute]


Value = str | int | float | bool | tuple["Value", ...] | Ad | Expression


class AdToken(NamedTuple):
    kind: str
    text: str
    at: int
    gap: bool  #: blanks or comments before it


class _Entry(NamedTuple):
    """An attribute before its value is known: its tokens, and the ads in it."""

    name: str
    at: int
    tokens: list[AdToken]
    inner: list[_Outline]

    @property
    def text(self) -> str:
        return text_of(self.tokens)


class _Outline(NamedTuple):
    at: int
    entries: dict[str, _Entry]


def text_of(tokens: list[AdToken]) -> str:
    """The text of tokens, with one blank where there were blanks or comments."""
    return "".join(f" {token.text}" if token.gap else token.text for token in tokens).removeprefix(" ")


def tokens_of(page: SourceText) -> list[AdToken]:
    """
    Words, strings and marks.

    Raises:
        JobDescriptionError: there is anything else, or something that the library would misread.
    """
    tokens: list[AdToken] = []
    at, gap, text = 0, False, page.text
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            _odd(page, at)
        if match.lastgroup == "blank":
            gap = True
        else:
            tokens.append(AdToken(match.lastgroup, match[0], at, gap))
            gap = False
            _acceptable(page, tokens[-1])
            if len(tokens) > MAX_TOKENS:
                page.fail(f"More than {MAX_TOKENS} words and marks", at)
        at = match.end()
    return tokens


def _odd(page: SourceText, at: int) -> NoReturn:
    rest = page.text[at : at + 80]
    if rest.startswith('"'):
        page.fail('A string has no closing "', at)
    if rest.startswith("/*"):
        page.fail("A comment has no closing */", at)
    if rest[:1].isdigit():
        word = re.match(r"[\w.]*", rest)
        page.fail(f"{word[0] if word else rest[:1]!r} is not a number", at)
    page.fail(f"{rest[:1]!r} has no meaning here", at)


def _acceptable(page: SourceText, token: AdToken) -> None:
    if token.kind == "string" and "\\" in token.text:
        for match in _ODD_ESCAPE.finditer(token.text):
            if match[1] is not None:
                page.fail(
                    f"{match[0]!r} stands for a character that is not allowed in a string", token.at + match.start()
                )
    elif token.kind == "number" and token.text.isdigit() and len(token.text) > 1 and token.text[0] == "0":
        page.fail(f"The number {token.text[:80]} begins with 0: it would be octal", token.at)
    elif token.kind == "number" and token.text.isdigit() and (len(token.text) > 19 or int(token.text) > _LARGEST):
        page.fail(f"The number {token.text[:80]} is too large", token.at)


class _AdParser:
    """Goes through the tokens and notes the place of every attribute."""

    def __init__(self, page: SourceText, tokens: list[AdToken], *, bare: bool) -> None:
        self._page, self._tokens, self._next, self._bare = page, tokens, 0, bare

    def whole(self) -> _Outline:
        if self._bare:
            return self._entries(0, None, 1)
        self._next = 1
        outline = self._entries(self._tokens[0].at, "]", 1)
        if self._next < len(self._tokens):
            self._page.fail("Unexpected text after the closing ]", self._tokens[self._next].at)
        return outline

    def _peek(self) -> AdToken | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _entries(self, at: int, closing: str | None, depth: int) -> _Outline:
        """Attributes up to the closing bracket, which is taken; None is the end of the text."""
        entries: dict[str, _Entry] = {}
        while (token := self._peek()) is not None:
            self._next += 1
            if token.text == closing:
                return _Outline(at, entries)
            if token.text == ";":
                continue
            entry = self._entry(token, closing, depth)
            if entry.name.lower() in entries:
                self._page.fail(f"Attribute '{entry.name}' multiply defined", entry.at)
            entries[entry.name.lower()] = entry
        if closing is not None:
            self._page.fail("Missing ] for the bracket [", at)
        return _Outline(at, entries)

    def _entry(self, token: AdToken, closing: str | None, depth: int) -> _Entry:
        if token.kind != "name":
            self._page.fail(f"The name of an attribute is expected, not {token.text[:80]}", token.at)
        mark = self._peek()
        if mark is None or mark.text != "=":
            self._page.fail(f"'=' is missing behind '{token.text[:80]}'", token.at if mark is None else mark.at)
        self._next += 1
        entry = _Entry(token.text.strip("'"), token.at, [], [])
        first = self._next
        self._value(entry, closing, depth)
        entry.tokens.extend(self._tokens[first : self._next])
        if not entry.tokens:
            self._page.fail(f"Attribute '{entry.name}' has no value", entry.at)
        return entry

    def _value(self, entry: _Entry, closing: str | None, depth: int) -> None:
        """To the end of a value, or of what is in a bracket."""
        operators = 0
        while (token := self._peek()) is not None:
            if token.kind == "mark":
                if token.text in {";", closing} or (closing is None and token.text in {"]", ";"}):
                    return
                operators = 0 if token.text == "," else operators + (token.text not in _NOT_OPERATORS)
            if operators > MAX_OPERATORS:
                self._page.fail(f"More than {MAX_OPERATORS} operators in one expression", token.at)
            if token.text == "=" and token.kind == "mark":
                self._missing(entry)
            self._next += 1
            if token.kind == "mark" and token.text in _CLOSING:
                self._bracket(entry, token, depth)

    def _bracket(self, entry: _Entry, opening: AdToken, depth: int) -> None:
        if depth > MAX_NESTING:
            self._page.fail(f"Brackets are nested more than {MAX_NESTING} levels deep", opening.at)
        if opening.text == "[" and self._is_ad(opening):
            entry.inner.append(self._entries(opening.at, "]", depth + 1))
            return
        closing = _CLOSING[opening.text]
        self._value(entry, closing, depth + 1)
        token = self._peek()
        if token is None or token.text != closing:
            self._page.fail(f"The bracket {opening.text} is not closed", opening.at)
        self._next += 1

    def _is_ad(self, opening: AdToken) -> bool:
        """Whether a bracket begins an ad; after a value, it begins an index."""
        before = self._tokens[self._next - 2]
        return before.at >= opening.at or not (before.kind in {"name", "string"} or before.text in {"]", ")", "}"})

    def _missing(self, entry: _Entry) -> NoReturn:
        name = self._tokens[self._next - 1]
        if name.kind == "name" and self._tokens[self._next - 2].text != "=":
            self._page.fail(f"';' is missing before '{name.text[:80]}'", name.at)
        self._page.fail(f"A second '=' in the value of '{entry.name[:80]}'", self._tokens[self._next].at)


def read_ad(page: SourceText, *, bare: bool = False) -> Ad:
    """
    The one ad of a text.

    Args:
        page: the text.
        bare: the brackets around all of it are left out.

    Raises:
        JobDescriptionError: the text is not an ad, or the ClassAd library is not installed.
    """
    tokens = tokens_of(page)
    if not tokens or not (bare or tokens[0].text == "["):
        page.fail("The bracket [ is missing", 0)
    outline = _AdParser(page, tokens, bare=bare).whole()
    text = text_of(tokens)
    native = _native(f"[{text}]" if bare else text)
    if native is None:
        _locate(page, outline)
        page.fail("the ClassAd library cannot parse this", outline.at)
    return _ad(page, outline, native)


def _native(text: str) -> Any:  # noqa: ANN401 - the library has no types
    """The ad that the library parses from a text; None if it cannot."""
    try:
        import classad2  # type: ignore[import-untyped] # noqa: PLC0415 - few descriptions are in JDL
    except ImportError as exc:
        raise JobDescriptionError(
            f"a description in JDL needs the ClassAd library, which is not installed: {_CURE}"
        ) from exc
    try:
        return classad2.parseOne(text, classad2.ParserType.New)
    except ValueError:  # UnicodeError is one, too
        return None


def _locate(page: SourceText, outline: _Outline) -> None:
    """Raise for the attribute that the library cannot parse, if it is only one."""
    for entry in outline.entries.values():
        found = _native(f"[ x = {entry.text} ]")
        if found is None or "x" not in found:
            for inner in entry.inner:
                _locate(page, inner)
            page.fail(f"The value of '{entry.name[:80]}' cannot be parsed: {entry.text[:80]}", entry.at)


def _ad(page: SourceText, outline: _Outline, native: Any) -> Ad:  # noqa: ANN401 - the library has no types
    values = {str(name).lower(): name for name in native}
    if values.keys() != outline.entries.keys():
        _locate(page, outline)
        page.fail("the ClassAd library finds other attributes than the text has", outline.at)
    attributes = {}
    for key, entry in outline.entries.items():
        inner = iter(entry.inner)
        attributes[key] = AdAttribute(entry.name, entry.at, _value(page, entry, inner, native[values[key]]), entry.text)
    return Ad(outline.at, attributes)


def _value(page: SourceText, entry: _Entry, inner: Any, native: Any) -> Value:  # noqa: ANN401 - the library has no types
    if isinstance(native, str | bool | int):
        return native
    if isinstance(native, float):
        return native if abs(native) < float(_LARGEST) else Expression(str(native))
    if isinstance(native, list):
        return tuple(_value(page, entry, inner, item) for item in native)
    if type(native).__name__ == "ClassAd":
        outline = next(inner, None)
        if outline is None:
            page.fail(f"The value of '{entry.name[:80]}' cannot be parsed", entry.at)
        return _ad(page, outline, native)
    return Expression(" ".join(str(native).split()) if type(native).__name__ == "ExprTree" else "undefined")
