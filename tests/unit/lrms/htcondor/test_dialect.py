"""HTCondor as version 23.9 speaks: answers recorded from its commands, beside each how it was asked."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.config.model import ArexBlock, Configuration, LrmsBlock
from arex.config.values import LrmsChoice, SessionDir
from arex.errors import BatchUnavailable, ConfigError, SubmitRejected, UnreadableOutput
from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import EndCause, Phase, Usage
from arex.ports import Submission
from arex.process import Completed
from lrms.command.dialect import Refusal, Seen, Work, judge
from lrms.command.transport import SharedFileSystem
from lrms.htcondor.dialect import CondorBackend, CondorDialect, CondorOptions, CondorQueueOptions
from lrms.htcondor.eventlog import EventSummary, parse_log
from lrms.htcondor.transfer import FileTransfer
from lrms.jobscript.runtimes import RuntimeSettings
from lrms.jobscript.scratch import scratch_of
from tests import environments

DATA: Final = environments.DATA / "condor-23.9.6"


def recorded(name: str) -> Completed:
    about = (DATA / f"{name}.about").read_text()
    facts, _, err = about.partition("stderr:\n")
    lines = dict(line.split(": ", 1) for line in facts.splitlines())
    out = DATA / f"{name}.out"
    argv = tuple(shlex.split(lines["argv"]))
    return Completed(argv, int(lines["exit"]), out.read_text() if out.exists() else "", err)


def dialect(**options: Any) -> CondorDialect:
    return CondorDialect(CondorOptions(**options))


def submission(job: str = "abc", **grami: Any) -> Submission:
    base = Grami(gridid=JobId(job), directory=Path(f"/s/{job}"), controldir=Path("/c"), args=("./x",))
    tag = Tag(f"{job}-1f")
    return Submission(job=JobId(job), tag=tag, grami=replace(base, **grami), rundir=Path(f"/s/{job}.lrms/{tag}"))


def work(*submissions: Submission) -> Work:
    first = submissions[0]
    return Work(submissions=submissions, script=first.rundir / "script", output=str(first.comment), tag=first.tag)


def description(work: Work, **options: Any) -> list[str]:
    return dialect(**options).submit(work).stdin.decode().splitlines()


def value(lines: list[str], name: str) -> str | None:
    found = [line.partition(" = ")[2] for line in lines if line.partition(" = ")[0] == name]
    assert len(found) <= 1
    return found[0] if found else None


# --- submitting -------------------------------------------------------------------------------------------------------


def test_a_job_is_a_submit_description_on_standard_input() -> None:
    call = dialect(bin=Path("/opt/bin"), environment={"CONDOR_CONFIG": "/c"}).submit(work(submission(jobname="hello")))

    lines = call.stdin.decode().splitlines()
    assert (("/opt/bin/condor_submit", "-terse"), {"CONDOR_CONFIG": "/c"}) == (call.argv, call.env)
    assert {
        "universe": "vanilla",
        "executable": "/bin/sh",
        "arguments": "\"'/s/abc.lrms/abc-1f/script'\"",
        "output": "/s/abc.comment",
        "error": "/s/abc.comment",
        "should_transfer_files": "NO",
        "environment": '"AREX_LOCALID=$(Cluster).$(Process)"',
        "batch_name": "hello",
        "My.ArexTag": '"abc-1f"',
        "request_cpus": "1",
        "priority": "0",
    }.items() <= {name: value(lines, name) for name in (line.partition(" = ")[0] for line in lines)}.items()
    assert "queue" == lines[-1]


def test_several_attempts_are_one_cluster_with_a_script_each() -> None:
    lines = description(work(submission("a@+=", jobname="sim_1"), submission("b", jobname="sim_2")))

    assert ["queue arex_tag,arex_session from (", "a@+=-1f /s/a@+=", "b-1f /s/b", ")"] == lines[-4:]
    assert {
        "arguments": "\"'$(arex_session).lrms/$(arex_tag)/script'\"",
        "output": "$(arex_session).comment",
        "My.ArexTag": '"$(arex_tag)"',
        "batch_name": "sim",
    } == {name: value(lines, name) for name in ("arguments", "output", "My.ArexTag", "batch_name")}


def test_what_a_cluster_s_lines_mean_is_each_attempt_s_own() -> None:
    """The rows name tag and session; script and output follow from them."""
    batch = work(submission("a"), submission("b"))

    for each, row in zip(batch.submissions, description(batch)[-3:-1], strict=True):
        tag, _, session = row.partition(" ")
        assert (each.rundir / "script", each.comment) == (
            Path(f"{session}.lrms/{tag}/script"),
            Path(f"{session}.comment"),
        )


@pytest.mark.parametrize(
    ("grami", "name", "wanted"),
    [
        ({"count": 4}, "request_cpus", "4"),
        ({"memory_mb": 100, "count": 4}, "request_memory", "400"),
        ({}, "request_memory", None),
        ({"disk_mb": 2}, "request_disk", "2048"),
        ({"priority": 100}, "priority", "50"),
        ({"queue": "long"}, "My.NordugridQueue", '"long"'),
        ({"exclusivenode": True}, "My.RequiresWholeMachine", "True"),
        ({"starttime": datetime(2030, 1, 1, tzinfo=UTC)}, "requirements", "(time() >= 1893456000)"),
        ({}, "requirements", None),
    ],
)
def test_wishes_become_lines(grami: dict[str, Any], name: str, wanted: str | None) -> None:
    assert wanted == value(description(work(submission(**grami))), name)


def test_what_the_site_says_is_asked_for() -> None:
    queues = {"q": CondorQueueOptions(requirements='Pool == "grid"', memory_mb=7)}

    lines = description(
        work(submission(queue="q")),
        requirements='OpSys == "LINUX"',
        rank="KFlops",
        group="atlas",
        memory_mb=5,
        queues=queues,
    )

    assert ('(OpSys == "LINUX") && (Pool == "grid")', "KFlops", "atlas", "7") == tuple(
        value(lines, name) for name in ("requirements", "rank", "accounting_group", "request_memory")
    )


def test_a_job_carries_its_limits_and_their_names() -> None:
    lines = description(work(submission(walltime_s=60, cputime_s=50, memory_mb=3, count=2)))

    policy, reason = value(lines, "periodic_remove") or "", value(lines, "My.PeriodicRemoveReason") or ""
    for rule in (
        "JobStatus == 2 && time() - JobCurrentStartDate > 60",
        "JobStatus == 2 && RemoteUserCpu + RemoteSysCpu > 50",
        "JobStatus == 2 && ResidentSetSize > 6144",
        "JobStatus == 1 && NumJobStarts > 0",
        "JobStatus == 5 && HoldReasonCode =!= 1 && HoldReasonCode =!= 15 && HoldReasonCode =!= 16",
    ):
        assert f"(({rule}) =?= True)" in policy
    assert ["walltime", "cputime", "memory", "preempted"] == sorted(
        (name for name in ("walltime", "cputime", "memory", "preempted") if f'"arex: {name}"' in reason),
        key=["walltime", "cputime", "memory", "preempted"].index,
    )
    assert policy.count("(") == policy.count(")")
    assert reason.count("(") == reason.count(")")


def test_jobs_of_one_shape_ask_for_the_same() -> None:
    shape = dialect().shape

    assert shape(submission("a", walltime_s=5)) == shape(submission("b", walltime_s=5))
    assert shape(submission("a", walltime_s=5)) != shape(submission("a", walltime_s=6))
    assert shape(submission("a", jobname="x")) != shape(submission("a", jobname="y"))


@given(st.text(), st.text())
def test_texts_of_a_job_stay_within_their_line(jobname: str, queue: str) -> None:
    plain = description(work(submission(jobname="x", queue="q")))

    lines = description(work(submission(jobname=jobname, queue=f"q{queue}")))

    assert [line.partition(" = ")[0] for line in plain] == [line.partition(" = ")[0] for line in lines]
    for name in ("batch_name", "My.NordugridQueue"):
        text = value(lines, name) or ""
        assert not set("$(){}\\") & set(text)
        assert text.strip('"').isascii()
        assert '"' not in text.strip('"')


@pytest.mark.parametrize("session", ["/s/a b", "/s/a\nqueue 9", '/s/a"', "/s/a'", "/s/$(x)", "/s/a\\"])
def test_a_session_that_a_description_can_t_hold_is_refused(session: str) -> None:
    hostile = replace(submission(directory=Path(session)), rundir=Path(f"{session}.lrms/t"))

    with pytest.raises(
        SubmitRejected, match=r"(?s)HTCondor cannot work in .*: a submit description cannot hold blanks"
    ):
        dialect().directives(hostile)
    assert () == dialect().directives(submission())


def test_a_cluster_s_id_is_its_root_and_processes_begin_at_zero() -> None:
    speaks = dialect()
    five = work(*(submission(name) for name in "abcde"))

    assert ("43", "43.0", "43.4", 5) == (
        speaks.submitted(recorded("submit-cluster"), five),
        speaks.child(LocalId("43"), 1),
        speaks.child(LocalId("43"), 5),
        speaks.index(LocalId("43.4")),
    )
    assert "44" == speaks.submitted(recorded("submit-job"), work(submission()))


@pytest.mark.parametrize("out", ["", "43.0 - 43.1\n", "43.0 - 44.0\n", "1 job(s) submitted to cluster 43.\n", "43\n"])
def test_an_answer_that_does_not_fit_the_question_is_none(out: str) -> None:
    with pytest.raises(UnreadableOutput):
        dialect().submitted(Completed(("condor_submit",), 0, out, ""), work(submission()))


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("submit-down", Refusal.UNSURE),
        ("submit-owner-limit", Refusal.LIMIT),
        ("submit-schedd-limit", Refusal.LIMIT),
        ("submit-submission-limit", Refusal.ARRAY),
        ("submit-requirement", Refusal.PERMANENT),
        ("submit-bad-expression", Refusal.PERMANENT),
        ("submit-bad-group", Refusal.PERMANENT),
        ("submit-bad-directory", Refusal.PERMANENT),
        ("submit-bad-line", Refusal.PERMANENT),
    ],
)
def test_a_refusal_means_what_its_sentence_says(name: str, verdict: Refusal) -> None:
    done = recorded(name)

    assert done.code != 0
    assert verdict is judge(CondorDialect.rules, done)


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: the moon",
        "ERROR: Failed to connect to local queue manager\nSECMAN:2007:Failed to end classad message.",
        "ERROR: Failed to commit job submission into the queue.",
    ],
)
def test_a_sentence_that_nobody_knows_is_unsure(said: str) -> None:
    assert Refusal.UNSURE is judge(CondorDialect.rules, Completed(("condor_submit",), 1, "", said))


# --- where nodes do not see the session directories -------------------------------------------------------------------


def load(*submissions: Submission) -> Work:
    first = work(*submissions)
    return replace(first, keys=tuple(f"k{n}" for n, _ in enumerate(submissions)))


@pytest.mark.parametrize("jobs", [("abc",), ("a", "b")])
def test_htcondor_moves_one_directory_there_and_one_back(jobs: tuple[str, ...]) -> None:
    """No list holds a name that a job has chosen. Each submission has files and a log of its own."""
    lines = description(load(*map(submission, jobs)), moves=True)
    rundir = "$(arex_session).lrms/$(arex_tag)" if len(jobs) > 1 else "/s/abc.lrms/abc-1f"

    assert {
        "should_transfer_files": "YES",
        "when_to_transfer_output": "ON_EXIT",
        "initialdir": rundir,
        "arguments": "script",
        "transfer_input_files": "script,in.$(arex_key)/",
        "transfer_output_files": "back",
        "log": f"{rundir}/log.$(arex_key)",
        "output": "$(arex_session).comment",
        "requirements": "((MY.NumJobStarts ?: 0) == 0)",
    }.items() <= {name: value(lines, name) for name in (line.partition(" = ")[0] for line in lines)}.items()
    rows = [f"{job}-1f k{n} /s/{job}" for n, job in enumerate(jobs)]
    assert ["queue arex_tag,arex_key,arex_session from (", *rows, ")"] == lines[-2 - len(jobs) :]


def test_a_script_that_has_to_send_files_back_has_the_time_for_it() -> None:
    """It ends the payload itself when the wall time is over."""
    policy = value(description(load(submission(walltime_s=60)), moves=True), "periodic_remove") or ""

    assert "JobStatus == 2 && time() - JobCurrentStartExecutingDate > 360" in policy


def test_the_configuration_says_whether_files_are_moved() -> None:
    """The directory of HTCondor on a node is the scratch directory then."""
    arex = ArexBlock(shared_filesystem=False, scratchdir=Path("/scratch"))
    config = Configuration(arex=arex, lrms=LrmsBlock(lrms=LrmsChoice(name="condor")))

    assert CondorOptions.of(config).moves
    assert isinstance(CondorBackend.from_config(config)._transport, FileTransfer)
    assert scratch_of(config) is None
    assert not RuntimeSettings.of(config).shared
    assert not CondorOptions.of(Configuration()).moves
    assert isinstance(CondorBackend.from_config(Configuration())._transport, SharedFileSystem)


@pytest.mark.parametrize("code", [12, 33])
def test_files_that_do_not_come_back_are_lost(code: int) -> None:
    held = seen(JobStatus=5, HoldReasonCode=code, NumJobStarts=1)
    removed = seen(JobStatus=3, RemoveReason="arex: why", LastHoldReasonCode=code, NumJobStarts=1)

    assert [EndCause.LOST] * 2 == [held.cause, removed.cause]
    assert "REMOVED (why)" == removed.word
    assert EndCause.NEVER_STARTED is seen(JobStatus=5, HoldReasonCode=code, NumJobStarts=0).cause


SUBMITTED: Final = "000 (7.001.000) 2030-01-01 00:00:00 Job submitted from host: <h>\n...\n"
BEGAN: Final = "001 (7.001.000) 2030-01-01 00:00:01 Job executing on host: <h>\n\tSlotName: s\n...\n"
ENDED: Final = "005 (7.001.000) 2030-01-01 00:00:02 Job terminated.\n\t(1) Normal termination (return value 0)\n...\n"
ABORTED: Final = "009 (7.001.000) 2030-01-01 00:00:02 Job was aborted.\n...\n"
HELD: Final = "012 (7.001.000) 2030-01-01 00:00:02 Job was held.\n\tit says\n005 (7.001.000) no\n\tCode 12\n...\n"
JOB: Final = LocalId("7.1")


@pytest.mark.parametrize(
    ("text", "story"),
    [
        ("", EventSummary()),
        (SUBMITTED, EventSummary(taken=JOB)),
        (SUBMITTED[:-2], EventSummary()),
        (SUBMITTED + BEGAN, EventSummary(taken=JOB, began=JOB)),
        (SUBMITTED + BEGAN + ENDED, EventSummary(taken=JOB, began=JOB, returned=True, over=True)),
        (SUBMITTED + BEGAN + ENDED[:-5], EventSummary(taken=JOB, began=JOB)),
        (SUBMITTED + BEGAN + HELD, EventSummary(taken=JOB, began=JOB, over=True)),
        (SUBMITTED + BEGAN + ABORTED, EventSummary(taken=JOB, began=JOB, over=True)),
        (SUBMITTED + ABORTED, EventSummary(over=True)),
        (SUBMITTED + BEGAN + ENDED + BEGAN, EventSummary(taken=JOB, began=JOB)),
        ("what is this\n...\n" + SUBMITTED, EventSummary(taken=JOB)),
    ],
)
def test_the_log_of_a_job_tells_its_story(text: str, story: EventSummary) -> None:
    assert story == parse_log(text)


@given(st.text())
def test_any_text_is_some_story(text: str) -> None:
    assert isinstance(parse_log(text), EventSummary)


# --- asking -----------------------------------------------------------------------------------------------------------


def ad(**attributes: float | bool | str) -> str:
    facts: dict[str, float | bool | str] = {"ClusterId": 7, "ProcId": 0, "JobStatus": 2, **attributes}
    text = ""
    for name, each in facts.items():
        if isinstance(each, bool):
            text += f'<a n="{name}"><b v="{"t" if each else "f"}"/></a>'
        else:
            tag = "s" if isinstance(each, str) else "i"
            text += f'<a n="{name}"><{tag}>{each}</{tag}></a>'
    return f"<classads><c>{text}</c></classads>"


def seen(**attributes: float | bool | str) -> Seen:
    return dialect().listed(Completed(("condor_q",), 0, ad(**attributes), ""))[LocalId("7.0")]


def test_one_question_is_about_all_jobs_of_this_account() -> None:
    argv = dialect().listing([LocalId("1.0")]).argv

    assert ("condor_q", "-xml", "-attributes") == argv[:3]
    assert {"ClusterId", "ArexTag", "HoldReasonCode", "RemoveReason", "ExitCode"} <= set(argv[3].split(","))


MIXED: Final = [
    ("43.0", "exit0", Phase.ENDED, EndCause.EXIT_CODE, 0, None),
    ("43.1", "exit3", Phase.ENDED, EndCause.EXIT_CODE, 3, None),
    ("43.2", "sig9", Phase.ENDED, EndCause.SIGNAL, None, 9),
    ("43.3", "segv", Phase.ENDED, EndCause.SIGNAL, None, 11),
    ("43.4", "exit0rm", Phase.ENDED, EndCause.EXIT_CODE, 0, None),
    ("44.0", "wall", Phase.ENDED, EndCause.WALLTIME, None, 15),
    ("45.0", "mem", Phase.ENDED, EndCause.MEMORY, None, 15),
    ("46.0", "userrm", Phase.ENDED, EndCause.CANCELLED, None, 15),
    ("46.1", "vacate", Phase.RUNNING, None, None, None),
    ("46.2", "running", Phase.RUNNING, None, None, None),
    ("46.3", "userhold", Phase.HELD, None, None, None),
    ("46.4", "suspend", Phase.SUSPENDED, None, None, None),
    ("46.5", "sysrm", Phase.ENDED, EndCause.CANCELLED_BY_LIMIT, None, 15),
    ("46.6", "syshold", Phase.ENDED, EndCause.CANCELLED_BY_LIMIT, None, 15),
    ("47.0", "badout", Phase.ENDED, EndCause.NEVER_STARTED, None, None),
    ("48.0", "badexe", Phase.ENDED, EndCause.NEVER_STARTED, None, None),
    ("49.0", "idle", Phase.QUEUED, None, None, None),
    ("49.1", "heldidle", Phase.HELD, None, None, None),
    ("50.0", "policy", Phase.ENDED, EndCause.CANCELLED_BY_LIMIT, None, 15),
    ("51.0", "deaf", Phase.EXITING, None, None, None),
]


def test_a_listing_says_where_every_job_is_and_how_it_ended() -> None:
    found = dialect().listed(recorded("q-mixed"))

    assert MIXED == [
        (localid, each.tag.removesuffix("-1f"), each.phase, each.cause, each.exit_code, each.signal)
        for localid, each in found.items()
    ]


def test_a_listing_tells_what_else_it_knows() -> None:
    found = dialect().listed(recorded("q-mixed"))

    running, ended, held = (found[LocalId(each)] for each in ("46.2", "44.0", "49.1"))
    assert (("node1.site",), "RUNNING", datetime(2026, 11, 20, tzinfo=UTC).date()) == (
        running.nodes,
        running.word,
        (running.started or datetime.min.replace(tzinfo=UTC)).date(),
    )
    assert ended.started is not None
    assert ended.ended is not None
    assert (5.0, "REMOVED (walltime)") == ((ended.ended - ended.started).total_seconds(), ended.word)
    assert "waits: via condor_hold (by user grid)" == held.message


def test_what_a_job_used_is_in_seconds_and_kilobytes() -> None:
    found = seen(JobStatus=4, RemoteWallClockTime=9.5, RemoteUserCpu=1, RemoteSysCpu=2, ResidentSetSize_RAW=4512)

    assert Usage(wall_s=9.5, user_s=1.0, system_s=2.0, max_rss_kb=4512) == found.usage


@pytest.mark.parametrize(
    ("attributes", "phase", "cause"),
    [
        ({"JobStatus": 0}, Phase.QUEUED, None),
        ({"JobStatus": 1}, Phase.QUEUED, None),
        ({"JobStatus": 2}, Phase.RUNNING, None),
        ({"JobStatus": 6}, Phase.EXITING, None),
        ({"JobStatus": 7}, Phase.SUSPENDED, None),
        ({"JobStatus": 8}, Phase.EXITING, None),
        ({"JobStatus": 9}, Phase.QUEUED, None),
        ({"JobStatus": 77}, Phase.OTHER, None),
        ({"JobStatus": 5, "HoldReasonCode": 1}, Phase.HELD, None),
        ({"JobStatus": 5, "HoldReasonCode": 15}, Phase.HELD, None),
        ({"JobStatus": 5, "HoldReasonCode": 16}, Phase.HELD, None),
        ({"JobStatus": 5, "HoldReasonCode": 3}, Phase.ENDED, EndCause.CANCELLED_BY_LIMIT),
        ({"JobStatus": 5, "HoldReasonCode": 26}, Phase.ENDED, EndCause.CANCELLED_BY_LIMIT),
        ({"JobStatus": 5, "HoldReasonCode": 34}, Phase.ENDED, EndCause.MEMORY),
        ({"JobStatus": 5, "HoldReasonCode": 46}, Phase.ENDED, EndCause.WALLTIME),
        ({"JobStatus": 5, "HoldReasonCode": 47}, Phase.ENDED, EndCause.WALLTIME),
        ({"JobStatus": 5, "HoldReasonCode": 6}, Phase.ENDED, EndCause.NEVER_STARTED),
        ({"JobStatus": 5, "HoldReasonCode": 14}, Phase.ENDED, EndCause.NEVER_STARTED),
        ({"JobStatus": 5}, Phase.ENDED, EndCause.NEVER_STARTED),
        ({"JobStatus": 3, "RemoveReason": "via condor_rm (by user root)"}, Phase.ENDED, EndCause.CANCELLED_BY_ADMIN),
        ({"JobStatus": 3, "RemoveReason": "via condor_rm (by user grid)"}, Phase.ENDED, EndCause.CANCELLED),
        ({"JobStatus": 3, "RemoveReason": "via condor_rm (by user grid2)"}, Phase.ENDED, EndCause.CANCELLED_BY_ADMIN),
        ({"JobStatus": 3, "RemoveReason": "arex: preempted"}, Phase.ENDED, EndCause.PREEMPTED),
        ({"JobStatus": 3, "RemoveReason": "arex: cputime"}, Phase.ENDED, EndCause.CPUTIME),
        ({"JobStatus": 3, "RemoteHost": "slot1@n"}, Phase.EXITING, None),
        ({"JobStatus": 4, "NumJobStarts": 2, "ExitCode": 0}, Phase.ENDED, EndCause.PREEMPTED),
        ({"JobStatus": 4, "NumJobStarts": 1, "NumShadowStarts": 2, "ExitCode": 0}, Phase.ENDED, None),
    ],
)
def test_every_state_has_a_phase_and_every_end_a_cause(
    attributes: dict[str, Any], phase: Phase, cause: EndCause | None
) -> None:
    found = seen(Owner="grid", ExitBySignal=False, **attributes)

    assert (phase, cause) == (found.phase, found.cause)


def test_a_job_that_htcondor_holds_stays_until_it_is_taken_away() -> None:
    """Only what is held by hand may go on."""
    assert seen(JobStatus=5, HoldReasonCode=34).lingers
    assert not seen(JobStatus=5, HoldReasonCode=1).lingers
    assert not seen(JobStatus=4, ExitBySignal=False, ExitCode=0).lingers


def test_a_second_copy_s_exit_code_is_not_the_job_s() -> None:
    """It found the mark and ended at once."""
    for starts in ({"NumJobStarts": 2}, {"NumJobStarts": 1, "NumShadowStarts": 2}):
        assert seen(JobStatus=4, ExitBySignal=False, ExitCode=0, **starts).exit_code is None


def test_no_jobs_is_an_answer_and_silence_is_not() -> None:
    assert {} == dialect().listed(recorded("q-none"))
    with pytest.raises(UnreadableOutput):
        dialect().listed(Completed(("condor_q",), 0, "", ""))


def test_a_schedd_that_does_not_answer_is_no_answer() -> None:
    with pytest.raises(BatchUnavailable, match="condor_schedd is not running") as caught:
        dialect().listed(recorded("q-down"))
    assert not isinstance(caught.value, UnreadableOutput)


@pytest.mark.parametrize("part", [0.01, 0.2, 0.5, 0.9, 0.99])
def test_half_an_answer_is_none(part: float) -> None:
    whole = recorded("q-mixed")

    with pytest.raises(UnreadableOutput):
        dialect().listed(replace(whole, out=whole.out[: int(len(whole.out) * part)]))


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "<jobs/>",
        "<classads><c/></classads>",
        '<classads><c><a n="ClusterId"><i>x</i></a></c></classads>',
        "<classads><c><a><i>1</i></a></c></classads>",
    ],
)
def test_nonsense_is_no_answer(text: str) -> None:
    with pytest.raises(UnreadableOutput):
        dialect().listed(Completed(("condor_q",), 0, text, ""))


@given(st.text())
def test_any_text_is_an_answer_or_none(text: str) -> None:
    try:
        listed = dialect().listed(Completed(("condor_q",), 0, text, ""))
    except BatchUnavailable:
        return
    assert all(isinstance(seen.phase, Phase) for seen in listed.values())


@given(st.dictionaries(st.sampled_from(["ExitCode", "ExitSignal", "HoldReasonCode", "JobStatus"]), st.floats()))
def test_any_number_is_an_answer_or_none(numbers: dict[str, float]) -> None:
    try:
        found = seen(**numbers)
    except BatchUnavailable:
        return
    assert isinstance(found.phase, Phase)
    assert all(type(number) in {int, type(None)} for number in (found.exit_code, found.signal))


def test_expressions_are_no_values() -> None:
    text = ad().replace("</c>", '<a n="ExitCode"><e>1 + 1</e></a><a n="HoldReason"><un/></a></c>')

    assert dialect().listed(Completed(("condor_q",), 0, text, ""))[LocalId("7.0")].exit_code is None


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
def test_that_a_job_has_gone_is_no_refusal(name: str) -> None:
    assert {} == dialect().refused(recorded(name), IDS)


def test_when_none_of_them_waits_all_are_refused() -> None:
    refusals = dialect().refused(recorded("hold-none"), IDS)

    assert set(IDS) == set(refusals)
    assert "Couldn't find/hold all jobs" in refusals[IDS[0]]


def test_somebody_else_s_jobs_are_refused_in_htcondor_s_words() -> None:
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
        group="grid",
        rank="KFlops",
        requirements="A",
        memory_mb=9,
        queues={"q": CondorQueueOptions(memory_mb=3, requirements="B")},
    ) == (options)


def test_a_session_root_that_a_description_can_t_hold_is_a_fault() -> None:
    config = Configuration()
    arex = replace(config.arex, sessiondir=(SessionDir(path=Path("/data/a b")),))

    with pytest.raises(ConfigError, match="blanks"):
        CondorBackend.from_config(replace(config, arex=arex))
    assert "condor" == CondorBackend.from_config(config).name
