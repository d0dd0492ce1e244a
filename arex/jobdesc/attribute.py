"""One attribute of an xRSL text, and the ways to read its values."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, NoReturn

from arex.jobdesc.model import Dialect
from arex.jobdesc.rsl import Group, Plain, Source, Text, Value
from arex.jobdesc.times import parse_period

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,15}")


class Attribute(NamedTuple):
    """One relation, its variables replaced; every reader raises JobDescriptionError with line and column."""

    source: Source
    dialect: Dialect
    at: int
    name: str
    operator: str
    values: tuple[Plain, ...]

    def fail(self, what: str, at: int | None = None) -> NoReturn:
        self.source.fail(what, self.at if at is None else at)

    def text(self) -> str:
        if len(self.values) != 1:
            self.fail(f"Value of attribute '{self.name}' expected to be single value")
        return self._string(self.values[0]).text

    def texts(self) -> tuple[str, ...]:
        return tuple(self._string(value).text for value in self.values)

    def _string(self, value: Value) -> Text:
        if not isinstance(value, Text):
            self.fail(f"Value of attribute '{self.name}' is not a string", value.at)
        return value

    def rows(self) -> list[tuple[str, ...]]:
        rows = []
        for value in self.values:
            if not isinstance(value, Group):
                self.fail(f"Value of attribute '{self.name}' is not sequence", value.at)
            rows.append(tuple(self._string(item).text for item in value.items))
        return rows

    def pairs(self) -> tuple[tuple[str, str], ...]:
        pairs = []
        for row, value in zip(self.rows(), self.values, strict=True):
            if len(row) != 2:
                what = f"Value of attribute '{self.name}' has wrong sequence length: Expected 2, found {len(row)}"
                self.fail(what, value.at)
            pairs.append((row[0], row[1]))
        return tuple(pairs)

    def files(self) -> list[tuple[str, ...]]:
        rows = self.rows()
        for row, value in zip(rows, self.values, strict=True):
            if len(row) < 2:
                self.fail(f"At least two values are needed for the '{self.name}' attribute", value.at)
        return rows

    def integer(self) -> int:
        text = self.text().strip()
        if _INTEGER.fullmatch(text) is None:
            self.fail(f"Value of '{self.name}' attribute must be an integer")
        return int(text)

    def natural(self) -> int:
        number = self.integer()
        if number < 0:
            self.fail(f"Value of '{self.name}' attribute must not be negative")
        return number

    def flag(self) -> bool:
        text = self.text().lower()
        if text not in {"yes", "true", "no", "false"}:
            self.fail(f"Value of '{self.name}' attribute must be yes or no")
        return text in {"yes", "true"}

    def period(self) -> int:
        try:
            return parse_period(self.text(), 60 if self.dialect is Dialect.USER else 1)
        except ValueError as exc:
            self.fail(f"Value of '{self.name}' attribute is {exc}")
