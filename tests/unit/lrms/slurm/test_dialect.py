"""SLURM as version 22.05.8 speaks: answers recorded from its commands, beside each how it was asked."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.config.model import Configuration
from arex.errors import BatchUnavailable, UnreadableOutput
from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import EndCause, Phase
from arex.ports import Submission
from arex.process import Completed
from lrms.command.dialect import Refusal, Seen, Work, judge
from lrms.slurm.answers import STATES
from lrms.slurm.dialect import SlurmBackend, SlurmDialect, SlurmOptions, SlurmQueueOptions, requirements
from tests import environments

DATA: Final = environments.DATA / "slurm-22.05.8"
#: Words of squeue(1) for states that jobs are in; those that have gone from newer versions are none.
WORDS: Final = re.findall(
    r"\w+",
    "BOOT_FAIL CANCELLED COMPLETED CONFIGURING COMPLETING DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PENDING PREEMPTED "
    "RUNNING RESV_DEL_HOLD REQUEUE_FED REQUEUE_HOLD REQUEUED RESIZING REVOKED SIGNALING SPECIAL_EXIT STAGE_OUT "
    "STOPPED SUSPENDED TIMEOUT LAUNCH_FAILED POWER_UP_NODE RECONFIG_FAIL UPDATE_DB EXPEDITING",
)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where the answers were recorded."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def recorded(name: str) -> Completed:
    facts, _, err = (DATA / f"{name}.about").read_text().partition("stderr:\n")
    lines = dict(line.split(": ", 1) for line in facts.splitlines())
    out = DATA / f"{name}.out"
    argv = tuple(shlex.split(lines["argv"]))
    return Completed(argv, int(lines["exit"]), out.read_text() if out.exists() else "", err)


def said(out: str = "", err: str = "", code: int = 0, argv: str = "squeue") -> Completed:
    return Completed(tuple(argv.split()), code, out, err)


def dialect(**options: Any) -> SlurmDialect:
    return SlurmDialect(SlurmOptions(**options))


def submission(job: str = "abc", **grami: Any) -> Submission:
    base = Grami(gridid=JobId(job), directory=Path(f"/s/{job}"), controldir=Path("/c"), args=("./x",))
    tag = Tag(f"{job}-1f")
    return Submission(job=JobId(job), tag=tag, grami=replace(base, **grami), rundir=Path(f"/s/{job}.lrms/{tag}"))


def work(*submissions: Submission) -> Work:
    first = submissions[0]
    return Work(submissions=submissions, script=first.rundir / "script", output=str(first.comment), tag=first.tag)


def wishes(options: dict[str, Any] | None = None, **grami: Any) -> list[str]:
    lines = dialect(**(options or {})).directives(submission(**grami))
    assert all(line.startswith("#SBATCH ") for line in lines)
    return [line.removeprefix("#SBATCH ") for line in lines]


def line(**fields: str) -> str:
    """One line of squeue's, as it is asked for."""
    names = ("id", "array", "index", "state", "code", "reason", "nodes", "start", "end", "cluster", "comment")
    usual = {"id": "7", "array": fields.get("id", "7"), "index": "N/A", "state": "RUNNING", "code": "0"}
    usual |= {"reason": "None", "nodes": "", "start": "N/A", "end": "NONE", "cluster": "arex", "comment": "(null)"}
    return "".join(f"{(usual | fields)[name]:<20}|" for name in names) + "\n"


def one(**fields: str) -> Seen:
    [seen] = dialect().listed(said(line(**fields))).values()
    return seen


# --- submitting -------------------------------------------------------------------------------------------------------


