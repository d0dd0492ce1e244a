"""
The configuration model as text: one option, the reference page, or a commented configuration file.

``python -m arex.config.explain`` prints the reference page.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from enum import Enum
from textwrap import wrap
from typing import Final

from arex.config import values
from arex.config.arc_options import (
    NAMED,
    NAMES,
    RULES,
    homes,
    kinds,
    names,
    nearest,
    suggest_block,
    suggest_option,
    typed,
)
from arex.config.codec import write_all
from arex.config.model import BLOCKS
from arex.config.record import Option
from arex.errors import ConfigError, Fault

_NO_EFFECT: Final = "arex checks this option, but it has no effect."
_KNOWN: Final = "Option of ARC 6.17 without effect in arex. ARC's own tools can still read it."
_RULES: Final = "arex reads the rules but does not apply them: every job runs as the user of the service."

#: Defaults for users other than root, where the general default is a system directory.
_AT_HOME: Final = {
    "controldir": "~/.local/share/arex/jobstatus",
    "sessiondir": "~/.local/share/arex/sessiondir",
    "pidfile": "~/.local/state/arex/arex.pid",
    "logfile": "~/.local/state/arex/arex.log",
    "joblog": "~/.local/state/arex/arex-jobs.log",
}

_HEAD: Final = """\
<!-- Generated from the model of the configuration: python -m arex.config.explain -->
# Configuration reference

arex reads only the first of these files that exists: the file named on the command line, `$ARC_CONFIG`,
`$ARC_LOCATION/etc/arc.conf`, `~/.config/arex/arc.conf`, `~/.config/arex/arc.yaml`, `~/.config/arex/arex.yaml`,
`/etc/arc.conf`. If none exists, all options have their defaults and jobs run on this machine.

`arc.conf` has the format of ARC 6: `[block]` or `[block:name]`, followed by one `option = value` on each line. A line
that starts with `#` is a comment. Quotes are part of the value. In YAML, a block is a top-level key (`arex/ws/jobs:`,
`queue:long:` or a mapping under `queues:`), and an option that can be repeated takes a list.

A name that neither ARC 6.17 nor arex knows is an error. An option of ARC that has no effect in arex causes a warning.

Paths are absolute or start with `~/`. If an option has two defaults, the second one applies to users other than root,
and to all users without a configuration file. `XDG_DATA_HOME` and `XDG_STATE_HOME` change its directory.
"""


def explain(name: str) -> str:
    """
    Explain ``arex.maxjobs``, ``[arex] maxjobs``, ``maxjobs`` (in every block) or ``[arex]``.

    Raises:
        ConfigError: the name is unknown; the fault suggests a similar one.
    """
    kind, option = _split(name)
    if not kind and not option:
        raise ConfigError([Fault("no option named", cure="for example: arex.maxjobs")])
    if kind and kind not in kinds():
        raise ConfigError([Fault("unknown block", option=f"[{kind}]", cure=suggest_block(kind))])
    if not option:
        return "\n".join(_block_text(kind))
    where = [kind] if kind else homes(option)
    if not where or option not in names(where[0]):
        every = (each for block in kinds() for each in names(block))
        cure = suggest_option(kind, option) if kind else nearest(option, every)
        raise ConfigError([Fault("unknown option", option=f"[{kind}] {option}" if kind else option, cure=cure)])
    return "\n".join("\n".join(_option_text(each, option)) for each in where)


def overview() -> str:
    """All options that have an effect, by block."""
    text = []
    for kind in BLOCKS:
        effective = [about.name for about in typed(kind).values() if about.honoured]
        text += [_header(kind), *(f"  {line}" for line in wrap(", ".join(effective), 98))]
    return "\n".join([*text, "", "'arex config explain OPTION' explains one, 'arex config explain [BLOCK]' a block."])


def _choices(kind: str, about: Option) -> str:
    """The possible values of an option that has few."""
    if (kind, about.name) == ("lrms", "lrms"):
        return "fork, slurm, sge, condor, pbs, lsf; X or arc-X for ARC's scripts of X; a backend of another package"
    if about.item == "bool":
        return "yes, no"
    if about.item == "LogLevel":
        return "0 to 5, or " + ", ".join(level.name for level in values.LogLevel)
    found = getattr(values, about.item, None)
    if isinstance(found, type) and issubclass(found, Enum):
        return ", ".join(str(each) for each in found)
    return ""


def _split(name: str) -> tuple[str, str]:
    """Split into block and option, either of which may be empty; a block's name after the colon is ignored."""
    text = name.strip()
    if text.startswith("["):
        kind, _, option = text[1:].partition("]")
    elif text in kinds() and text not in {each for kind in kinds() for each in names(kind)}:
        kind, option = text, ""
    else:
        kind, _, option = text.rpartition(".")
    return kind.partition(":")[0].strip(), option.strip()


