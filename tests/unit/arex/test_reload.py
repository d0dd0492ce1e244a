"""What a running service takes over from a new configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from arex.config.model import Configuration
from arex.config.values import CommandLine
from arex.reload import merged, needs_restart

OLD = Configuration()


def test_programs_for_the_end_of_jobs_change_at_once() -> None:
    command = CommandLine(argv=("/bin/true",))
    new = replace(OLD, service=replace(OLD.service, sendmail=Path("/x/sendmail"), notify_command=command))

    assert [] == needs_restart(OLD, new)
    assert new == merged(OLD, new)


def test_other_options_of_the_service_wait_for_a_restart() -> None:
    service = replace(OLD.service, fork_slots=7, sendmail=Path("/x/sendmail"))
    arex = replace(OLD.arex, logfile=Path("/x/log"), maxrerun=9)
    new = replace(OLD, service=service, arex=arex, lrms=replace(OLD.lrms, slurm_wakeupperiod=OLD.arex.wakeupperiod))

    now = merged(OLD, new)

    assert ["[arex] logfile", "[lrms] slurm_wakeupperiod", "[arex/service] fork_slots"] == needs_restart(OLD, new)
    assert (OLD.service.fork_slots, Path("/x/sendmail")) == (now.service.fork_slots, now.service.sendmail)
    assert (OLD.arex.logfile, 9, OLD.lrms) == (now.arex.logfile, now.arex.maxrerun, now.lrms)
