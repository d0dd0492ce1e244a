"""
Parse and format the values of options. Parsers raise ValueError with a message for the user.

The annotation of a field determines its parser, see ``Option.item``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from arex.config.record import Option
from arex.config.staging import StorageUrl
from arex.config.values import (
    CacheDir,
    CacheSize,
    CommandLine,
    CopyUrl,
    DefaultTtl,
    FixDirectories,
    JobFileLayout,
    LogLevel,
    LrmsChoice,
    MaxJobs,
    SessionDir,
    SharePriority,
    SpaceMethod,
    SpeedControl,
    WatchMode,
)

_YES: Final = frozenset({"yes", "true"})
_NO: Final = frozenset({"no", "false"})
_LONGEST_S: Final = 10**10  # 300 years; larger values exceed the range of dates


def shown(text: str) -> str:
    """The value in quotes, shortened for messages."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def number(text: str) -> int:
    """Parse a decimal integer; unlike ``int()``, reject blanks, underscores and digits of other scripts."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise ValueError(f"{shown(text)} is not a whole number")
    return int(text)


def seconds(text: str) -> timedelta:
    value = number(text)
    if not 0 <= value <= _LONGEST_S:
        raise ValueError(f"{shown(text)} is not a number of seconds from 0 to {_LONGEST_S}")
    return timedelta(seconds=value)


def yes_or_no(text: str) -> bool:
    word = text.lower()
    if word not in _YES and word not in _NO:
        raise ValueError(f"expected yes or no, not {shown(text)}")
    return word in _YES


def path(text: str) -> Path:
    if not text.startswith("/"):
        raise ValueError(f"{shown(text)} is not an absolute path")
    return Path(text)


def loglevel(text: str) -> LogLevel:
    for level in LogLevel:
        if text in {level.name, str(level.value)}:
            return level
    raise ValueError(f"expected 0 to 5 or one of {', '.join(LogLevel.__members__)}, not {shown(text)}")


def maxjobs(text: str) -> MaxJobs:
    numbers = [number(word) for word in text.split()]
    if len(numbers) != 5:
        raise ValueError(f"expected five numbers (-1 means no limit), found {len(numbers)}")
    if min(numbers) < -1:
        raise ValueError(f"{min(numbers)} is not a valid limit; -1 means no limit")
    limits = [None if each == -1 else each for each in numbers]
    return MaxJobs(tracked=limits[0], running=limits[1], per_owner=limits[2], total=limits[3], scripts=limits[4])


def defaultttl(text: str) -> DefaultTtl:
    periods = [seconds(word) for word in text.split()]
    if len(periods) not in {1, 2}:
        raise ValueError(f"expected one or two numbers of seconds, found {len(periods)}")
    return DefaultTtl(ttl=periods[0], ttr=periods[1] if len(periods) == 2 else timedelta(days=30))


def sessiondir(text: str) -> SessionDir:
    root, *rest = text.split()
    if rest not in ([], ["drain"]):
        raise ValueError(f"only the word drain is allowed after the path, not {shown(' '.join(rest))}")
    return SessionDir(path=path(root), drain=bool(rest))


def lrms(text: str) -> LrmsChoice:
    name, *rest = text.split()
    if len(rest) > 1:
        raise ValueError("expected the name of a batch system and at most one queue")
    return LrmsChoice(name=name, queue=rest[0] if rest else None)


def cachedir(text: str) -> CacheDir:
    root, *rest = text.split()
    if len(rest) > 1:
        raise ValueError("expected at most one word after the path: a link path, drain or readonly")
    word = rest[0] if rest else ""
    if word in {"drain", "readonly"}:
        return CacheDir(path=path(root), drain=word == "drain", readonly=word == "readonly")
    if word not in {"", "."}:
        path(word)
    return CacheDir(path=path(root), link=word)


def percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a percentage") from None
    if not 0 < value <= 100:
        raise ValueError(f"{shown(text)} is not a percentage above 0 and up to 100")
    return value


def cachesize(text: str) -> CacheSize:
    values = [percent(word) for word in text.split()]
    if len(values) not in {1, 2}:
        raise ValueError(f"expected one or two percentages, found {len(values)}")
    size = CacheSize(high=values[0], low=values[-1])
    if size.low > size.high:
        raise ValueError("the second percentage, where cleaning stops, must not be larger than the first")
    return size


_PERIODS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def period(text: str) -> timedelta:
    """Parse a number followed by ``s``, ``m``, ``h`` or ``d``; without a letter, the unit is seconds."""
    unit = text[-1:].lower() if text[-1:].isalpha() else ""
    if unit not in _PERIODS:
        raise ValueError(f"{shown(text)} is not a number followed by s, m, h or d")
    return seconds(str(number(text[: len(text) - len(unit)]) * _PERIODS[unit]))


def speedcontrol(text: str) -> SpeedControl:
    numbers = [number(word) for word in text.split()]
    if len(numbers) != 4 or min(numbers) < 0:
        raise ValueError("expected four numbers: minimum speed, its time, minimum average speed, longest inactivity")
    return SpeedControl(min_speed=numbers[0], min_time=numbers[1], min_average=numbers[2], max_inactivity=numbers[3])


def sharepriority(text: str) -> SharePriority:
    words = text.split()
    if len(words) != 2 or not 1 <= number(words[1]) <= 100:
        raise ValueError("expected the name of a share and a priority from 1 to 100")
    return SharePriority(share=words[0], priority=number(words[1]))


def copyurl(text: str) -> CopyUrl:
    words = text.split()
    if len(words) not in {2, 3}:
        raise ValueError("expected a URL prefix, its replacement, and for links the path on worker nodes")
    return CopyUrl(url=words[0], replacement=words[1], node_path=words[2] if len(words) == 3 else "")


def commandline(text: str) -> CommandLine:
    """Parse words with the quotes of a shell; the first one is the absolute path of the program."""
    import shlex  # noqa: PLC0415 - few configurations have a command

    try:
        argv = tuple(shlex.split(text))
    except ValueError as exc:
        raise ValueError(f"cannot split {shown(text)} into words: {str(exc).lower()}") from None
    if not argv or not argv[0].startswith("/"):
        raise ValueError(f"expected the absolute path of a program, then its arguments, not {shown(text)}")
    return CommandLine(argv=argv)


#: Schemes of fsspec that access this host, wrap other file systems, or depend on defaults of this host.
_NEAR: Final = frozenset({
    "file", "local", "asynclocal", "memory", "data", "dir", "reference", "generic", "zip", "tar", "libarchive",
    "cached", "blockcache", "filecache", "simplecache", "async_wrapper", "asyncwrapper", "git", "dvc", "dask",
    "pyscript", "hdfs", "arrow_hdfs",
})  # fmt: skip
_STORAGE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(?:://([^/?#\\\s]+)(/[^?#\\\s]*)?)?")


def near(scheme: str) -> bool:
    """Whether an fsspec scheme could give access to files of this host."""
    return scheme in _NEAR


def storage_url(text: str) -> StorageUrl:
    match = _STORAGE.fullmatch(text)
    if match is None or "::" in text or ".." in (match[3] or "").split("/"):
        raise ValueError(f"expected a scheme (gs) or a URL prefix with a host (gs://bucket/), not {shown(text)}")
    scheme, authority, path = match[1].lower(), match[2] or "", match[3] or "/"
    if near(scheme):
        raise ValueError(f"the scheme {scheme} is not allowed: it could give access to files of this host")
    if "@" in authority:
        raise ValueError(
            "user names and passwords are not allowed in the URL: write them into the file of fsspec_options"
        )
    return StorageUrl(scheme=scheme, authority=authority, path=path)


def _word(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    def read(text: str) -> StrEnum:
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"expected {' or '.join(kind)}, not {shown(text)}") from None

    return read


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "str": str,
    "int": number,
    "bool": yes_or_no,
    "Path": path,
    "timedelta": seconds,
    "LogLevel": loglevel,
    "FixDirectories": _word(FixDirectories),
    "JobFileLayout": _word(JobFileLayout),
    "WatchMode": _word(WatchMode),
    "SpaceMethod": _word(SpaceMethod),
    "CacheDir": cachedir,
    "CacheSize": cachesize,
    "CommandLine": commandline,
    "CopyUrl": copyurl,
    "SharePriority": sharepriority,
    "StorageUrl": storage_url,
    "SpeedControl": speedcontrol,
    "Period": period,
    "MaxJobs": maxjobs,
    "DefaultTtl": defaultttl,
    "SessionDir": sessiondir,
    "LrmsChoice": lrms,
}


def read(option: Option, text: str) -> object:
    """
    Parse the value of an option from one line.

    Raises:
        ValueError: the value is invalid; the message says what was expected.
    """
    if not text and option.optional:
        return None
    if not text and option.item != "str":
        raise ValueError("missing value")
    value = _READERS[option.item](text)
    size = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(size, int | float) and size < option.least:
        raise ValueError(f"{shown(text)} is too small; the minimum is {option.least}")
    return value


def write(value: object) -> str:
    """Format a value for the configuration file; None becomes an empty text."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return str(int(value.total_seconds()))
        case LogLevel():
            return str(value.value)
        case MaxJobs():
            limits = (value.tracked, value.running, value.per_owner, value.total, value.scripts)
            return " ".join("-1" if limit is None else str(limit) for limit in limits)
        case DefaultTtl():
            return f"{write(value.ttl)} {write(value.ttr)}"
        case SessionDir():
            return f"{value.path} drain" if value.drain else str(value.path)
        case LrmsChoice():
            return f"{value.name} {value.queue}" if value.queue else value.name
        case _:
            return str(value)


def write_all(value: object) -> list[str]:
    """Format all values of an option, one for each line."""
    return [write(each) for each in value] if isinstance(value, tuple) else [write(value)]
