"""Every world there is, by the name under which a run can choose it."""

from __future__ import annotations

import os
from typing import Final

from tests.contract.clusters_worlds import CondorUnseenWorld, CondorWorld, SgeWorld
from tests.contract.programs import (
    FakeLsfWorld,
    FakeNewSlurmWorld,
    FakePbsWorld,
    FakeSlurmAloneWorld,
    FakeSlurmWorld,
    FakeTorqueWorld,
    SlurmWorld,
)
from tests.contract.worlds import FakeWorld, ForkWorld, World

#: What needs nothing but this machine.
EVERYWHERE: Final[dict[str, type[World]]] = {
    "fork": ForkWorld,
    "fake": FakeWorld,
    "fake-slurm": FakeSlurmWorld,
    "fake-slurm-alone": FakeSlurmAloneWorld,
    "fake-slurm-23": FakeNewSlurmWorld,
    "fake-pbs": FakePbsWorld,
    "fake-torque": FakeTorqueWorld,
    "fake-lsf": FakeLsfWorld,
}
#: What needs a batch system that someone has started.
REAL: Final[dict[str, type[World]]] = {
    "slurm": SlurmWorld,
    "sge": SgeWorld,
    "condor": CondorWorld,
    "condor-unseen": CondorUnseenWorld,
}
WORLDS: Final[dict[str, type[World]]] = EVERYWHERE | REAL


def chosen() -> list[str]:
    """The worlds of this run: those in ``AREX_WORLDS``, or all that run everywhere."""
    return os.environ.get("AREX_WORLDS", "").split() or sorted(EVERYWHERE)