def test_a_job_is_asked_for_with_everything_that_it_wants() -> None:
    options = {
        "account": "atlas",
        "qos": "grid",
        "extra": ("-C", "fast"),
        "queues": {"q": SlurmQueueOptions(extra=("-x",))},
    }

    assert [
        "--no-requeue",
        "--export=ALL",
        "--open-mode=append",
        "--partition=q",
        "--nice=40",
        "--job-name=my_job",
        "--ntasks=8",
        "--ntasks-per-node=4",
        "--exclusive",
        "--time=62:5",
        "--mem-per-cpu=100",
        "--begin=2026-11-20T09:30:00",
        "--account=atlas",
        "--qos=grid",
        "-C",
        "fast",
        "-x",
    ] == wishes(
        options,
        jobname="my job",
        queue="q",
        priority=60,
        starttime=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
        count=8,
        countpernode=4,
        exclusivenode=True,
        walltime_s=3725,
        memory_mb=100,
    )


def test_a_job_that_wants_nothing_gets_little() -> None:
    assert [
        "--no-requeue",
        "--export=ALL",
        "--open-mode=append",
        "--nice=50",
        "--job-name=gridjob",
        "--ntasks=1",
    ] == wishes()


@pytest.mark.parametrize(
    ("own", "expected"), [(99, "--mem-per-cpu=99"), (None, "--mem-per-cpu=432"), (0, "--mem-per-cpu=432")]
)
def test_memory_is_the_job_s_or_the_queue_s(own: int | None, expected: str) -> None:
    options = {"memory_mb": 321, "queues": {"q": SlurmQueueOptions(memory_mb=432)}}

    assert expected in wishes(options, queue="q", memory_mb=own)
    assert "--mem-per-cpu=321" in wishes(options, queue="other")


@pytest.mark.parametrize(
    ("grami", "expected"),
    [
        ({"walltime_s": 5}, "--time=0:5"),
        ({"walltime_s": 3600, "cputime_s": 60}, "--time=60:0"),
        ({"cputime_s": 7200, "count": 4}, "--time=30:0"),
        ({"cputime_s": 10000, "count": 7}, "--time=23:48"),
    ],
)
def test_the_time_limit_is_the_walltime_or_what_the_processor_time_comes_to(
    grami: dict[str, Any], expected: str
) -> None:
    assert expected in wishes(**grami)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("-C haswell --qos=grid", ("-C", "haswell", "--qos=grid")),
        ("-C haswell\\n#SBATCH --qos=grid", ("-C", "haswell", "--qos=grid")),
        ("--constraint='a&b'", ("--constraint=a&b",)),
    ],
)
def test_requirements_may_be_written_as_lines_of_a_script(text: str, words: tuple[str, ...]) -> None:
    assert words == requirements(text)


def test_the_tag_is_the_comment_and_the_output_is_where_it_belongs() -> None:
    call = dialect(bin=Path("/opt/bin")).submit(work(submission()))

    assert (
        "/opt/bin/sbatch --parsable --comment=abc-1f --output=/s/abc.comment /s/abc.lrms/abc-1f/script"
        == shlex.join(call.argv)
    )
    assert Path("/s/abc") == call.cwd


def test_an_array_is_numbered_from_one() -> None:
    call = dialect().submit(work(submission("a"), submission("b"), submission("c")))

    assert "--array=1-3" in call.argv


def test_one_of_several_clusters_is_named() -> None:
    assert "--clusters=north" in dialect(clusters="north").submit(work(submission())).argv


def test_options_come_from_the_configuration() -> None:
    config = Configuration()
    config = replace(
        config,
        lrms=replace(
            config.lrms,
            slurm_bin_path=Path("/opt/bin"),
            slurm_use_sacct=False,
            slurm_requirements="-C x",
            defaultmemory=7,
        ),
        service=replace(config.service, account="atlas", qos="grid", clusters="north"),
        queues=(replace(config.queues[0], name="long", defaultmemory=9, slurm_requirements="--qos=long"),),
    )

    assert SlurmOptions.of(config) == SlurmOptions(
        bin=Path("/opt/bin"),
        accounting=False,
        account="atlas",
        qos="grid",
        clusters="north",
        extra=("-C", "x"),
        memory_mb=7,
        queues={"long": SlurmQueueOptions(memory_mb=9, extra=("--qos=long",))},
    )
    assert "SLURM" == SlurmBackend.from_config(config).name


