"""One attribute of an xRSL text, and the readers of its values."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn

from arex.jobdesc import quantities
from arex.jobdesc.model import DescriptionDialect
from arex.jobdesc.remarks import SourceText
from arex.jobdesc.times import MINUTE, UNIT_WORDS, read_period
from arex.jobdesc.xrsl import cures
from arex.jobdesc.xrsl.grammar import Group, Plain, Text
from arex.model.numbers import LONG, leading_number, whole_number, wrap
from arex.suggest import closest


class Attribute(NamedTuple):
    """One relation, its variables replaced; every reader raises JobDescriptionError with line and column."""

    source: SourceText
    dialect: DescriptionDialect
    at: int
    name: str
    operator: str
    values: tuple[Plain, ...]

    def fail(self, what: str, at: int | None = None) -> NoReturn:
        self.source.fail(what, self.at if at is None else at)

    def remark(self, what: str, suggestion: str = "", *, error: str = "") -> None:
        self.source.remark(what, self.at, suggestion, error)

    @property
    def by_user(self) -> bool:
        return self.dialect is DescriptionDialect.USER

    def text(self) -> str:
        if len(self.values) != 1:
            cure = cures.in_quotes(self.name, [value.text for value in self.values if isinstance(value, Text)])
            self.fail(f"Value of attribute '{self.name}' expected to be single value{cure}")
        return self._string(self.values[0])

    def texts(self) -> list[str]:
        return [self._string(value) for value in self.values]

    def _string(self, value: Plain) -> str:
        if not isinstance(value, Text):
            self.fail(f"Value of attribute '{self.name}' is not a string", value.at)
        return value.text

    def rows(self, length: int | None = None) -> list[tuple[int, list[str]]]:
        """Lists of strings and where they start."""
        rows = []
        for value in self.values:
            if not isinstance(value, Group):
                cure = cures.as_row(self.name, value.text)
                self.fail(f"Value of attribute '{self.name}' is not sequence{cure}", value.at)
            row = [self._string(item) for item in value.items if isinstance(item, Text | Group)]
            if length is not None and len(row) != length:
                what = (
                    f"Value of attribute '{self.name}' has wrong sequence length: Expected {length}, found {len(row)}"
                )
                self.fail(what, value.at)
            rows.append((value.at, row))
        return rows

    def files(self) -> list[tuple[int, list[str]]]:
        rows = self.rows()
        for at, row in rows:
            if len(row) < 2:
                cure = cures.as_row(self.name, "".join(row))
                self.fail(f"At least two values are needed for the '{self.name}' attribute{cure}", at)
            if not row[0]:
                self.fail(f"First value of '{self.name}' attribute (filename) cannot be empty", at)
        return rows

    def integer(self) -> int:
        """A number and nothing else."""
        try:
            return whole_number(self.text())
        except ValueError:
            self.fail(f"Value of '{self.name}' attribute must be an integer")

    def number(self, check: Callable[[str], int] = quantities.natural) -> int:
        """
        The number at the beginning of the text, or zero with a remark.

        From a user, it is what ``check`` finds; if that raises ValueError, the remark is on a mistake.
        """
        text = self.text()
        error = ""
        if self.by_user:
            try:
                return check(text)
            except ValueError as exc:
                error = f"{self.name}: {exc}"
        try:
            number = leading_number(text)
        except ValueError as exc:
            self.remark(f"Value of '{self.name}' attribute counts as 0: {exc}", error=error)
            return 0
        try:
            whole_number(text)
        except ValueError:
            what = f"Value of '{self.name}' attribute counts as {number}: {text[:80]!r} has more than a number"
            self.remark(what, error=error)
        else:
            if error:
                self.remark(error, error=error)
        return number

    def period(self) -> int:
        return self.seconds(self.text())

    def seconds(self, text: str) -> int:
        """
        A period in seconds; an invalid one is zero, with a remark.

        From a user, also a period that ARC does not know, such as ``01:30:00``.
        """
        error = ""
        if self.by_user:
            try:
                return quantities.seconds(text, MINUTE)
            except ValueError as exc:
                error = f"{self.name}: {exc}"
        found = read_period(text, MINUTE if self.by_user else 1)
        if self.source.remarks.full and not error:
            return wrap(found.seconds, LONG)
        if found.fault:
            meant = next((hint for word in _words(text) if (hint := closest(word, UNIT_WORDS)) != word.lower()), "")
            self.remark(f"Value of '{self.name}' attribute counts as 0 seconds: {found.fault}", meant, error=error)
        elif not text.startswith("P"):
            self._remark_units(text, error)
        if error and not found.fault and not _odd_words(text):
            self.remark(error, error=error)
        return wrap(found.seconds, LONG)

    def _remark_units(self, text: str, error: str) -> None:
        """Of a unit only the first letter counts: a month is a minute."""
        for word in _odd_words(text):
            what = f"The word '{word}' in '{self.name}' is not a unit of time: of a unit only the first letter counts"
            self.remark(what, closest(word, UNIT_WORDS), error=error)


def _odd_words(text: str) -> list[str]:
    return [word for word in _words(text) if len(word) > 1 and word.lower() not in UNIT_WORDS]


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalpha() else " " for letter in text[:80]).split()
