"""
What a JDL ``Requirements`` plainly asks for: conditions that are joined by ``&&``, and that a job here can have too.

Nothing is concluded from ``||``, ``!`` or ``?:``; such a part stays as it is, for those who choose a service.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from arex.jobdesc.jdl.classads import AdToken, text_of, tokens_of
from arex.jobdesc.model import JobDescription, Software
from arex.jobdesc.remarks import SourceText
from arex.jobdesc.software import software

#: Names of the GLUE schema, the field that each sets, and how many of its units one is; the first is written.
AMOUNTS: Final = {
    "GlueCEPolicyMaxWallClockTime": ("walltime_s", 60),
    "GlueCEPolicyMaxCPUTime": ("cputime_s", 60),
    "GlueHostMainMemoryRAMSize": ("memory_mb", 1),
    "GlueHostMainMemoryVirtualSize": ("virtualmemory_mb", 1),
    "GlueCEPolicyMaxObtainableWallClockTime": ("walltime_s", 60),
    "GlueCEPolicyMaxObtainableCPUTime": ("cputime_s", 60),
}
RUNTIMES: Final = "GlueHostApplicationSoftwareRunTimeEnvironment"

_BY_NAME: Final = {name.lower(): meaning for name, meaning in AMOUNTS.items()}
_NUMBER: Final = r"([0-9]{1,12}(?:\.[0-9]{1,12})?)"
_AT_LEAST: Final = re.compile(rf"other \. (\w+) (>=?) {_NUMBER}", re.IGNORECASE)
_AT_MOST: Final = re.compile(rf"{_NUMBER} (<=?) other \. (\w+)", re.IGNORECASE)
_MEMBER: Final = re.compile(rf'Member \( "([^"\\]+)" , other \. {RUNTIMES} \)', re.IGNORECASE)
_LOOSE: Final = frozenset({"||", "?", ":"})


@dataclass(frozen=True, slots=True)
class Wishes:
    """Amounts by field of the model, runtime environments, and the conditions that are left."""

    amounts: dict[str, int]
    runtimes: tuple[Software, ...]
    rest: str


def understood(text: str) -> Wishes:
    """
    Take an expression apart.

    Raises:
        JobDescriptionError: it is none.
    """
    amounts: dict[str, int] = {}
    runtimes: list[Software] = []
    rest: list[str] = []
    for condition in _conditions(tokens_of(SourceText(text))):
        plain = " ".join(token.text for token in condition)
        if (amount := _amount(plain)) is not None:
            field, number = amount
            amounts[field] = max(number, amounts.get(field, 0))
        elif (match := _MEMBER.fullmatch(plain)) is not None:
            runtimes.append(software(match[1]))
        else:
            rest.append(_safe(condition))
    return Wishes(amounts, tuple(runtimes), " && ".join(rest))


def _conditions(tokens: list[AdToken]) -> list[list[AdToken]]:
    """What all must hold; one alone if it is not that simple."""
    tokens = _unwrapped(tokens)
    parts: list[list[AdToken]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text in {"(", "[", "{"}) - (token.text in {")", "]", "}"})
        if depth == 0 and token.text in _LOOSE:
            return [tokens]
        if depth == 0 and token.text == "&&":
            parts.append([])
        else:
            parts[-1].append(token)
    return [tokens] if len(parts) == 1 else [each for part in parts for each in _conditions(part)]


def _unwrapped(tokens: list[AdToken]) -> list[AdToken]:
    """Without the parentheses around all of it."""
    while len(tokens) > 2 and tokens[0].text == "(" and _partner(tokens) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _partner(tokens: list[AdToken]) -> int:
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return index
    return -1


def _safe(tokens: list[AdToken]) -> str:
    loose = any(token.text in _LOOSE for token in tokens)
    return f"({text_of(tokens)})" if loose else text_of(tokens)


def _amount(plain: str) -> tuple[str, int] | None:
    if (match := _AT_LEAST.fullmatch(plain)) is not None:
        name, relation, number = match.groups()
    elif (match := _AT_MOST.fullmatch(plain)) is not None:
        number, relation, name = match.groups()
    else:
        return None
    if (meaning := _BY_NAME.get(name.lower())) is None:
        return None
    field, unit = meaning
    # more than a whole number of them is at least the next
    least = Fraction(number) if "=" in relation else Fraction(int(Fraction(number)) + 1)
    return field, round(least * unit)


def whole(job: JobDescription) -> str:
    """The expression that says all that this job asks of a service, for those who choose one."""
    written = set[str]()
    parts = [job.requirements] if job.requirements else []
    for name, (field, unit) in AMOUNTS.items():
        number = getattr(job.resources, field)
        if number is not None and field not in written:
            written.add(field)
            parts.append(f"other.{name} >= {_decimal(number, unit)}")
    names = [one.full_name for one in job.resources.runtimes if one.relation == "="]
    parts += [f'Member("{name}", other.{RUNTIMES})' for name in names if not set('"\\').intersection(name)]
    return " && ".join(parts)


def _decimal(number: int, unit: int) -> str:
    return f"{number / unit:.4f}".rstrip("0").rstrip(".")