@given(st.text(), st.text(), st.text())
def test_hostile_texts_stay_on_their_line(name: str, queue: str, account: str) -> None:
    """A name, a queue and an account end where their line ends, and begin no other option."""
    lines = dialect(account=account).directives(submission(jobname=name, queue=queue))
    text = "\n".join(lines)

    assert lines == tuple(text.splitlines())
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=[\w.,@%+=:/-]*)?", each, re.ASCII) for each in lines)


@given(st.text(min_size=1))
def test_a_name_is_one_that_slurm_takes(name: str) -> None:
    [found] = [each for each in wishes(jobname=name) if each.startswith("--job-name=")]

    assert re.fullmatch(r"--job-name=[A-Za-z][A-Za-z0-9_.-]{0,14}", found)


@pytest.mark.parametrize(("name", "localid"), [("sbatch-ok", "39"), ("sbatch-array", "40")])
def test_the_local_id_is_read(name: str, localid: str) -> None:
    assert localid == dialect().submitted(recorded(name), work(submission()))


@pytest.mark.parametrize(
    ("out", "localid"),
    [("12\n", "12"), ("12;north\n", "12@north"), ("sbatch: some remark of a plugin\n12;north-2.x\n", "12@north-2.x")],
)
def test_the_cluster_belongs_to_the_local_id_where_there_are_several(out: str, localid: str) -> None:
    assert localid == dialect(clusters="north").submitted(said(out), work(submission()))


def test_the_cluster_does_not_belong_to_it_where_there_is_one() -> None:
    assert "12" == dialect().submitted(said("12;arex\n"), work(submission()))


@pytest.mark.parametrize("out", ["", "\n", "Submitted batch job\n", "12 13\n", "-1\n", "12;a b\n", "\0"])
def test_an_answer_without_an_id_is_no_answer(out: str) -> None:
    with pytest.raises(UnreadableOutput):
        dialect().submitted(said(out, argv="sbatch"), work(submission()))


def test_children_of_an_array_have_numbers() -> None:
    speaks = dialect()

    assert ["12_3", "12_3@north"] == [speaks.child(LocalId(root), 3) for root in ("12", "12@north")]
    assert [3, 3, None] == [speaks.index(LocalId(each)) for each in ("12_3", "12_3@north", "12")]


#: Every recorded refusal, and what it means. Those that are unsure are looked up, and made again.
REFUSALS: Final = {
    "sbatch-array-index": Refusal.ARRAY,
    "sbatch-array-too-large": Refusal.ARRAY,
    "sbatch-bad-begin": Refusal.PERMANENT,
    "sbatch-bad-option": Refusal.PERMANENT,
    "sbatch-bad-time": Refusal.PERMANENT,
    "sbatch-clusters": Refusal.UNSURE,
    "sbatch-cpus-enforced": Refusal.PERMANENT,
    "sbatch-deadline-past": Refusal.PERMANENT,
    "sbatch-down": Refusal.UNSURE,
    "sbatch-empty": Refusal.UNSURE,
    "sbatch-group": Refusal.PERMANENT,
    "sbatch-limit": Refusal.LIMIT,
    "sbatch-limit-array": Refusal.LIMIT,
    "sbatch-nice-by-user": Refusal.PERMANENT,
    "sbatch-no-feature": Refusal.PERMANENT,
    "sbatch-no-gres": Refusal.PERMANENT,
    "sbatch-no-node": Refusal.PERMANENT,
    "sbatch-no-partition": Refusal.PERMANENT,
    "sbatch-no-reservation": Refusal.PERMANENT,
    "sbatch-no-script": Refusal.UNSURE,
    "sbatch-no-shebang": Refusal.UNSURE,
    "sbatch-not-a-number": Refusal.PERMANENT,
    "sbatch-partition-drain": Refusal.LIMIT,
    "sbatch-partition-inactive": Refusal.LIMIT,
    "sbatch-qos-cpus": Refusal.PERMANENT,
    "sbatch-qos-walltime": Refusal.PERMANENT,
    "sbatch-stranger": Refusal.PERMANENT,
    "sbatch-time-over-partition": Refusal.PERMANENT,
    "sbatch-too-much-memory": Refusal.PERMANENT,
    "sbatch-unknown-account": Refusal.PERMANENT,
    "sbatch-unknown-gres": Refusal.PERMANENT,
    "sbatch-unknown-qos": Refusal.PERMANENT,
}


