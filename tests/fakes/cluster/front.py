"""What the front ends of all batch systems share: a command as it was called, its answer, and how options read."""

from __future__ import annotations

import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.fakes.cluster.engine import Cluster, Job, Settings


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call of a program."""

    command: str
    argv: tuple[str, ...]  #: without the program
    stdin: str
    cwd: Path
    environment: Mapping[str, str]
    umask: int


@dataclass(frozen=True)
class Answer:
    out: str = ""
    err: str = ""
    code: int = 0


class Refusal(Exception):
    """A command that ends with an error message."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.answer = Answer(err=f"{message}\n", code=code)


class FrontEnd(ABC):
    """The programs of one batch system."""

    #: whether the batch system leaves too much memory to the kernel, which kills one process
    kills_one: ClassVar[bool] = False
    #: that take jobs
    submitters: ClassVar[Collection[str]]

    def __init__(self, root: Path, settings: Settings) -> None:
        self.settings = settings
        self.cluster = Cluster(root, settings, self.environment, self.filled, self.farewell, kills_one=self.kills_one)

    @property
    @abstractmethod
    def commands(self) -> Mapping[str, Callable[[Request], Answer]]: ...

    @abstractmethod
    def environment(self, job: Job) -> Mapping[str, str]:
        """What a job finds set."""

    @abstractmethod
    def filled(self, path: Path, job: Job) -> Path:
        """The name of an output file without its placeholders."""

    @abstractmethod
    def farewell(self, job: Job) -> str:
        """What is written into the output of a job that had to be stopped."""

    @abstractmethod
    def failed(self, command: str) -> Answer:
        """The batch system was too busy."""

    @abstractmethod
    def down(self, command: str) -> Answer:
        """The batch system can't be reached."""

    @abstractmethod
    def over_limit(self) -> Answer:
        """It takes no more jobs now."""

    @abstractmethod
    def foreign(self, answer: Answer) -> Answer:
        """The same, as in a system with another language."""

    @abstractmethod
    def find(self, localid: str) -> list[Job]:
        """The jobs that a local id names."""

    # --- for submit commands ---

    def spool(self, text: str) -> Path:
        """Keep a script as it is now."""
        folder = self.cluster.root / "spool"
        folder.mkdir(exist_ok=True)
        path = folder / f"script{len(list(folder.iterdir()))}"
        path.write_text(text)
        path.chmod(0o700)
        return path

    def queue(self, asked: str, error: str) -> str:
        """A queue that exists."""
        queues = self.settings.queues
        if asked and queues and asked not in queues:
            raise Refusal(error)
        return asked or (queues[0] if queues else "main")


def options(argv: Sequence[str], table: Mapping[str, str], *, stops: bool = False) -> tuple[dict[str, str], list[str]]:
    """
    Options and operands.

    Args:
        table: each spelling (``-o``, ``--output``, or LSF's ``-app``) with the name it goes by; the name ends in ``=``
            if an argument follows (``+=``: another time is added to the first), in ``?`` if one may be attached.
        stops: at the first operand.

    Raises:
        Refusal: an option is not in the table, or lacks its argument.
    """
    given: dict[str, str] = {}
    operands: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return given, operands + rest
        if not word.startswith("-") or word == "-":
            operands.append(word)
            if stops:
                return given, operands + rest
            continue
        option, attached = _split(word, table)
        name = table[option]
        if name.endswith("=") and attached is None:
            if not rest:
                raise Refusal(f"option requires an argument -- '{option.lstrip('-')}'")
            attached = rest.pop(0)
        elif attached and not name.endswith(("=", "?")):
            rest.insert(0, f"-{attached}")
            attached = None
        key = name.rstrip("+=?")
        given[key] = f"{given[key]},{attached}" if name.endswith("+=") and key in given else attached or ""
    return given, operands


def _split(word: str, table: Mapping[str, str]) -> tuple[str, str | None]:
    """An option, and what is attached to it."""
    if word in table:
        return word, None
    long, equals, value = word.partition("=")
    if word.startswith("--"):
        near = [each for each in table if each.startswith(long)]
        option = long if long in table else near[0] if len(near) == 1 else ""
        if not option:
            raise Refusal(f"unrecognized option '{long}'")
        return option, value if equals else None
    if word[:2] in table:
        return word[:2], word[2:]
    raise Refusal(f"invalid option -- '{word[1:2]}'")


def directives(script: str, mark: str) -> list[str]:
    """The words of the lines with options at the top of a script."""
    return [
        word for line in _top(script) if line.startswith(mark) for word in shlex.split(line[len(mark) :], comments=True)
    ]


def _top(script: str) -> Iterator[str]:
    for line in script.splitlines():
        if line.strip() and not line.startswith("#"):
            return
        yield line


def numbers(text: str) -> list[int]:
    """``1-3,7`` is 1, 2, 3, 7."""
    found: list[int] = []
    for part in text.split(","):
        if not (match := re.fullmatch(r"(\d+)(?:-(\d+))?", part)):
            raise Refusal(f"invalid range {text!r}")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return found


def ranges(values: Sequence[int]) -> str:
    """The other way."""
    parts: list[list[int]] = []
    for value in values:
        if parts and parts[-1][-1] == value - 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def kilobytes(text: str, default: str = "m") -> int:
    """An amount of memory with its unit."""
    match = re.fullmatch(r"(\d+)\s*([kmgt]?)(?:b|w)?", text.strip().lower())
    if match is None:
        raise Refusal(f"invalid memory specification {text!r}")
    return int(match[1]) * int(1024 ** "kmgt".index(match[2] or default))
