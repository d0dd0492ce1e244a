"""SLURM's queue: answers of squeue, recorded from real versions."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.errors import BatchUnavailable, UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase
from lrms.command.dialect import Seen
from lrms.slurm.answers import STATES
from lrms.slurm.dialect import SlurmDialect
from tests.unit.lrms.samples import said
from tests.unit.lrms.slurm.speech import DATA, dialect, line, recorded

pytestmark = pytest.mark.usefixtures("utc")
#: Words of squeue(1) for states that jobs are in; those that have gone from newer versions are none.
WORDS: Final = re.findall(
    r"\w+",
    "BOOT_FAIL CANCELLED COMPLETED CONFIGURING COMPLETING DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PENDING PREEMPTED "
    "RUNNING RESV_DEL_HOLD REQUEUE_FED REQUEUE_HOLD REQUEUED RESIZING REVOKED SIGNALING SPECIAL_EXIT STAGE_OUT "
    "STOPPED SUSPENDED TIMEOUT LAUNCH_FAILED POWER_UP_NODE RECONFIG_FAIL UPDATE_DB EXPEDITING",
)


def one(**fields: str) -> Seen:
    [seen] = dialect().listed(said(line(**fields))).values()
    return seen


def test_one_query_is_about_all_jobs_of_the_account() -> None:
    argv = dialect(bin=Path("/opt/bin")).listing([LocalId("7")]).argv

    assert ("/opt/bin/squeue", "-h", "-a", "-r", "-t", "all", "-u", str(os.geteuid()), "-O") == argv[:-1]


def test_the_answers_were_recorded_with_this_question() -> None:
    assert recorded("squeue-states").argv[-1] == dialect().listing([]).argv[-1]


#: Of the recorded jobs, by their tags: phase, word, cause, exit code, signal.
SEEN: Final[dict[str, tuple[Phase, str, EndCause | None, int | None, int | None]]] = {
    "resources": (Phase.QUEUED, "PENDING (Resources)", None, None, None),
    "begin": (Phase.QUEUED, "PENDING (BeginTime)", None, None, None),
    "dependency": (Phase.QUEUED, "PENDING (Dependency)", None, None, None),
    "held": (Phase.HELD, "PENDING (JobHeldAdmin)", None, None, None),
    "requeuehold": (Phase.HELD, "PENDING (job requeued in held state)", None, None, None),
    "special": (Phase.HELD, "SPECIAL_EXIT (job requeued in held state)", None, None, None),
    "preemptor": (Phase.RUNNING, "RUNNING", None, None, None),
    "suspended": (Phase.SUSPENDED, "SUSPENDED", None, None, None),
    "completing": (Phase.EXITING, "COMPLETING", None, None, None),
    "completed": (Phase.ENDED, "COMPLETED", EndCause.EXIT_CODE, 0, None),
    "failed": (Phase.ENDED, "FAILED (NonZeroExitCode)", EndCause.EXIT_CODE, 3, None),
    "signalled": (Phase.ENDED, "FAILED (JobLaunchFailure)", EndCause.SIGNAL, None, 11),
    "overmemory": (Phase.ENDED, "FAILED (JobLaunchFailure)", EndCause.SIGNAL, None, 9),
    "launchfailed": (Phase.ENDED, "FAILED (JobLaunchFailure)", EndCause.NEVER_STARTED, None, None),
    "timeout": (Phase.ENDED, "TIMEOUT (TimeLimit)", EndCause.WALLTIME, None, 15),
    "nodefail": (Phase.ENDED, "NODE_FAIL (NodeDown)", EndCause.NODE_FAILURE, 0, None),
    "preempted": (Phase.ENDED, "PREEMPTED", EndCause.PREEMPTED, None, 15),
    "cancelled": (Phase.ENDED, "CANCELLED", EndCause.CANCELLED_BY_ADMIN, None, 15),
    "cancelledqueued": (Phase.ENDED, "CANCELLED (JobHeldUser)", EndCause.CANCELLED_BY_ADMIN, 0, None),
    "deadline": (Phase.ENDED, "DEADLINE (DeadLine)", EndCause.CANCELLED_BY_LIMIT, None, 1),
}


@pytest.mark.parametrize("tag", SEEN)
def test_a_recorded_job_reads_as_what_happened_to_it(tag: str) -> None:
    [seen] = [each for each in dialect().listed(recorded("squeue-states")).values() if each.tag == f"tag-{tag}"]

    assert SEEN[tag] == (seen.phase, seen.word, seen.cause, seen.exit_code, seen.signal)


def test_a_job_that_the_kernel_has_ended_for_memory() -> None:
    """SLURM's number for it is no signal."""
    [seen] = [each for each in dialect().listed(recorded("squeue-memory")).values() if each.tag == "tag-memory"]

    assert (EndCause.MEMORY, None, None) == (seen.cause, seen.exit_code, seen.signal)