@pytest.mark.parametrize("name", REFUSALS)
def test_every_recorded_refusal_has_its_verdict(name: str) -> None:
    assert REFUSALS[name] is judge(SlurmDialect.rules, recorded(name))


def test_no_recorded_refusal_is_left_out() -> None:
    refused = {path.stem for path in DATA.glob("sbatch-*.about") if recorded(path.stem).code != 0}

    assert refused == REFUSALS.keys()


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        (
            "Batch job submission failed: Slurm temporarily unable to accept job, sleeping and retrying",
            Refusal.LIMIT,
        ),
        ("Batch job submission failed: Resource temporarily unavailable", Refusal.UNSURE),
        ("Batch job submission failed: Socket timed out on send/recv operation", Refusal.UNSURE),
        ("Batch job submission failed: Zero Bytes were transmitted or received", Refusal.UNSURE),
        ("Batch job submission failed: Slurm backup controller in standby mode", Refusal.UNSURE),
        ("Batch job submission failed: Protocol authentication error", Refusal.UNSURE),
        ("AssocMaxSubmitJobLimit\nBatch job submission failed: Job violates accounting/QOS policy", Refusal.LIMIT),
        ("AssocGrpSubmitJobsLimit\nBatch job submission failed: Job violates accounting/QOS policy", Refusal.LIMIT),
        ("AssocMaxWallDurationPerJobLimit\nJob violates accounting/QOS policy", Refusal.PERMANENT),
        ("Batch job submission failed: Unspecified error", Refusal.UNSURE),
        ("", Refusal.UNSURE),
    ],
)
def test_sentences_that_are_hard_to_bring_about(sentence: str, verdict: Refusal) -> None:
    assert verdict is judge(SlurmDialect.rules, said(err=f"sbatch: error: {sentence}\n", code=1))


# --- asking -----------------------------------------------------------------------------------------------------------


