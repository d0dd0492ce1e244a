"""Check the parsed blocks and build the configuration. All faults are collected and reported together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from arex.config import codec
from arex.config.arc_options import NAMED, RULES, UNCHECKED, kinds, names, suggest_block, suggest_option, typed
from arex.config.arcconf import Entry, Section
from arex.config.model import BLOCKS, Configuration, ForeignBlock, QueueBlock, RuleBlock
from arex.config.record import Option
from arex.config.values import Pairs
from arex.errors import Fault

_NO_EFFECT: Final = "this option of ARC has no effect in arex"
_UNUSED: Final = "this block of ARC has no effect in arex"
#: Warnings about what ARC's own tools may still use; nothing is missing without it.
HAS_NO_EFFECT: Final = frozenset({_NO_EFFECT, _UNUSED})
_RULES_UNUSED: Final = "these rules have no effect in arex: every job runs as the user of the service"


class Builder:
    """
    Builds the configuration from the blocks of one file. The result is usable only if ``faults`` is empty afterwards.

    ``given`` contains the (block, option) pairs that the file sets.
    """

    def __init__(self, file: Path | None, home: Path) -> None:
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []
        self.given: set[tuple[str, str]] = set()
        self._file, self._home = file, home
        self._lines: dict[str, int] = {}  #: line of the first block with this header
        self._blocks: dict[str, Any] = {}
        self._queues: list[QueueBlock] = []
        self._groups: list[RuleBlock] = []
        self._foreign: list[ForeignBlock] = []

    def build(self, sections: list[Section]) -> Configuration:
        """The configuration. If there are faults, it contains only the valid options."""
        for section in sections:
            if self._acceptable(section):
                self._lines[section.header] = section.line
                self._take(section)
        return Configuration(
            **self._blocks,
            authgroups=tuple(self._groups),
            queues=self._checked_queues(),
            foreign=tuple(self._foreign),
            headers=tuple(self._lines),
            source=self._file,
        )

    def _fault(self, what: str, line: int | None = None, option: str | None = None, cure: str = "") -> None:
        self.faults.append(Fault(what, self._file, line, option, cure))

    def _warn(self, what: str, line: int | None, option: str, cure: str = "") -> None:
        self.warnings.append(Fault(what, self._file, line, option, cure))

    def _acceptable(self, section: Section) -> bool:
        """Whether the block is known, correctly named and not a duplicate."""
        label = f"[{section.header}]"
        if section.kind not in kinds():
            self._fault("unknown block", section.line, label, suggest_block(section.kind))
        elif section.name is None and section.kind in NAMED:
            self._fault("the block has no name", section.line, label, f"write [{section.kind}:NAME]")
        elif section.name is not None and section.kind not in NAMED:
            self._fault("this block takes no name", section.line, label, f"write [{section.kind}]")
        elif section.header in self._lines:
            self._fault(f"duplicate block, first defined on line {self._lines[section.header]}", section.line, label)
        elif section.name is not None and (not section.name or any(c.isspace() or c in "[]/:" for c in section.name)):
            self._fault(
                "blanks, brackets, slashes and colons are not allowed in the name of a block", section.line, label
            )
        else:
            return True
        return False

    def _take(self, section: Section) -> None:
        kind = section.kind
        if kind == "queue":
            self._queues.append(QueueBlock(name=section.name or "", **self._values(section)))
        elif kind in BLOCKS:
            field, block = BLOCKS[kind]
            self._blocks[field] = block(**self._values(section))
        elif kind in RULES:
            self._rules(section)
        else:
            pairs = self._pairs(section)
            self._foreign.append(ForeignBlock(header=section.header, options=pairs))
            if kind != "custom":
                self._warn(_UNUSED, section.line, f"[{section.header}]")

    def _rules(self, section: Section) -> None:
        block = RuleBlock(name=section.name or "", rules=self._pairs(section))
        self._warn(_RULES_UNUSED, section.line, f"[{section.header}]")
        if section.kind == "authgroup":
            self._groups.append(block)
        else:
            self._blocks["mapping"] = block

    def _pairs(self, section: Section) -> Pairs:
        """Options that remain text, after a check of their names; in blocks of rules, names may have leading signs."""
        signs = "+-!" if section.kind in RULES else ""
        for entry in section.entries:
            name = entry.name.lstrip(signs)
            if section.kind not in UNCHECKED and name not in names(section.kind):
                self._unknown(section, entry, name)
        return tuple((entry.name, entry.value) for entry in section.entries)

    def _unknown(self, section: Section, entry: Entry, name: str) -> None:
        self._fault("unknown option", entry.line, _label(section, entry), suggest_option(section.kind, name))

    def _values(self, section: Section) -> dict[str, Any]:
        """The valid options of a block, as arguments of its record; each invalid one becomes a fault."""
        values: dict[str, Any] = {}
        other: list[tuple[str, str]] = []
        for entry in section.entries:
            if (about := typed(section.kind).get(entry.name)) is not None:
                self._value(section, entry, about, values)
            elif entry.name in names(section.kind):
                other.append((entry.name, entry.value))
                self._warn(_NO_EFFECT, entry.line, _label(section, entry))
            else:
                self._unknown(section, entry, entry.name)
        return {**values, "other": tuple(other)} if other else values

    def _value(self, section: Section, entry: Entry, about: Option, values: dict[str, Any]) -> None:
        label = _label(section, entry)
        first_time = (section.header, entry.name) not in self.given
        self.given.add((section.header, entry.name))
        if not first_time and not about.repeats:
            self._fault("duplicate option", entry.line, label, "delete one of the lines")
            return
        try:
            value = codec.read(about, self._at_home(about, entry.value))
        except ValueError as exc:
            self._fault(str(exc), entry.line, label, _oddity(entry.value))
            return
        values[entry.name] = (*values.get(entry.name, ()), value) if about.repeats else value
        if not about.honoured:
            self._warn(_NO_EFFECT, entry.line, label)
        elif odd := _oddity(entry.value):
            self._warn(odd, entry.line, label)

    def _at_home(self, about: Option, text: str) -> str:
        """Expand ``~/`` to the home directory; the session directory ``*`` means ``~/.jobs``, as in ARC."""
        if about.item not in {"Path", "SessionDir"}:
            return text
        if about.item == "SessionDir" and text.split(maxsplit=1)[:1] == ["*"]:
            text = f"~/.jobs{text[1:]}"
        return f"{self._home}{text[1:]}" if text.startswith("~/") else text

    def _checked_queues(self) -> tuple[QueueBlock, ...]:
        """
        The queues; a queue without limits inherits those of the cluster.

        Without a queue block there is one queue, named by ``[lrms] lrms``, or ``fork`` for that backend.
        """
        block = self._blocks.get("lrms") or Configuration().lrms
        choice, line = block.lrms, self._lines.get("lrms")
        if not self._queues:
            if choice.queue is None and choice.name != "fork":
                self._fault(
                    f"{choice.name} needs at least one queue", line, "[queue:NAME]", "add a block for each queue"
                )
            return (QueueBlock(name=choice.queue or "fork"),)
        known = [queue.name for queue in self._queues]
        if choice.queue is not None and choice.queue not in known:
            self._fault(
                f"block [queue:{choice.queue}] does not exist",
                line,
                "[lrms] lrms",
                f"existing queues: {', '.join(known)}",
            )
        return tuple(self._limited(queue) for queue in self._queues)

    def _limited(self, queue: QueueBlock) -> QueueBlock:
        cluster = self._blocks.get("cluster") or Configuration().cluster
        return replace(
            queue,
            maxcputime=queue.maxcputime or cluster.maxcputime,
            maxwalltime=queue.maxwalltime or cluster.maxwalltime,
        )


def _label(section: Section, entry: Entry) -> str:
    return f"[{section.header}] {entry.name}"


def _oddity(text: str) -> str:
    """A warning about a value that ARC 6 takes literally, although the author probably meant something else."""
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        return "the quotes are part of the value"
    if " #" in text:
        return "a comment needs a separate line: the # is part of the value"
    return ""