def test_children_of_arrays_come_one_by_one() -> None:
    found = dialect().listed(recorded("squeue-states"))
    tags = {localid: seen.tag for localid, seen in found.items() if "array" in seen.tag}

    assert {
        **{f"20_{n}": "tag-arrayended" for n in (1, 2, 3)},
        **{f"29_{n}": "tag-arraypending" for n in (1, 3, 4, 5)},
        **{f"30_{n}": "tag-arrayrunning" for n in (1, 2)},
        **{f"32_{n}": "tag-arraycancelled" for n in (1, 3)},
    } == tags


def test_nodes_and_times_are_read() -> None:
    [seen] = [each for each in dialect().listed(recorded("squeue-states")).values() if each.tag == "tag-failed"]

    assert (("n1",), datetime(2026, 11, 20, 15, 31, 26, tzinfo=UTC)) == (seen.nodes, seen.ended)
    assert seen.started == seen.ended


def test_the_question_knows_all_states_of_the_manual() -> None:
    assert set(WORDS) == STATES.keys()


@pytest.mark.parametrize("word", WORDS)
def test_every_state_of_the_manual_reads(word: str) -> None:
    seen = one(state=word, code="0")
    phase, _ = STATES[word]

    assert (phase, word) == (seen.phase, seen.word)
    assert (seen.cause is not None) == (phase is Phase.ENDED)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("0", (EndCause.EXIT_CODE, 0, None)),
        ("768", (EndCause.EXIT_CODE, 3, None)),
        ("9", (EndCause.SIGNAL, None, 9)),
        ("139", (EndCause.SIGNAL, None, 11)),
        ("4021", (EndCause.NEVER_STARTED, None, None)),
        ("3:0", (EndCause.EXIT_CODE, 3, None)),
        ("0:9", (EndCause.SIGNAL, None, 9)),
        ("0:53", (EndCause.NEVER_STARTED, None, None)),
        ("", (None, None, None)),
    ],
)
def test_the_wait_status_distinguishes_failures(
    code: str, expected: tuple[EndCause | None, int | None, int | None]
) -> None:
    """SLURM calls whatever ended by a signal a launch failure; newer versions print both numbers."""
    seen = one(state="FAILED", code=code, reason="JobLaunchFailure")

    assert expected == (seen.cause, seen.exit_code, seen.signal)


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("TimeLimit", EndCause.WALLTIME),
        ("None", EndCause.WALLTIME),
        ("AssocGrpCPUMinutesLimit", EndCause.CANCELLED_BY_LIMIT),
        ("QOSMaxWallDurationPerJobLimit", EndCause.CANCELLED_BY_LIMIT),
    ],
)
def test_a_timeout_may_be_a_limit_of_the_account(reason: str, cause: EndCause) -> None:
    assert cause is one(state="TIMEOUT", reason=reason).cause


@pytest.mark.parametrize("reason", ["JobHeldUser", "JobHeldAdmin", "JobHoldMaxRequeue", "launch failed requeued held"])
def test_a_job_that_is_kept_in_the_queue_is_held(reason: str) -> None:
    assert Phase.HELD is one(state="PENDING", reason=reason).phase


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("Resources", ""),
        ("Priority", ""),
        ("QOSMaxJobsPerUserLimit", "waits: QOSMaxJobsPerUserLimit"),
        ("ReqNodeNotAvail, UnavailableNodes:n1", "waits: ReqNodeNotAvail, UnavailableNodes:n1"),
    ],
)
def test_an_unusual_reason_to_wait_is_reported(reason: str, message: str) -> None:
    assert message == one(state="PENDING", reason=reason).message


