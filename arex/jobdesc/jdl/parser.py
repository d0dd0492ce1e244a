"""JDL to the model: jobs, collections and parametric jobs of gLite and CREAM. ``classads`` has the grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from arex.jobdesc.jdl.classads import Ad, AdAttribute, Expression, Value, read_ad
from arex.jobdesc.jdl.job import Reading
from arex.jobdesc.jdl.rules import RULES
from arex.jobdesc.model import JobDescription
from arex.jobdesc.remarks import SourceText
from arex.jobdesc.xrsl.grammar import MAX_JOBS
from arex.suggest import closest

#: Bound on the text that all jobs of one description have together, in characters.
MAX_EXPANSION: Final = 16 * 1024 * 1024

_PARAM: Final = "_PARAM_"
_SHARED: Final = re.compile(r"root\.(\w+)(?:\[([0-9]{1,6})\])?", re.IGNORECASE)
#: Attributes that define the set of jobs, and belong to none of them.
_REQUEST: Final = frozenset({
    *("type", "nodes", "dependencies", "parameters", "parameterstart", "parameterstep"),
})  # fmt: skip
_GRAPHS: Final = "Jobs that wait for each other (DAG, Dependencies) are not supported: submit them one after the other"


def parse_jdl(text: str, *, bare: bool = False) -> list[JobDescription]:
    """
    Read the jobs of one JDL text, in its order.

    Nothing is evaluated: values are literals, lists and ads; only Requirements and Rank may be expressions, and
    ``root.ATTRIBUTE`` in a node stands for what the collection has.

    Args:
        text: the text.
        bare: the brackets around all of it are left out.

    Raises:
        JobDescriptionError: with line and column; or the ClassAd library is not installed.
    """
    page = SourceText(text)
    root = read_ad(page, bare=bare)
    if not root.attributes:
        page.fail("There are no attributes", root.at)
    found = []
    for attributes in _requests(page, root):
        page.remarks.start_job()
        found.append(_job(page, attributes))
    return found


def _requests(page: SourceText, root: Ad) -> Iterator[Mapping[str, AdAttribute]]:
    kind = _word(page, root, "type") or "job"
    if kind == "dag" or (graph := root.attributes.get("dependencies")) is not None:
        page.fail(_GRAPHS, root.attributes["type"].at if kind == "dag" else graph.at if graph else root.at)
    if kind == "collection":
        yield from _nodes(page, root)
    elif kind == "job":
        yield from _jobs(page, root.attributes)
    else:
        page.fail("Type must be Job or Collection", root.attributes["type"].at)


def _word(page: SourceText, ad: Ad, name: str) -> str:
    """A string in lower case; empty if it is absent."""
    if (attribute := ad.attributes.get(name)) is None:
        return ""
    if not isinstance(attribute.value, str):
        page.fail(f"{attribute.name} must be a string", attribute.at)
    return attribute.value.lower()


# --- collections ------------------------------------------------------------------------------------------------------


def _nodes(page: SourceText, root: Ad) -> Iterator[Mapping[str, AdAttribute]]:
    nodes = root.attributes.get("nodes")
    if nodes is None or not isinstance(nodes.value, tuple) or not nodes.value:
        page.fail("A collection needs Nodes, a list of jobs", root.at if nodes is None else nodes.at)
    shared = {name: one for name, one in root.attributes.items() if name not in _REQUEST}
    _bounded(page, len(nodes.value), sum(len(one.text) for one in shared.values()), nodes.at)
    for number, node in enumerate(nodes.value):
        if not isinstance(node, Ad) or not node.attributes:
            page.fail(f"Node {number + 1} is not a job in brackets", nodes.at)
        yield from _jobs(page, {**shared, **_own(page, node, root)})


def _own(page: SourceText, node: Ad, root: Ad) -> dict[str, AdAttribute]:
    """Attributes of a node; those of the collection that it refers to are in their place."""
    if (file := node.attributes.get("file")) is not None:
        page.fail("A node in a separate file is not supported: write the job into Nodes", file.at)
    if (graph := node.attributes.get("dependencies")) is not None:
        page.fail(_GRAPHS, graph.at)
    return {
        name: one._replace(value=_resolved(page, one, root)) if "root." in one.text.lower() else one
        for name, one in node.attributes.items()
    }


def _resolved(page: SourceText, attribute: AdAttribute, root: Ad) -> Value:
    value = attribute.value
    if not isinstance(value, tuple):
        return _shared(page, attribute, value, root)
    items: list[Value] = []
    for item in value:
        found = _shared(page, attribute, item, root)
        items += found if found is not item and isinstance(found, tuple) else [found]
    return tuple(items)


def _shared(page: SourceText, attribute: AdAttribute, value: Value, root: Ad) -> Value:
    match = _SHARED.fullmatch(value.text.replace(" ", "")) if isinstance(value, Expression) else None
    if match is None:
        return value
    found = root.attributes.get(match[1].lower())
    if found is None:
        page.fail(f"The collection has no attribute {match[1]}", attribute.at)
    if match[2] is None:
        return found.value
    if not isinstance(found.value, tuple) or int(match[2]) >= len(found.value):
        page.fail(f"{match[1]} of the collection has no element {match[2]}", attribute.at)
    return found.value[int(match[2])]


# --- parametric jobs --------------------------------------------------------------------------------------------------


def _jobs(page: SourceText, attributes: Mapping[str, AdAttribute]) -> Iterator[Mapping[str, AdAttribute]]:
    """One job, or one for each parameter."""
    if not _is_parametric(attributes):
        if (lonely := attributes.get("parameters")) is not None:
            page.fail('Parameters need JobType = "Parametric"', lonely.at)
        yield attributes
        return
    plain = {name: one for name, one in attributes.items() if name not in _REQUEST}
    values = _parameters(page, attributes)
    _bounded(page, len(values), sum(len(one.text) for one in plain.values()), attributes["parameters"].at)
    changing = {name: one for name, one in plain.items() if _PARAM in one.text}
    for value in values:
        yield {**plain, **{name: _replaced(one, value) for name, one in changing.items()}}


def _is_parametric(attributes: Mapping[str, AdAttribute]) -> bool:
    kind = attributes.get("jobtype")
    values = () if kind is None else kind.value if isinstance(kind.value, tuple) else (kind.value,)
    return any(isinstance(value, str) and value.lower() == "parametric" for value in values)


def _parameters(page: SourceText, attributes: Mapping[str, AdAttribute]) -> list[str]:
    wanted = attributes.get("parameters")
    if wanted is None:
        page.fail("A parametric job needs Parameters: a list, or where to end", attributes["jobtype"].at)
    if isinstance(wanted.value, tuple):
        values = [_parameter(page, wanted, value) for value in wanted.value]
    else:
        start, step = (_number(page, attributes.get(f"parameter{word}"), n) for word, n in (("start", 0), ("step", 1)))
        end = _number(page, wanted, 0)
        if step == 0:
            page.fail("ParameterStep must not be 0", attributes["parameterstep"].at)
        span = range(start, end, step)
        if not 0 < len(span) <= MAX_JOBS:
            page.fail(f"Parameters make {len(span)} jobs: between 1 and {MAX_JOBS} are possible", wanted.at)
        values = list(map(str, span))
    if not values:
        page.fail("Parameters is an empty list", wanted.at)
    return values


def _parameter(page: SourceText, wanted: AdAttribute, value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        page.fail("Parameters must be strings or numbers", wanted.at)
    return str(value)


def _number(page: SourceText, attribute: AdAttribute | None, default: int) -> int:
    if attribute is None:
        return default
    if isinstance(attribute.value, bool) or not isinstance(attribute.value, int) or abs(attribute.value) > 2**31:
        page.fail(f"{attribute.name} must be a whole number", attribute.at)
    return attribute.value


def _bounded(page: SourceText, jobs: int, size: int, at: int) -> None:
    if jobs > MAX_JOBS:
        page.fail(f"More than {MAX_JOBS} jobs", at)
    if jobs * size > MAX_EXPANSION:
        page.fail(f"{jobs} jobs of {size} characters each are too much", at)


def _replaced(attribute: AdAttribute, value: str) -> AdAttribute:
    text = attribute.text.replace(_PARAM, value)
    return attribute._replace(value=_with(attribute.value, value), text=text)


def _with(found: Value, value: str) -> Value:
    if isinstance(found, str):
        return found.replace(_PARAM, value)
    if isinstance(found, tuple):
        return tuple(_with(item, value) for item in found)
    if isinstance(found, Ad):
        inner = {name: _replaced(one, value) for name, one in found.attributes.items()}
        return replace(found, attributes=inner)
    if isinstance(found, Expression):
        if found.text == _PARAM:  # a value without quotes is the number itself
            return int(value) if re.fullmatch(r"-?[0-9]{1,18}", value) else value
        return Expression(found.text.replace(_PARAM, value))
    return found


# --- one job ----------------------------------------------------------------------------------------------------------


def _job(page: SourceText, attributes: Mapping[str, AdAttribute]) -> JobDescription:
    reading = Reading(page, attributes)
    for name, attribute in attributes.items():
        if (rule := RULES.get(name)) is not None:
            rule.read(reading, attribute)
        elif name not in _REQUEST:
            _unknown(reading, attribute)
    if not attributes.get("executable"):
        page.remark("There is no Executable: the job only moves files", next(iter(attributes.values())).at)
    return reading.finish()


@lru_cache(maxsize=256)
def _meant(name: str) -> str:
    """Thousands of jobs may make the same mistake."""
    return closest(name, (rule.name for rule in RULES.values()))


def _unknown(reading: Reading, attribute: AdAttribute) -> None:
    hint = "" if reading.page.remarks.full else _meant(attribute.name)
    what = f"Unknown attribute '{attribute.name[:80]}'"
    reading.keep(attribute, f"{what}: it has no effect", hint, what if hint else "")
