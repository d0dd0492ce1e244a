"""Worlds of Grid Engine and HTCondor, where someone has started them: see ``tools/clusters``."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

from arex.clock import Clock, SystemClock
from arex.ports import Backend, LocalJob, Submission
from lrms.command.backend import CommandBackend
from lrms.command.dialect import Dialect
from lrms.command.settings import CommandSettings
from lrms.htcondor.dialect import CondorDialect, CondorOptions
from lrms.htcondor.transfer import FileTransfer
from lrms.sge.dialect import SgeDialect, SgeOptions
from tests.contract.programs import RealProgramWorld
from tests.contract.worlds import happens

_ACCOUNT = (
    "HTCondor runs no jobs of root: run this as the account that its pool knows, AREX_TEST_USER, for example with "
    "setpriv --reuid arexinterop --regid arexinterop --clear-groups; see tools/clusters/condor.sh"
)


def sge(where: Path) -> Dialect:
    return SgeDialect(SgeOptions(bin=where))


class SgeWorld(RealProgramWorld):
    """``tools/clusters/sge.sh``; jobs belong to whoever runs the suite, root too."""

    dialect = staticmethod(sge)
    commands = ("qsub", "qstat", "qacct", "qdel", "qhold", "qrls")
    submit_command = "qsub"
    queue = "all.q"

    async def end(self, backend: Backend, job: LocalJob) -> None:
        """qdel kills at once, and a killed script reports nothing: its payload gets the signal instead."""
        del backend
        await happens(lambda: _processes_in(job.session) != [])  # the job runs as soon as its script does
        for each in _processes_in(job.session):
            os.kill(each, signal.SIGTERM)


def _processes_in(directory: Path) -> list[int]:
    """Whose working directory this is, apart from shells: what a job runs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == directory and (process / "comm").read_text() == "sleep\n":
                found.append(int(process.name))
        except OSError:  # it has gone
            continue
    return found


def condor(where: Path) -> Dialect:
    return CondorDialect(CondorOptions(bin=where))


class CondorWorld(RealProgramWorld):
    """
    ``tools/clusters/condor.sh``; the suite runs as the one account that the pool knows, which owns all files.

    Root starts it with setpriv, with a Python and a checkout that this account can read: the schedd refuses root.
    Its jobs see another root, and of this machine ``AREX_SHARED`` alone: that is where everything is kept.
    """

    dialect = staticmethod(condor)
    commands = ("condor_submit", "condor_q", "condor_history", "condor_rm", "condor_hold", "condor_release")
    submit_command = "condor_submit"
    below = ""  #: where in ``AREX_SHARED``

    def __init__(self, root: Path) -> None:
        del root
        shared = os.environ.get("AREX_SHARED")
        assert shared, 'there is no pool here: `sh tools/clusters/condor.sh up`, then eval "$(... env)"'
        assert os.geteuid() != 0, _ACCOUNT
        super().__init__(Path(tempfile.mkdtemp(prefix="contract-", dir=Path(shared, self.below))))

    def hopeless(self) -> Submission:
        """It has no queues, and takes any request of a job: the directory of this one has a name that it cannot use."""
        submission = self.submission()
        session = submission.grami.directory.with_name("$(session)")
        session.mkdir()
        grami = replace(submission.grami, directory=session)
        return replace(submission, grami=grami, rundir=session.with_name(f"{session.name}.lrms") / submission.tag)

    async def clean_up(self) -> None:
        await super().clean_up()
        shutil.rmtree(self.root)


class CondorUnseenWorld(CondorWorld):
    """Its jobs do not see their session directories: HTCondor moves the files."""

    below = "unseen"

    def backend(self, clock: Clock | None = None, **settings: object) -> CommandBackend:
        values = {"roots": (self.root,), "queries_per_minute": 100_000, **self.settings, **settings}
        dialect = CondorDialect(CondorOptions(bin=self.bin(), moves=True))
        transport = FileTransfer(clock or SystemClock())
        return CommandBackend(dialect, CommandSettings(**values), clock, transport)  # type: ignore[arg-type]
