"""What the daemon tells a supervisor about its job. Standard library only."""

from __future__ import annotations

from typing import NamedTuple


class Order(NamedTuple):
    """The order to a supervisor: texts and numbers only, because it comes as JSON."""

    number: int  #: of the order; the answer repeats it
    tag: str
    rundir: str
    session: str
    diag: str
    comment: str
    node: str
    nice: int
    grace_s: float  #: between TERM and KILL
    wall_s: float | None
    cpu_s: float | None
    memory_kb: int | None  #: resident, sum over the tree
