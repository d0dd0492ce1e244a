"""Parse the constraints of ``arcproxy``, ``NAME=VALUE``, which set the properties of a new proxy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from arex.credentials.proxy import ANY_LANGUAGE, DIGESTS, INDEPENDENT, INHERIT_ALL, LIMITED, SLACK, Info, Wish
from arex.errors import ArexError

_PERIOD: Final = timedelta(hours=12)
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_FORMS: Final = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%Y%m%d%H%M%SZ")
_LANGUAGES: Final = {
    "inheritall": INHERIT_ALL,
    "independent": INDEPENDENT,
    "limited": LIMITED,
    "anylanguage": ANY_LANGUAGE,
}
_NAMES: Final = {
    name.lower(): name
    for name in (
        "validityStart", "validityEnd", "validityPeriod", "proxyPolicy", "proxyPolicyFile", "keybits",
        "signingAlgorithm", "vomsACvalidityPeriod", "myproxyvalidityPeriod", "policyLanguage", "pathLength", "curve",
    )
}  # fmt: skip


class BadConstraint(ArexError):
    """A constraint is invalid or unknown."""


def parse(texts: Iterable[str], now: datetime) -> Wish:
    """
    Parse the requested properties. Defaults are those of ARC's client: 12 hours, and an RSA key of 2048 bits.

    Raises:
        BadConstraint: a constraint is invalid or unknown.
    """
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        known = _NAMES.get(name.strip().lower())
        if not equals or known is None:
            raise BadConstraint(f"unknown constraint {text!r}; expected one of {', '.join(_NAMES.values())}")
        given[known] = value.strip()
    starts, ends = _span(given, now)
    bits = given.get("keybits", "2048")
    curve = given.get("curve")
    digest = given.get("signingAlgorithm", "inherit").lower()
    if digest not in {*DIGESTS, "inherit"}:
        raise BadConstraint(f"unknown signing algorithm {digest!r}; expected one of {', '.join(DIGESTS)} or inherit")
    return Wish(
        starts=starts,
        ends=ends,
        info=_info(given),
        bits=None if bits.lower() == "inherit" else _number("keybits", bits),
        curve=None if curve is None else _number("curve", curve.upper().removeprefix("P-")),
        digest=digest,
    )


def only_period(texts: Iterable[str]) -> timedelta | None:
    """
    The last ``validityPeriod``, for what has no other property; None if there is none.

    Raises:
        BadConstraint: it is invalid, or there is another constraint.
    """
    found = None
    for text in texts:
        name, _, value = text.partition("=")
        if name.strip().lower() != "validityperiod":
            raise BadConstraint(f"a local identity has no constraint {text!r}; expected validityPeriod=TIME")
        found = _period(value)
    return found


def _span(given: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    start = given.get("validityStart")
    begin = now if start is None else _moment("start time", start)
    end = given.get("validityEnd")
    if end is not None:
        ends = _moment("end time", end)
    else:
        period = given.get("validityPeriod")
        ends = begin + (_PERIOD if period is None else _period(period))
    if ends < begin:
        raise BadConstraint(
            f"The end time that you set: {ends:%Y-%m-%d %H:%M:%S} is before start time: {begin:%Y-%m-%d %H:%M:%S}."
        )
    return (begin - SLACK if start is None else begin), ends


def _moment(what: str, text: str) -> datetime:
    for form in _FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise BadConstraint(f"The {what} that you set: {text} can't be recognized.")


def _period(text: str) -> timedelta:
    """Parse a number of seconds, or a text like ``12h``, ``90m`` or ``2d``."""
    match = re.fullmatch(r"([0-9]{1,9})\s*([smhdw]?)", text.strip().lower())
    if match is None:
        raise BadConstraint(f"The period that you set: {text} can't be recognized.")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _number(name: str, text: str) -> int:
    if re.fullmatch("[0-9]{1,6}", text) is None:
        raise BadConstraint(f"The {name} constraint is wrong: {text}.")
    return int(text)


def _info(given: Mapping[str, str]) -> Info:
    text = given.get("proxyPolicy", "").encode("utf-8", "surrogateescape")
    if (name := given.get("proxyPolicyFile")) is not None:
        text = Path(name).read_bytes()
    language = given.get("policyLanguage")
    if language is None:
        policy = ANY_LANGUAGE if text else INHERIT_ALL
    else:
        policy = _LANGUAGES.get(language.lower(), language)
        if re.fullmatch(r"[012](\.[0-9]{1,9}){1,20}", policy) is None:
            raise BadConstraint(
                f"unknown policy language {language!r}; expected one of {', '.join(_LANGUAGES)}, or a number"
            )
    length = given.get("pathLength")
    return Info(policy=policy, text=text, path_length=None if length is None else _number("pathLength", length))
