"""
ClassAds as the commands of HTCondor print them with ``-xml``: attributes of one type each, expressions left out.

Source: condor_q(1) of HTCondor 23 and what it prints.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from math import isfinite

from arex.errors import UnreadableOutput
from arex.process import Completed
from lrms.command.listings import xml

Ad = Mapping[str, float | bool | str]


def ads(done: Completed) -> list[ET.Element]:
    """
    All ads in the answer; if it is invalid as a whole, those that are valid by themselves.

    Raises:
        UnreadableOutput: it is incomplete, or not a list of ads.
    """
    try:
        tree = xml.parsed(done)
    except xml.Invalid:
        if (found := xml.pieces(done.out, "c", "classads")) is None:
            raise
        return found
    if tree.tag != "classads":
        raise UnreadableOutput(done.argv, done.code, done.out)
    return tree.findall("c")


def ad_of(element: ET.Element) -> Ad:
    """Raises KeyError, ValueError."""
    return dict(_attributes(element))


def _attributes(ad: ET.Element) -> Iterator[tuple[str, float | bool | str]]:
    """The attributes with a value, without expressions."""
    for attribute in ad.findall("a"):
        for value in attribute:
            text = value.text or ""
            match value.tag:
                case "s":
                    yield attribute.attrib["n"], text
                case "i" | "r":
                    yield attribute.attrib["n"], float(text)
                case "b":
                    yield attribute.attrib["n"], value.get("v") == "t"
                case _:
                    continue


def number(ad: Ad, name: str) -> float | None:
    value = ad.get(name)
    return value if isinstance(value, float) and isfinite(value) else None


def integer(ad: Ad, name: str) -> int | None:
    value = number(ad, name)
    return None if value is None else int(value)


def text(ad: Ad, name: str) -> str:
    value = ad.get(name)
    return " ".join(value.split()) if isinstance(value, str) else ""


def moment(ad: Ad, *names: str) -> datetime | None:
    seconds = next((value for name in names if (value := number(ad, name))), None)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None
