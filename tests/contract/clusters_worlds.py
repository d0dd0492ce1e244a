"""Worlds of Grid Engine and HTCondor, where somebody has started them: see ``tools/clusters``."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from arex.ports import Backend, LocalJob
from lrms.dialect import Dialect
from lrms.sge import SgeDialect, SgeOptions
from tests.contract.programs import RealProgramWorld


def sge(where: Path) -> Dialect:
    return SgeDialect(SgeOptions(bin=where))


class SgeWorld(RealProgramWorld):
    """``tools/clusters/sge.sh``; jobs belong to whoever runs the suite, root too."""

    dialect = staticmethod(sge)
    commands = ("qsub", "qstat", "qacct", "qdel", "qhold", "qrls")
    submit_command = "qsub"
    queue = "all.q"

    async def end(self, backend: Backend, job: LocalJob) -> None:
        """qdel kills at once, and a script that is killed tells nothing: what it runs is told to end instead."""
        del backend
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