def _header(kind: str) -> str:
    return f"[{kind}:NAME]" if kind in NAMED else f"[{kind}]"


def _default(about: Option) -> str:
    """The default as in a configuration file; empty if there is none."""
    return " ".join(write_all(about.default)) if about.name != "hostname" else "name of this machine"


def _option_text(kind: str, option: str) -> Iterator[str]:
    about = typed(kind).get(option)
    yield f"{_header(kind)} {option}"
    if about is None:
        yield f"  {_RULES if kind in RULES else _KNOWN}"
        return
    yield f"  {about.doc}"
    if choices := _choices(kind, about):
        yield f"  Values: {choices}"
    yield f"  Default: {_default(about) or 'none'}"
    if kind == "arex" and option in _AT_HOME:
        yield f"  For an ordinary user: {_AT_HOME[option]}"
    if about.unit:
        yield f"  Unit: {about.unit}"
    if about.repeats:
        yield "  Can be repeated."
    if not about.honoured:
        yield f"  {_NO_EFFECT}"


def _block_text(kind: str) -> Iterator[str]:
    yield _header(kind)
    if kind in BLOCKS:
        yield f"  {_doc(kind)}"
    elif kind in RULES:
        yield f"  {_RULES}"
    else:
        yield f"  {_KNOWN}"
    for about in typed(kind).values():
        yield f"  {about.name}: {about.doc}{f' Unit: {about.unit}.' if about.unit else ''}"
    if rest := NAMES.get(kind):
        yield f"  Without effect: {', '.join(rest.split())}"


def _doc(kind: str) -> str:
    return str(BLOCKS[kind][1].__doc__).strip()


def reference_markdown() -> str:
    """The whole reference page."""
    parts = [_HEAD]
    for kind in BLOCKS:
        parts += _block_markdown(kind)
    parts.append("## Known, without effect\n")
    parts.append("arex accepts these blocks of ARC 6.17 and does not use them. ARC's own tools can still read them.\n")
    parts.append("| Block | Options |\n| --- | --- |")
    parts += [f"| `{_header(kind)}` | {_ticked(NAMES[kind])} |" for kind in NAMES if kind not in BLOCKS]
    return "\n".join(parts) + "\n"


def _ticked(words: str) -> str:
    return ", ".join(f"`{word}`" for word in words.split())


def _block_markdown(kind: str) -> Iterator[str]:
    yield f"## {_header(kind)}\n"
    yield f"{_doc(kind)}\n"
    for about in typed(kind).values():
        yield f"### {about.name}\n"
        yield f"{about.doc}\n"
        yield f"{_facts(kind, about)}\n"
    if rest := NAMES.get(kind):
        yield f"Known, without effect: {_ticked(rest)}.\n"


def _facts(kind: str, about: Option) -> str:
    default = _default(about)
    facts = [f"Default: `{default}`" if default else "No default"]
    if kind == "arex" and about.name in _AT_HOME:
        facts[0] += f" or `{_AT_HOME[about.name]}`"
    if about.example:
        facts.append(f"Example: `{about.example}`")
    if about.unit:
        facts.append(f"Unit: {about.unit}")
    if about.repeats:
        facts.append("Can be repeated")
    if not about.honoured:
        facts.append("**Without effect**")
    return ". ".join(facts) + "."


def commented_file(*, as_yaml: bool = False) -> str:
    """A file to start from: all options that have an effect, commented out, with default and explanation."""
    form = "in YAML" if as_yaml else "in the format of ARC 6"
    text = [f"# Configuration of arex, {form}. Remove the # in front of an option to change it.", ""]
    for kind in BLOCKS:
        header = f"{kind}:fork" if kind in NAMED else kind
        text += [*_comment(_doc(kind)), f"{header}:" if as_yaml else f"[{header}]"]
        for about in typed(kind).values():
            if about.honoured:
                unit = f" ({about.unit})" if about.unit else ""
                value = _sample(kind, about)
                line = f"#  {about.name}: {_scalar(value)}" if as_yaml else f"#{about.name} = {value}"
                text += [*_comment(f"{about.doc}{unit}"), line]
        text.append("")
    return "\n".join(text)


def _scalar(text: str) -> str:
    """A value in YAML: in quotes unless it is a plain word, number or path."""
    is_plain = re.fullmatch(r"[A-Za-z0-9/~_][A-Za-z0-9/~_.-]*", text)
    return text if is_plain else "'" + text.replace("'", "''") + "'"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, 98)]


def _sample(kind: str, about: Option) -> str:
    """A valid value: the default of an ordinary user, or the example."""
    at_home = _AT_HOME.get(about.name, "") if kind == "arex" else ""
    return at_home or about.example or " ".join(write_all(about.default))


if __name__ == "__main__":
    sys.stdout.write(reference_markdown())
