"""Texts that no one meant: real ones cut, joined, repeated and sprinkled with what parsers trip over."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

#: Words that mean something to one of our readers, and bytes that do to all.
WORDS: Final = (
    *(b"& | + ( ) (( )) \" '' ' ^ ^x # = != >= < (* *) $( $(A) executable inputfiles outputfiles".split()),
    *(b"../ /../ /@l http:// file:/// ;cache= walltime 99999999999999999999 -1 0x7f 1e9 PT1H 2040-01-01".split()),
    *(b"&b; &#0; &#x110000; <![CDATA[ ]]> <?xml ?> <!-- --> </ /> xmlns= \\ joboption_arg_0= joboption_jobid=".split()),
    *(b"PENDING: INLRMS lifetime= [ ] { } ; == =?= Executable InputSandbox Parameters _PARAM_ JobType Nodes".split()),
    *(b"rslsubstitution <!DOCTYPE error undefined 1/0 /* */ //".split()),
    *(b"\n", b"\r\n", b"\0", b"\t", b" ", b"\\ ", b"\x1b[2J"),
    b'(rsl_substitution=("A" "$(A)$(A)"))',
    b"<!DOCTYPE a [<!ENTITY b 'cc'>]>",
    b"<ActivityDescription xmlns='http://www.eu-emi.eu/es/2010/12/adl'>",
)
_RAW: Final = (b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc0\x80", b"\xed\xa0\x80", "ü".encode(), "\u2028".encode())
#: Longer ones come from repetition and test that time grows with size alone.
LONGEST: Final = 64 * 1024

_Change = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def _cut(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:start] + data[end:]


def _keep(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _flip(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    changed = bytearray(data or b"x")
    for _each in range(rng.randrange(1, 4)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _insert(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice((*WORDS, *_RAW)) * rng.choice((1, 1, 1, 2, 40)) + data[at:]


def _repeat(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:start] + data[start:end] * rng.choice((2, 3, 30, 1000)) + data[end:]


def _splice(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


_CHANGES: Final[tuple[_Change, ...]] = (_cut, _keep, _flip, _flip, _insert, _insert, _insert, _repeat, _splice)


def mutated(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds after a few changes."""
    data = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        data = rng.choice(_CHANGES)(rng, data, seeds)[:LONGEST]
    return data