def test_one_question_is_about_all_jobs_of_the_account() -> None:
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
def test_a_failure_is_told_by_its_wait_status(
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
def test_an_unusual_reason_to_wait_is_told(reason: str, message: str) -> None:
    assert message == one(state="PENDING", reason=reason).message


def test_a_state_that_nobody_knows_is_still_there(caplog: pytest.LogCaptureFixture) -> None:
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


def test_jobs_of_several_clusters_are_told_apart() -> None:
    answer = "CLUSTER: north\n" + line(cluster="north") + "\nCLUSTER: south\n" + line(cluster="south")

    assert ["7@north", "7@south"] == list(dialect(clusters="north,south").listed(said(answer)))


@pytest.mark.parametrize("name", ["squeue-down", "squeue-empty", "squeue-no-conf"])
def test_an_answer_that_is_none(name: str) -> None:
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


# --- accounting -------------------------------------------------------------------------------------------------------


def test_the_accounting_is_asked_about_jobs_by_number() -> None:
    call = dialect().accounting([LocalId("7"), LocalId("8_3@north")])

    assert call is not None
    assert ("sacct", "-n", "-P", "-X", "-S", "1970-01-01", "-j", "7,8_3", "-o") == call.argv[:-1]
    assert call.argv[-1] == recorded("sacct-states").argv[-1]


def test_the_accounting_is_not_asked_where_the_site_says_so() -> None:
    assert dialect(accounting=False).accounting([LocalId("7")]) is None


ACCOUNTED: Final[dict[str, tuple[Phase, EndCause | None, int | None, int | None]]] = {
    "1": (Phase.ENDED, EndCause.EXIT_CODE, 0, None),
    "2": (Phase.ENDED, EndCause.EXIT_CODE, 3, None),
    "3": (Phase.ENDED, EndCause.SIGNAL, None, 11),
    "4": (Phase.ENDED, EndCause.WALLTIME, 0, None),
    "5": (Phase.ENDED, EndCause.PREEMPTED, 0, None),
    "6": (Phase.ENDED, EndCause.NODE_FAILURE, 0, None),
    "9_2": (Phase.ENDED, EndCause.EXIT_CODE, 3, None),
    "10": (Phase.ENDED, EndCause.CANCELLED_BY_LIMIT, 1, None),
    "11": (Phase.ENDED, EndCause.NEVER_STARTED, None, None),
    "15": (Phase.QUEUED, None, None, None),
}


@pytest.mark.parametrize("localid", ACCOUNTED)
def test_what_the_accounting_says(localid: str) -> None:
    seen = dialect().accounted(recorded("sacct-states"))[LocalId(localid)]

    assert ACCOUNTED[localid] == (seen.phase, seen.cause, seen.exit_code, seen.signal)


@pytest.mark.parametrize(("uid", "cause"), [(0, EndCause.CANCELLED), (1000, EndCause.CANCELLED_BY_ADMIN)])
def test_the_accounting_knows_who_has_cancelled(monkeypatch: pytest.MonkeyPatch, uid: int, cause: EndCause) -> None:
    """It was root: ourselves, if that is who we are."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)

    assert cause is dialect().accounted(recorded("sacct-states"))[LocalId("7")].cause


def test_a_site_without_accounting_is_not_asked_again() -> None:
    speaks = dialect()
    with pytest.raises(BatchUnavailable):
        speaks.accounted(recorded("sacct-disabled"))

    assert speaks.accounting([LocalId("7")]) is None


@pytest.mark.parametrize("name", ["sacct-down", "sacct-bad-field"])
def test_an_accounting_that_fails_is_asked_again(name: str) -> None:
    speaks = dialect()
    with pytest.raises(BatchUnavailable):
        speaks.accounted(recorded(name))

    assert speaks.accounting([LocalId("7")]) is not None


def test_garbage_is_no_accounting() -> None:
    with pytest.raises(UnreadableOutput):
        dialect().accounted(said("7|COMPLETED|0:0\n", argv="sacct"))


# --- acting -----------------------------------------------------------------------------------------------------------


def test_jobs_are_cancelled_held_and_released_on_their_cluster() -> None:
    ids = [LocalId("7@north"), LocalId("8_3@north")]
    speaks = dialect(clusters="north,south")

    assert [
        ("scancel", "--clusters=north", "7", "8_3"),
        ("scontrol", "--clusters=north", "hold", "7,8_3"),
        ("scontrol", "--clusters=north", "release", "7,8_3"),
    ] == [call(ids).argv for call in (speaks.cancel, speaks.hold, speaks.release)]
    assert "north" == speaks.site(ids[0])


def refused(name: str, *ids: str) -> dict[str, str]:
    return {str(key): why for key, why in dialect().refused(recorded(name), [LocalId(each) for each in ids]).items()}


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("scancel-gone", ["19", "999999", "32_2"]),
        ("scontrol-hold-running", ["33", "19", "999999"]),
        ("scontrol-release-gone", ["999999", "26"]),
    ],
)
def test_that_a_job_has_gone_is_no_refusal(name: str, ids: list[str]) -> None:
    assert {} == refused(name, *ids)


def test_a_refusal_is_about_the_job_that_it_names() -> None:
    denied = "scancel: error: Kill job error on job id {}: Access/permission denied"

    assert {"26": denied.format(26), "33": denied.format(33)} == refused("scancel-foreign", "33", "26", "7")
    assert {"26": "Invalid user id for job 26"} == refused("scontrol-hold-foreign", "26", "7")


def test_a_refusal_that_names_nobody_is_about_all() -> None:
    answer = said(err="slurm_suspend error: Access/permission denied\n", code=1, argv="scontrol hold 7,8")

    assert {"7", "8"} == dialect().refused(answer, [LocalId("7"), LocalId("8")]).keys()


@pytest.mark.parametrize("name", ["scancel-down", "scontrol-down"])
def test_silence_is_no_refusal(name: str) -> None:
    with pytest.raises(BatchUnavailable):
        refused(name, "1")
