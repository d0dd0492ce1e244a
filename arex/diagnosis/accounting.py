"""What a job has used, from its accounting file ``.diag``."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from arex.controldir import codec


class Accounting(NamedTuple):  # a dataclass would take a millisecond of the start of every client
    """The content of ``.diag``; None for what it does not say. The payload can write there."""

    node: str = ""
    exit_code: int | None = None
    started: datetime | None = None
    ended: datetime | None = None
    wall_s: int | None = None
    cpu_s: int | None = None
    memory_kb: int | None = None


def parse_accounting(data: bytes) -> Accounting:
    """Lines that cannot be parsed count as missing."""
    lines = dict(codec.parse_diag(data))
    code = lines.get("exitcode", "").strip()
    return Accounting(
        node=lines.get("nodename", ""),
        exit_code=int(code) if re.fullmatch(r"-?[0-9]{1,9}", code) else None,
        started=_moment(lines.get("lrmsstarttime", "")),
        ended=_moment(lines.get("lrmsendtime", "")),
        wall_s=codec.diag_number(lines.get("walltime", "")),
        cpu_s=_sum(codec.diag_number(lines.get("usertime", "")), codec.diag_number(lines.get("kerneltime", ""))),
        memory_kb=codec.diag_number(lines.get("maxresidentmemory", "")),
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


def _moment(text: str) -> datetime | None:
    try:
        return codec.parse_mds(text) if text else None
    except ValueError:
        return None
