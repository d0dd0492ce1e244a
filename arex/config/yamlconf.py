"""
Parse the configuration from YAML into the same blocks. Only this module uses pyyaml.

Top-level keys are blocks (``arex/ws/jobs``, ``queue:long``), or ``queues``, ``authgroups`` and ``userlists``, which
contain one mapping for each name. Scalars are kept as written, so ``yes`` and ``0600`` have the same meaning as in
arc.conf. A list contains the values of a repeated option, or the words of an option that cannot be repeated
(``maxjobs``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from arex.config.arc_options import typed
from arex.config.arcconf import Entry, Section, unprintable
from arex.errors import Fault

_PLURALS: Final = {"queues": "queue", "authgroups": "authgroup", "userlists": "userlist"}
#: Lower case only, because some options of ARC have the values True and False.
_BOOLEANS: Final = {"true": "yes", "false": "no", "on": "yes", "off": "no"}


def parse(text: str, file: Path) -> tuple[list[Section], list[Fault]]:
    """All blocks in file order, and a fault for everything that does not have the expected structure."""
    faults: list[Fault] = []
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        return [], [Fault(f"invalid YAML: {exc.problem or exc.context}", file, mark.line + 1 if mark else None)]
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        return [], [Fault(f"invalid YAML: {' '.join(str(exc).split())}", file)]
    reading = _Reading(file, faults)
    return ([] if root is None else list(reading.sections(root))), faults


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and str(node.tag).endswith(":null")


class _Reading:
    """One pass over a document; it continues after a fault."""

    def __init__(self, file: Path, faults: list[Fault]) -> None:
        self._file, self._faults = file, faults

    def sections(self, root: yaml.Node) -> Iterator[Section]:
        for kind, key, node in self._pairs(root, "the document"):
            if kind in _PLURALS:
                for name, at, block in self._pairs(node, kind):
                    yield self._section(_PLURALS[kind], name, at, block)
            else:
                word, _, name = kind.partition(":")
                yield self._section(word, name.strip() or None, key, node)

    def _section(self, kind: str, name: str | None, key: yaml.Node, node: yaml.Node) -> Section:
        section = Section(kind, name, _line(key), [])
        for option, at, value in self._pairs(node, f"[{section.header}]"):
            label = f"[{section.header}] {option}"
            section.entries.extend(Entry(option, text, _line(at)) for text in self._values(kind, option, label, value))
        return section

    def _values(self, kind: str, option: str, label: str, node: yaml.Node) -> list[str]:
        if not isinstance(node, yaml.SequenceNode):
            return self._scalar(label, node)
        words = [word for each in node.value for word in self._scalar(label, each)]
        about = typed(kind).get(option)
        return [" ".join(words)] if about is not None and not about.repeats else words

    def _scalar(self, label: str, node: yaml.Node) -> list[str]:
        """The value as a list of one item; empty for null, which means that the option is not set."""
        if _empty(node):
            return []
        if not isinstance(node, yaml.ScalarNode):
            self._faults.append(Fault("expected a value or a list of values", self._file, _line(node), label))
            return []
        text = str(node.value).strip()
        if unprintable(text) or "\n" in text:
            self._faults.append(Fault("a value must be one line of text", self._file, _line(node), label))
            return []
        return [_BOOLEANS.get(text, text) if str(node.tag).endswith(":bool") else text]

    def _pairs(self, node: yaml.Node, label: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        if _empty(node):
            return
        if not isinstance(node, yaml.MappingNode):
            self._faults.append(Fault(f"{label} must be a mapping", self._file, _line(node)))
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if not name or unprintable(name) or "\n" in name:
                self._faults.append(Fault(f"{label} has an invalid key; expected a name", self._file, _line(key)))
            elif name in seen:
                self._faults.append(Fault("duplicate key", self._file, _line(key), f"{label} {name}"))
            else:
                seen.add(name)
                yield name, key, value
