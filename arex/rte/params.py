"""
Parameters of a runtime environment: declared in comments of its script, set in ``CONTROLDIR/rte/params/NAME``.

A declaration is ``# param:NAME:VALUES:DEFAULT:DESCRIPTION`` in one of the first twenty lines; VALUES is ``string``,
``int`` or a list with commas. The file of values is read by shells as it is: ``NAME="VALUE"``, where ``$VARIABLE``
works. Source: ARC 6.17, what ``arcctl rte`` reads and writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from arex.errors import ControlDirError
from arex.rte.names import nearest

_LINES: Final = 20
_DECLARED: Final = re.compile(r"#\s*param:([A-Za-z_][A-Za-z0-9_]*):([^:]+):([^:]*):(.*)")
_SET: Final = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="(.*)"\s*')
_DESCRIPTION: Final = re.compile(r"#+\s*description:\s*(.*?)\s*", re.IGNORECASE)
#: What would end the quotes or run a command in the file of values.
_HARMFUL: Final = re.compile(r'["`\\\x00-\x1f\x7f]|\$\(')


class BadParameter(ControlDirError):
    """No such parameter, or a value that it can't have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A parameter that a script declares."""

    name: str
    values: str  #: ``string``, ``int``, or what is allowed, separated by commas
    default: str = ""
    description: str = ""

    def check(self, value: str) -> str:
        """
        The value, if the parameter can have it.

        Raises:
            BadParameter: it can't, and the message says what it can have.
        """
        if _HARMFUL.search(value):
            raise BadParameter(
                f"{self.name} must not contain quotes, backslashes, backticks, line breaks or $(: {value!r}"
            )
        if self.values == "int" and not re.fullmatch(r"-?[0-9]+", value):
            raise BadParameter(f"{self.name} must be a number, not {value!r}")
        if self.values not in {"int", "string"} and value not in self.allowed:
            raise BadParameter(f"{self.name} must be one of {', '.join(self.allowed)}, not {value!r}")
        return value

    @property
    def allowed(self) -> tuple[str, ...]:
        """Empty: any text, or any number."""
        return () if self.values in {"int", "string"} else tuple(self.values.split(","))


def description(script: str) -> str:
    """One line of the script about itself; empty: it says nothing."""
    found = (_DESCRIPTION.fullmatch(line) for line in script.splitlines()[:_LINES])
    return next((match[1] for match in found if match), "")


def declared(script: str) -> tuple[Param, ...]:
    """In the order of the script; of a name that comes twice the last."""
    found = (_DECLARED.fullmatch(line.rstrip()) for line in script.splitlines()[:_LINES])
    params = {
        match[1]: Param(name=match[1], values=match[2], default=match[3].strip(), description=match[4])
        for match in found
        if match
    }
    return tuple(params.values())


def param_of(params: tuple[Param, ...], name: str, rte: str) -> Param:
    """
    Raises:
        BadParameter: the script declares none of this name.
    """
    known = {each.name: each for each in params}
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean {near}?" if near else f"it has {', '.join(known)}" if known else "it has none"
        raise BadParameter(f"{rte} has no parameter {name}: {hint}")
    return known[name]


def parse_values(text: str) -> dict[str, str]:
    """What is set; lines of another form are not ours to understand."""
    found = (_SET.fullmatch(line) for line in text.splitlines())
    return {match[1]: match[2] for match in found if match}


def dump_values(values: Mapping[str, str]) -> str:
    """The file that a shell reads; the values have been checked."""
    return "".join(f'{name}="{value}"\n' for name, value in values.items())
