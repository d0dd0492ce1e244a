"""HTCondor's history, and what is done to its jobs."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from arex.config.model import Configuration
from arex.config.values import SessionDir
from arex.errors import BatchUnavailable, ConfigError
from arex.model.ids import LocalId
from arex.model.report import EndCause
from arex.process import Completed
from lrms.command.account import account_name
from lrms.htcondor.dialect import CondorBackend, CondorOptions, CondorQueueOptions
from tests.unit.lrms.htcondor.speech import dialect, recorded

# --- ends -------------------------------------------------------------------------------------------------------------


def test_the_history_is_asked_once_about_all_and_no_further_than_needed() -> None:
    call = dialect().accounting([LocalId("9.1"), LocalId("8.0")])

    assert call is not None
    assert ("condor_history", "-xml", "-attributes") == call.argv[:3]
    assert ("-match", "2", "8.0", "9.1") == call.argv[4:]


def test_the_history_says_how_a_job_ended() -> None:
    found = dialect().accounted(recorded("history"))

    assert [
        ("52.3", EndCause.CANCELLED, None, 15),
        ("52.2", EndCause.SIGNAL, None, 9),
        ("52.1", EndCause.EXIT_CODE, 3, None),
        ("52.0", EndCause.EXIT_CODE, 0, None),
    ] == [(localid, each.cause, each.exit_code, each.signal) for localid, each in found.items()]


def test_jobs_that_the_history_does_not_know_are_absent() -> None:
    assert {} == dialect().accounted(recorded("history-none"))


# --- acting -----------------------------------------------------------------------------------------------------------

IDS: Final = [LocalId(each) for each in ("46.0", "51.0", "9999.0", "43.4", "46.3", "49.1", "46.2")]


def test_many_jobs_go_into_one_command() -> None:
    ids = [LocalId("12.0"), LocalId("13.4")]

    assert ["condor_rm 12.0 13.4", "condor_release 12.0 13.4"] == [
        shlex.join(call.argv) for call in (dialect().cancel(ids), dialect().release(ids))
    ]


def test_only_jobs_that_wait_are_held() -> None:
    """A hold ends a running job, which can't begin again."""
    argv = dialect().hold([LocalId("12.0"), LocalId("13.4"), LocalId("nonsense")]).argv

    assert (
        "condor_hold",
        "-constraint",
        "JobStatus == 1 && (ClusterId == 12 && ProcId == 0 || ClusterId == 13 && ProcId == 4)",
    ) == argv
    assert "JobStatus == 1 && (False)" == dialect().hold([LocalId("nonsense")]).argv[2]


@pytest.mark.parametrize("name", ["rm", "rm-again", "hold", "hold-idle", "release"])
def test_a_missing_job_is_no_refusal(name: str) -> None:
    assert {} == dialect().refused(recorded(name), IDS)


def test_when_none_of_them_waits_all_are_refused() -> None:
    refusals = dialect().refused(recorded("hold-none"), IDS)

    assert set(IDS) == set(refusals)
    assert "Couldn't find/hold all jobs" in refusals[IDS[0]]


def test_someone_else_s_jobs_are_refused_in_htcondor_s_words() -> None:
    asked = [LocalId("25.4"), LocalId("28.0"), LocalId("5.4")]

    assert {
        "25.4": "Permission denied to remove job 25.4",
        "28.0": "Permission denied to remove job 28.0",
    } == dialect().refused(recorded("rm-foreign"), asked)


@pytest.mark.parametrize("name", ["rm-down", "hold-down"])
def test_silence_is_neither_taken_nor_refused(name: str) -> None:
    with pytest.raises(BatchUnavailable):
        dialect().refused(recorded(name), IDS)
    with pytest.raises(BatchUnavailable):
        dialect().refused(Completed(("condor_rm",), 1, "", ""), IDS)
    with pytest.raises(BatchUnavailable):
        dialect().refused(Completed(("condor_rm",), 1, "", "something new\n"), IDS)


def test_the_configuration_becomes_options() -> None:
    config = Configuration()
    lrms = replace(
        config.lrms, condor_config=Path("/c"), condor_rank="KFlops", condor_requirements="A", defaultmemory=9
    )
    service = replace(config.service, account="grid")
    queue = replace(config.queues[0], name="q", condor_requirements="B", defaultmemory=3)

    options = CondorOptions.of(replace(config, lrms=lrms, service=service, queues=(queue,)))

    assert CondorOptions(
        environment={"CONDOR_CONFIG": "/c"},
        user=account_name(),
        group="grid",
        rank="KFlops",
        requirements="A",
        memory_mb=9,
        queues={"q": CondorQueueOptions(memory_mb=3, requirements="B")},
    ) == (options)


def test_a_session_root_that_a_description_can_t_hold_is_a_fault() -> None:
    config = Configuration()
    arex = replace(config.arex, sessiondir=(SessionDir(path=Path("/data/a b")),))

    with pytest.raises(ConfigError, match="spaces"):
        CondorBackend.from_config(replace(config, arex=arex))
    assert "condor" == CondorBackend.from_config(config).name