def test_a_job_in_an_unknown_state_is_present(caplog: pytest.LogCaptureFixture) -> None:
    assert Phase.OTHER is one(state="DREAMING").phase
    assert "DREAMING" in caplog.text


@pytest.mark.parametrize(
    ("indices", "expected"),
    [("1-3", ["9_1", "9_2", "9_3"]), ("1,4-6%2", ["9_1", "9_4", "9_5", "9_6"]), ("1-7:3", ["9_1", "9_4", "9_7"])],
)
def test_an_array_that_ended_as_a_whole_is_all_its_children(indices: str, expected: list[str]) -> None:
    """As when it is cancelled in the queue."""
    found = dialect().listed(said(line(id="9", array="9", index=indices, state="CANCELLED")))

    assert expected == list(found)


def test_jobs_of_several_clusters_are_distinguished() -> None:
    answer = "CLUSTER: north\n" + line(cluster="north") + "\nCLUSTER: south\n" + line(cluster="south")

    assert ["7@north", "7@south"] == list(dialect(clusters="north,south").listed(said(answer)))


@pytest.mark.parametrize("name", ["squeue-down", "squeue-empty", "squeue-no-conf"])
def test_output_that_is_no_answer(name: str) -> None:
    """One of them exits with 0: the account could not be looked up, which is not to have no jobs."""
    with pytest.raises(BatchUnavailable):
        dialect().listed(recorded(name))


def test_to_have_no_jobs_is_an_answer() -> None:
    assert {} == dialect().listed(said(""))


@given(st.text().filter(str.strip))
def test_garbage_is_no_answer(text: str) -> None:
    lines = [each for each in text.splitlines() if each.strip() and not each.startswith("CLUSTER:")]

    if lines:
        with pytest.raises(UnreadableOutput):
            dialect().listed(said(text))


def test_a_line_that_breaks_off_is_no_answer() -> None:
    whole = line(state="COMPLETED", comment="tag-1").rstrip("\n")

    for cut in range(1, len(whole)):
        with pytest.raises(UnreadableOutput):
            dialect().listed(said(whole[:cut]))


def test_an_answer_that_breaks_off_between_two_lines_is_a_shorter_one() -> None:
    """Jobs are missing then, which is not to be ended."""
    whole = recorded("squeue-states").out.splitlines(keepends=True)
    everything = dialect().listed(said("".join(whole)))

    for count in range(len(whole)):
        found = dialect().listed(said("".join(whole[:count])))
        assert found.items() <= everything.items()


def test_answers_do_not_depend_on_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are local ones."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()

    [seen] = [each for each in dialect().listed(recorded("squeue-states")).values() if each.tag == "tag-failed"]

    assert datetime(2026, 11, 20, 15, 31, 26, tzinfo=UTC) - timedelta(hours=9) == seen.started


#: What SLURM writes into the output of a job that it ends, file to cause.
OUTPUTS: Final = {
    "output-memory-poll": EndCause.MEMORY,
    "output-memory-kernel": EndCause.MEMORY,
    "output-walltime": EndCause.WALLTIME,
    "output-preempted": EndCause.PREEMPTED,
    "output-scancel": None,
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_slurm_says_in_the_output_of_a_job(name: str) -> None:
    lines = (DATA / f"{name}.out").read_text().splitlines()

    found = {cause for each in lines for pattern, cause in SlurmDialect.said if re.search(pattern, each, re.IGNORECASE)}

    assert {OUTPUTS[name]} - {None} == found


def test_what_slurm_says_in_the_output_of_a_job_whose_node_it_has_given_up() -> None:
    said = (
        "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-11-20T15:29:00 DUE TO NODE FAILURE, SEE SLURMCTLD LOG ***"
    )

    assert [EndCause.NODE_FAILURE] == [why for each, why in SlurmDialect.said if re.search(each, said, re.IGNORECASE)]
