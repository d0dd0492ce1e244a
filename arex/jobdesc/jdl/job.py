"""One job of JDL while it is parsed, and the readers of its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NoReturn

from arex.jobdesc.jdl.classads import Ad, AdAttribute, Value
from arex.jobdesc.model import InputFile, JobDescription, OutputFile, Resources, Software
from arex.jobdesc.remarks import SourceText

_TRUE: Final = frozenset({"true", "yes"})
_FALSE: Final = frozenset({"false", "no"})


class Reading:
    """What the attributes so far have set; ``fields`` and ``resources`` have the names of the model."""

    def __init__(self, page: SourceText, attributes: Mapping[str, AdAttribute]) -> None:
        self.page, self.attributes = page, attributes
        self.fields: dict[str, object] = {}
        self.resources: dict[str, int | str | bool | None] = {}
        self.runtimes: list[Software] = []
        self.inputs: list[InputFile] = []
        self.outputs: list[OutputFile] = []
        self.unused: list[tuple[str, str]] = []

    def fail(self, what: str, a: AdAttribute, suggestion: str = "") -> NoReturn:
        self.page.fail(what, a.at, suggestion)

    def remark(self, what: str, a: AdAttribute, suggestion: str = "", error: str = "") -> None:
        self.page.remark(what, a.at, suggestion, error)

    def keep(self, a: AdAttribute, what: str, suggestion: str = "", error: str = "") -> None:
        """Keep an attribute without effect, so that the JDL writer can write it again."""
        self.remark(what, a, suggestion, error)
        self.unused.append((a.name, a.text))

    def string(self, a: AdAttribute) -> str:
        if not isinstance(a.value, str):
            self.fail(f"{a.name} must be a string, in quotes", a)
        return a.value

    def strings(self, a: AdAttribute) -> list[str]:
        """A list of strings, or one."""
        values: tuple[Value, ...] = a.value if isinstance(a.value, tuple) else (a.value,)
        found = []
        for value in values:
            if not isinstance(value, str):
                self.fail(f"{a.name} must be a quoted string or a list of quoted strings", a)
            found.append(value)
        return found

    def number(self, a: AdAttribute, least: int = 0) -> int:
        """A whole number, with or without quotes."""
        value = a.value
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
            self.fail(f"{a.name} must be a whole number, {least} or more", a)
        return value

    def flag(self, a: AdAttribute) -> bool:
        if isinstance(a.value, bool):
            return a.value
        word = a.value.lower() if isinstance(a.value, str) else ""
        if word not in _TRUE | _FALSE:
            self.fail(f"{a.name} must be true or false", a)
        return word in _TRUE

    def ad(self, a: AdAttribute) -> Ad:
        if not isinstance(a.value, Ad):
            self.fail(f"{a.name} must be a list of attributes in brackets", a)
        return a.value

    def finish(self) -> JobDescription:
        resources = replace(Resources(), runtimes=tuple(self.runtimes), **self.resources)  # type: ignore[arg-type]
        return replace(
            JobDescription(resources=resources),
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
            unused=tuple(self.unused),
            warnings=self.page.remarks.of_job(),
            **self.fields,  # type: ignore[arg-type]
        )
