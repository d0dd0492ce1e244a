"""Worlds of batch systems that are spoken to by programs: fake ones of our own, and real ones where they run."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from arex.clock import Clock
from arex.ports import Backend, Submission
from lrms.command.backend import CommandBackend
from lrms.command.dialect import Dialect
from lrms.command.settings import CommandSettings
from lrms.lsf.dialect import LsfDialect, LsfOptions
from lrms.pbs.dialect import PbsDialect, PbsOptions, TorqueDialect
from lrms.slurm.dialect import SlurmDialect, SlurmOptions
from tests.clusters.wrappers import Wrappers
from tests.contract.worlds import World
from tests.fakes.cluster.control import FakePrograms

DialectOf = Callable[[Path], Dialect]


class ProgramWorld(World):
    """Any dialect, over programs that can be made to fail."""

    dialect: DialectOf
    submit_command = ""
    kinds: frozenset[str] = frozenset()
    settings: Mapping[str, float] = {"record_wait_s": 30.0, "timeout_s": 60.0}

    @abstractmethod
    def bin(self) -> Path:
        """The directory of the batch system's programs."""

    @abstractmethod
    def fault(self, command: str, kind: str, times: int | str = 1) -> None:
        """See ``FakePrograms.fault``."""

    @abstractmethod
    def mend(self) -> None:
        """End all faults."""

    @abstractmethod
    def calls(self) -> Mapping[str, int]:
        """How often each program was called."""

    def backend(self, clock: Clock | None = None, **settings: object) -> CommandBackend:
        values = {"roots": (self.root,), "queries_per_minute": 100_000, **self.settings, **settings}
        return CommandBackend(type(self).dialect(self.bin()), CommandSettings(**values), clock)  # type: ignore[arg-type]

    def runs(self, submission: Submission) -> int:
        ran = submission.grami.directory / "ran"
        return len(ran.read_text().splitlines()) if ran.exists() else 0

    def later(self) -> Submission:
        """A job that stays in the queue for an hour."""
        return self.submission(starttime=datetime.now(UTC) + timedelta(hours=1))

    def hopeless(self) -> Submission:
        """A job that is refused for good."""
        return self.submission(queue="no-such-queue")

    def break_down(self, backend: Backend) -> None:
        del backend
        self.fault("*", "down", "always")

    def full(self) -> None:
        """From now on a limit of the batch system keeps newcomers out."""
        self.fault(self.submit_command, "limit", "always")

    async def clean_up(self) -> None:
        self.mend()
        await super().clean_up()


class FakeProgramWorld(ProgramWorld):
    """The fakes: real programs and real processes, no real batch system."""

    system = ""
    queue = "main"
    environment: Mapping[str, str] = {}

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._programs = FakePrograms(
            root / "cluster", self.system, FAKE_MINUTE="1", FAKE_QUEUES="main", **self.environment
        )

    def bin(self) -> Path:
        return self._programs.bin

    def fault(self, command: str, kind: str, times: int | str = 1) -> None:
        self._programs.fault(command, kind, times)

    def mend(self) -> None:
        self._programs.mend()

    def calls(self) -> Mapping[str, int]:
        return self._programs.calls()

    async def clean_up(self) -> None:
        try:
            await super().clean_up()
        finally:
            self._programs.stop()


class RealProgramWorld(ProgramWorld):
    """A batch system that runs on this machine; its programs are wrapped, so that they can fail."""

    patience_s = 150.0
    settings: Mapping[str, float] = {"record_wait_s": 30.0, "timeout_s": 30.0}
    kinds = frozenset({"real"})
    commands: tuple[str, ...] = ()

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._wrappers = Wrappers(root / "wrappers", {name: _program(name) for name in self.commands})

    def bin(self) -> Path:
        return self._wrappers.bin

    def fault(self, command: str, kind: str, times: int | str = 1) -> None:
        self._wrappers.fault(command, kind, times)

    def mend(self) -> None:
        self._wrappers.mend()

    def calls(self) -> Mapping[str, int]:
        return self._wrappers.calls()


def _program(name: str) -> Path:
    found = shutil.which(name)
    assert found is not None, f"there is no {name} here: start the batch system first, see tools/clusters"
    return Path(found)


def slurm(where: Path) -> Dialect:
    return SlurmDialect(SlurmOptions(bin=where))


class FakeSlurmWorld(FakeProgramWorld):
    dialect = staticmethod(slurm)
    system = "slurm"
    submit_command = "sbatch"


class FakeSlurmAloneWorld(FakeSlurmWorld):
    """Without accounting."""

    environment: Mapping[str, str] = {"FAKE_SACCT": "off"}


class FakeNewSlurmWorld(FakeSlurmWorld):
    """One that prints exit codes as 23.02 and later do."""

    environment: Mapping[str, str] = {"FAKE_SLURM": "23.02.1"}


def pbs(where: Path) -> Dialect:
    return PbsDialect(PbsOptions(bin=where))


def torque(where: Path) -> Dialect:
    return TorqueDialect(PbsOptions(bin=where))


def lsf(where: Path) -> Dialect:
    return LsfDialect(LsfOptions(bin=where))


class FakePbsWorld(FakeProgramWorld):
    dialect = staticmethod(pbs)
    system = "pbs"
    submit_command = "qsub"


class FakeTorqueWorld(FakePbsWorld):
    dialect = staticmethod(torque)
    environment: Mapping[str, str] = {"FAKE_PBS": "torque"}


class FakeLsfWorld(FakeProgramWorld):
    dialect = staticmethod(lsf)
    system = "lsf"
    submit_command = "bsub"


class SlurmWorld(RealProgramWorld):
    dialect = staticmethod(slurm)
    commands = ("sbatch", "squeue", "scancel", "scontrol", "sacct")
    submit_command = "sbatch"
    queue = "main"
