"""
Immutable, keyword-only dataclasses that are fast to import.

``@dataclass(frozen=True)`` compiles six methods for each class at import, which takes 10 ms for the configuration in
every client command. Here, the classes inherit these methods instead. ``fields()`` and ``replace()`` work as usual.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, ClassVar, NamedTuple, Never, TypeVar, dataclass_transform

_T = TypeVar("_T")


class Option(NamedTuple):
    """Declaration of an option."""

    name: str
    kind: str  #: type annotation of the field
    default: object
    doc: str
    unit: str
    example: str  #: value to show if there is no default
    honoured: bool  #: False: accepted, without effect
    least: int  #: minimum of a number

    @property
    def repeats(self) -> bool:
        """Whether the option can be given several times."""
        return self.kind.startswith("tuple[")

    @property
    def optional(self) -> bool:
        """Whether an empty value is allowed and means None."""
        return self.kind.endswith(" | None")

    @property
    def item(self) -> str:
        """Type of a single value: the annotation without ``| None`` and ``tuple[...]``."""
        return self.kind.removesuffix(" | None").removeprefix("tuple[").removesuffix(", ...]")


def option(*, default: _T, doc: str, unit: str = "", example: str = "", honoured: bool = True, least: int = 0) -> _T:
    """Declare an option with its default and its text in the reference."""
    about = {"doc": doc, "unit": unit, "example": example, "honoured": honoured, "least": least}
    return field(default=default, metadata=about)


def options(block: type[Record]) -> Iterator[Option]:
    """The documented options of a block, in declaration order."""
    for each in fields(block):
        if each.metadata:
            yield Option(name=each.name, kind=str(each.type), default=each.default, **each.metadata)


class Record:
    """Base of all configuration values: immutable, compared by content; ``repr`` omits fields with default values."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __init__(self, **values: object) -> None:
        known = self.__dataclass_fields__
        if unknown := values.keys() - known:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        for name, each in known.items():
            value = values.get(name, each.default)
            if value is MISSING:
                raise TypeError(f"{type(self).__name__} needs {name}")
            self.__dict__[name] = value

    def __setattr__(self, name: str, value: object) -> Never:
        raise FrozenInstanceError(f"cannot assign to {name}")

    def __delattr__(self, name: str) -> Never:
        raise FrozenInstanceError(f"cannot delete {name}")

    def _key(self) -> tuple[object, ...]:
        return tuple(self.__dict__[each.name] for each in fields(self) if each.compare)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, Record)
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash((type(self), self._key()))

    def __repr__(self) -> str:
        told = (f"{f.name}={self.__dict__[f.name]!r}" for f in fields(self) if self.__dict__[f.name] != f.default)
        return f"{type(self).__name__}({', '.join(told)})"


_R = TypeVar("_R", bound=type[Record])


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(option, field))
def record(cls: _R) -> _R:
    """Make a subclass of Record a frozen, keyword-only dataclass."""
    dataclass(init=False, eq=False, repr=False)(cls)
    return cls
