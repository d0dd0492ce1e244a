"""Grid Engine as version 8.1.9 speaks: answers recorded from its commands, beside each how it was asked."""

from __future__ import annotations

import itertools
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.config.model import Configuration
from arex.config.values import SessionDir
from arex.errors import BatchUnavailable, ConfigError, SubmitRejected, UnreadableOutput
from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import EndCause, Phase, Usage
from arex.ports import Submission
from arex.process import Completed
from lrms.command.dialect import Refusal, Seen, Work, judge
from lrms.sge.dialect import SgeBackend, SgeDialect, SgeOptions, SgeQueueOptions
from tests import environments

DATA: Final = environments.DATA / "sge-8.1.9"


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where the answers were recorded."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def recorded(name: str) -> Completed:
    about = (DATA / f"{name}.about").read_text()
    facts, _, err = about.partition("stderr:\n")
    lines = dict(line.split(": ", 1) for line in facts.splitlines())
    out = DATA / f"{name}.out"
    argv = tuple(shlex.split(lines["argv"]))
    return Completed(argv, int(lines["exit"]), out.read_text() if out.exists() else "", err)


def dialect(**options: Any) -> SgeDialect:
    return SgeDialect(SgeOptions(**options))


def submission(job: str = "abc", **grami: Any) -> Submission:
    base = Grami(gridid=JobId(job), directory=Path(f"/s/{job}"), controldir=Path("/c"), args=("./x",))
    tag = Tag(f"{job}-1f")
    return Submission(job=JobId(job), tag=tag, grami=replace(base, **grami), rundir=Path(f"/s/{job}.lrms/{tag}"))


def work(*submissions: Submission) -> Work:
    first = submissions[0]
    return Work(submissions=submissions, script=first.rundir / "script", output=str(first.comment), tag=first.tag)


def argv(work: Work, **options: Any) -> tuple[str, ...]:
    return dialect(**options).submit(work).argv


def option(words: tuple[str, ...], name: str) -> str | None:
    """The last one counts, as for qsub."""
    found = [value for word, value in itertools.pairwise(words) if word == name]
    return found[-1] if found else None


# --- submitting -------------------------------------------------------------------------------------------------------


def test_a_job_is_one_command_and_its_script_comes_on_standard_input() -> None:
    call = dialect(bin=Path("/opt/bin"), environment={"SGE_ROOT": "/opt"}).submit(work(submission(jobname="hello")))

    assert (
        "/opt/bin/qsub -S /bin/sh -wd / -p -512 -terse -C '' -r n -b n -j y -o :/s/abc.comment -N 'hello~abc-1f'"
        == shlex.join(call.argv)
    )
    assert {"SGE_ROOT": "/opt"} == call.env
    assert "/bin/sh /s/abc.lrms/abc-1f/script\n" in call.stdin.decode()


@pytest.mark.parametrize(("code", "told"), [(0, 0), (3, 3), (99, 1), (100, 1), (137, 137)])
def test_exit_codes_that_mean_something_to_grid_engine_are_not_told(tmp_path: Path, code: int, told: int) -> None:
    """99 would run the job again, 100 would leave it in the queue in an error state."""
    script = tmp_path / "it's a script"
    script.write_text(f"exit {code}\n")

    starter = dialect().submit(replace(work(submission()), script=script)).stdin

    assert told == subprocess.run(["/bin/sh"], input=starter, check=False).returncode


@pytest.mark.parametrize(
    ("grami", "wanted"),
    [
        ({"walltime_s": 3600}, "h_rt=3600"),
        ({"cputime_s": 100, "count": 3}, "h_cpu=34"),
        ({"memory_mb": 2000}, "h_vmem=2000M"),
        ({"exclusivenode": True}, "exclusive=true"),
        ({"walltime_s": 60, "cputime_s": 50, "memory_mb": 5}, "h_rt=60,h_cpu=50,h_vmem=5M"),
        ({}, None),
    ],
)
def test_resources_are_asked_for(grami: dict[str, Any], wanted: str | None) -> None:
    assert wanted == option(argv(work(submission(**grami))), "-l")


@pytest.mark.parametrize(
    ("name", "grami", "value"),
    [
        ("-q", {"queue": "long"}, "long"),
        ("-q", {}, None),
        ("-p", {"priority": 100}, "0"),
        ("-p", {"priority": 1}, "-1013"),
        ("-p", {"priority": 1000}, "0"),
        ("-a", {"starttime": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)}, "203001020304.05"),
        ("-N", {}, "gridjob~abc-1f"),
        ("-pe", {"count": 4}, "smp"),
        ("-pe", {}, None),
        ("-t", {}, None),
    ],
)
def test_wishes_become_options(name: str, grami: dict[str, Any], value: str | None) -> None:
    assert value == option(argv(work(submission(**grami))), name)


@pytest.mark.parametrize(
    ("extra", "environment"),
    [
        ("-pe mpi 4", "mpi"),
        ("-pe mpi", "mpi"),
        ("-l fast -pe mpi 2-8 -P x", "mpi"),
        ("-pe a -pe b 1", "b"),
        ("", "smp"),
    ],
)
def test_the_site_names_the_parallel_environment(extra: str, environment: str) -> None:
    words = argv(work(submission(count=4)), extra=tuple(shlex.split(extra)))

    assert f"-pe {environment} 4" in " ".join(words)
    assert 1 == words.count("-pe")


def test_a_job_of_one_slot_needs_no_parallel_environment() -> None:
    words = argv(work(submission()), extra=("-l", "fast", "-pe", "mpi", "2-8", "-P", "x"))

    assert "-l fast -P x" in " ".join(words)
    assert "-pe" not in words


def test_options_of_the_site_and_of_the_queue_are_passed_on_but_ours_come_last() -> None:
    queues = {"q": SgeQueueOptions(extra=("-l", "fast"), memory_mb=7)}
    words = argv(work(submission(queue="q")), extra=("-r", "yes"), project="grid", queues=queues, memory_mb=5)

    assert "-r yes -l fast" in " ".join(words)
    assert ("n", "grid") == (option(words, "-r"), option(words, "-P"))
    assert "h_vmem=7M" in words


def test_memory_that_nobody_asks_for_is_the_queue_s_then_the_site_s() -> None:
    assert "h_vmem=5M" == option(argv(work(submission()), memory_mb=5), "-l")
    assert "h_vmem=9M" == option(argv(work(submission(memory_mb=9)), memory_mb=5), "-l")


def test_an_array_has_indices_from_one_and_a_name_for_all() -> None:
    words = argv(work(submission("a", jobname="sim_1"), submission("b", jobname="sim_2")))

    assert ("1-2", "sim~a-1f") == (option(words, "-t"), option(words, "-N"))


def test_an_id_with_an_at_sign_makes_a_name_all_the_same() -> None:
    [localid] = dialect().listed(
        Completed(("qstat", "-xml"), 0, listing("<full_job_name>j~me%here-1f</full_job_name>"), "")
    )

    assert "gridjob~me%here-1f" == option(argv(work(submission("me@here"))), "-N")
    assert "7" == localid


def test_jobs_of_one_shape_ask_for_the_same() -> None:
    shape = dialect().shape

    assert shape(submission("a", walltime_s=5)) == shape(submission("b", walltime_s=5))
    assert shape(submission("a", walltime_s=5)) != shape(submission("a", walltime_s=6))
    assert shape(submission("a", jobname="x")) != shape(submission("a", jobname="y"))


@given(st.text(), st.text())
def test_texts_of_a_job_stay_within_their_word(jobname: str, queue: str) -> None:
    call = dialect().submit(work(submission(jobname=jobname, queue=queue)))

    words = call.argv
    assert words[words.index("-N") + 1].isascii()
    assert not set("\n\t\r/:@\\*? ") & set(words[words.index("-N") + 1])
    assert not any(c in word for word in words for c in "\n\r\0")
    assert ("-p" in words[:8]) is True
    assert 1 == words.count("-N")
    assert b"#$" not in call.stdin


@pytest.mark.parametrize("session", ["/s/a,b", "/s/$HOME", "/s/a\nb"])
def test_a_session_that_grid_engine_would_misread_is_refused(session: str) -> None:
    with pytest.raises(SubmitRejected, match="can't write to"):
        dialect().directives(submission(directory=Path(session)))
    assert () == dialect().directives(submission())


def test_a_job_s_id_is_read() -> None:
    assert "17" == dialect().submitted(recorded("submit-job"), work(submission()))


def test_an_array_s_id_is_its_root_and_children_count_from_one() -> None:
    speaks = dialect()
    root = speaks.submitted(recorded("submit-array"), work(submission()))

    assert ("18", "18.2", 2, None) == (
        root,
        speaks.child(root, 2),
        speaks.index(LocalId("18.2")),
        speaks.index(LocalId("18")),
    )


@pytest.mark.parametrize("out", ["", "Your job\n", "qsub: warning: x\n", "12 13\n"])
def test_an_answer_without_an_id_is_none(out: str) -> None:
    with pytest.raises(UnreadableOutput):
        dialect().submitted(Completed(("qsub",), 0, out, ""), work(submission()))


def test_a_warning_before_the_id_does_no_harm() -> None:
    assert "12" == dialect().submitted(Completed(("qsub",), 0, "a warning\n12\n", ""), work(submission()))


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("submit-down", Refusal.UNSURE),
        ("submit-user-limit", Refusal.LIMIT),
        ("submit-cluster-limit", Refusal.LIMIT),
        ("submit-tasks-limit", Refusal.ARRAY),
        ("submit-unknown-queue", Refusal.PERMANENT),
        ("submit-unknown-resource", Refusal.PERMANENT),
        ("submit-unknown-pe", Refusal.PERMANENT),
        ("submit-unknown-project", Refusal.PERMANENT),
        ("submit-bad-time", Refusal.PERMANENT),
        ("submit-bad-option", Refusal.PERMANENT),
    ],
)
def test_a_refusal_means_what_its_sentence_says(name: str, verdict: Refusal) -> None:
    done = recorded(name)

    assert done.code != 0
    assert verdict is judge(SgeDialect.rules, done)


def test_a_sentence_that_nobody_knows_is_unsure() -> None:
    assert Refusal.UNSURE is judge(SgeDialect.rules, Completed(("qsub",), 1, "", "Unable to run job: the moon"))


@pytest.mark.parametrize(("task", "localid"), [("", "17"), ("undefined", "17"), ("4", "17.4")])
def test_inside_a_job_its_id_is_what_we_call_it(task: str, localid: str) -> None:
    script = f"arex_id={SgeDialect.localid_words}\necho $arex_id"
    environment = {"JOB_ID": "17", "SGE_TASK_ID": task}

    said = subprocess.run(["/bin/sh", "-c", script], env=environment, check=True, capture_output=True, text=True)

    assert f"{localid}\n" == said.stdout


# --- asking -----------------------------------------------------------------------------------------------------------


def listing(more: str = "", state: str = "r") -> str:
    return (
        f"<job_info><queue_info><job_list><JB_job_number>7</JB_job_number><state>{state}</state>{more}"
        "</job_list></queue_info><job_info></job_info></job_info>"
    )


def seen(text: str) -> dict[LocalId, Seen]:
    return dict(dialect().listed(Completed(("qstat", "-xml"), 0, text, "")))


def test_one_question_is_about_all_jobs_of_this_account() -> None:
    assert "qstat -xml -r -s prsz -u '$user'" == shlex.join(dialect().listing([LocalId("1")]).argv)


def test_a_listing_says_where_every_job_is() -> None:
    found = dialect().listed(recorded("qstat-mixed"))

    assert {
        "18.1": Phase.RUNNING,
        "34": Phase.SUSPENDED,
        "24": Phase.QUEUED,
        "31": Phase.ENDED,
        "37": Phase.HELD,
        "39": Phase.QUEUED,
        "41.1": Phase.HELD,
        "41.9": Phase.HELD,
        "29": Phase.ENDED,
        "6.3": Phase.ENDED,
    } == {
        localid: found[LocalId(localid)].phase
        for localid in ("18.1", "34", "24", "31", "37", "39", "41.1", "41.9", "29", "6.3")
    }
    assert "41" not in found


def test_a_listing_says_which_attempt_a_job_is_and_where_it_runs() -> None:
    found = dialect().listed(recorded("qstat-mixed"))

    assert (
        Seen(
            phase=Phase.RUNNING,
            word="r (all.q)",
            tag="id2-aa",
            nodes=("node1",),
            started=datetime(2026, 11, 20, 14, 51, 40, tzinfo=UTC),
        )
        == (found[LocalId("18.4")])
    )
    assert "" == found[LocalId("8")].tag


def test_a_job_being_deleted_is_on_its_way_out() -> None:
    assert Phase.EXITING is seen(listing(state="dr"))[LocalId("7")].phase


@pytest.mark.parametrize(
    ("states", "phase"),
    [
        ("qw Rq w", Phase.QUEUED),
        ("hqw hRwq", Phase.HELD),
        ("r t hr Rr Rt hRr", Phase.RUNNING),
        ("s ts S tS T tT Rs Rts RS RtS RT RtT", Phase.SUSPENDED),
        ("Eqw Ehqw EhRqw z", Phase.ENDED),
        ("dr dt dRr dRt ds dS dT dRs dRS dRT dEqw", Phase.EXITING),
        ("? _", Phase.OTHER),
    ],
)
def test_every_state_of_the_manual_has_a_phase(states: str, phase: Phase) -> None:
    assert {phase} == {seen(listing(state=state))[LocalId("7")].phase for state in states.split()}


@pytest.mark.parametrize(
    ("state", "lingers", "vague"),
    [("Eqw", True, True), ("Ehqw", True, True), ("dEqw", False, False), ("z", False, True), ("r", False, False)],
)
def test_a_job_that_could_not_start_stays_until_it_is_taken_away(state: str, lingers: bool, vague: bool) -> None:
    """Of every end the listing says nothing but that it came."""
    found = seen(listing(state=state))[LocalId("7")]

    assert (lingers, vague) == (found.lingers, found.vague)


@pytest.mark.parametrize(
    ("tasks", "ids"),
    [
        ("3", ["7.3"]),
        ("1-3:1", ["7.1", "7.2", "7.3"]),
        ("1,4-8:2", ["7.1", "7.4", "7.6", "7.8"]),
        ("1-2", ["7.1", "7.2"]),
    ],
)
def test_a_line_may_stand_for_many_children(tasks: str, ids: list[str]) -> None:
    assert ids == list(seen(listing(f"<tasks>{tasks}</tasks>")))


def test_a_child_that_runs_is_not_ended_because_others_are() -> None:
    text = listing("<tasks>1</tasks>").replace("</queue_info>", "").replace("<job_info></job_info>", "</queue_info>")
    text = text.replace(
        "</queue_info>",
        "<job_list><JB_job_number>7</JB_job_number><state>z</state><tasks>1-2:1</tasks></job_list></queue_info>",
    )

    found = seen(text)

    assert {"7.1": Phase.RUNNING, "7.2": Phase.ENDED} == {localid: each.phase for localid, each in found.items()}


def test_names_that_need_quoting_are_read() -> None:
    assert len(dialect().listed(recorded("qstat-hostile-names"))) == 7


def test_no_jobs_is_an_answer() -> None:
    assert {} == dialect().listed(recorded("qstat-none"))


def test_a_qmaster_that_does_not_answer_is_no_answer() -> None:
    with pytest.raises(BatchUnavailable, match="got send error") as caught:
        dialect().listed(recorded("qstat-down"))
    assert not isinstance(caught.value, UnreadableOutput)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.99])
def test_half_an_answer_is_none(part: float) -> None:
    whole = recorded("qstat-mixed")

    with pytest.raises(UnreadableOutput):
        dialect().listed(replace(whole, out=whole.out[: int(len(whole.out) * part)]))


@pytest.mark.parametrize("text", ["", "nonsense", "<a/>", "<job_info><job_list/></job_info>", "\x00\x01"])
def test_nonsense_is_no_answer(text: str) -> None:
    with pytest.raises(UnreadableOutput):
        seen(text)


@given(st.text())
def test_any_text_is_an_answer_or_none(text: str) -> None:
    for parse in (dialect().listed, dialect().accounted):
        try:
            answers = [parse(Completed(argv, 0, text, "")) for argv in (("qstat", "-xml"), ("qacct",))]
        except BatchUnavailable:
            continue
        assert all(isinstance(seen.phase, Phase) for answer in answers for seen in answer.values())


# --- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "argv"),
    [
        (["12"], "qacct -j 12"),
        (["12.1", "12.7"], "qacct -j 12"),
        (["12", "13"], "qacct -E -d 3 -j '*~*'"),
    ],
)
def test_the_accounting_is_asked_once_about_all(ids: list[str], argv: str) -> None:
    call = dialect().accounting([LocalId(each) for each in ids])

    assert call is not None
    assert argv == shlex.join(call.argv)


@pytest.mark.parametrize(
    ("localid", "cause", "code", "signal"),
    [
        ("21", EndCause.EXIT_CODE, 3, None),
        ("22", EndCause.EXIT_CODE, 137, None),
        ("23", EndCause.EXIT_CODE, 100, None),
        ("25", EndCause.SIGNAL, None, 9),
        ("26", EndCause.SIGNAL, None, 11),
        ("27", EndCause.WALLTIME, None, 9),
        ("28", EndCause.WALLTIME, None, 9),
        ("29", EndCause.CPUTIME, None, 9),
        ("30", EndCause.EXIT_CODE, 12, None),
        ("35", EndCause.SIGNAL, None, 9),
        ("18.2", EndCause.SIGNAL, None, 9),
        ("41.9", EndCause.EXIT_CODE, 0, None),
    ],
)
def test_the_accounting_says_how_a_job_ended(
    localid: str, cause: EndCause, code: int | None, signal: int | None
) -> None:
    found = dialect().accounted(recorded("qacct"))[LocalId(localid)]

    assert (Phase.ENDED, cause, code, signal) == (found.phase, found.cause, found.exit_code, found.signal)


def test_the_accounting_says_what_a_job_used() -> None:
    found = dialect().accounted(recorded("qacct"))[LocalId("29")]

    assert Usage(wall_s=2.0, user_s=1.951, system_s=0.016, max_rss_kb=4472) == found.usage
    assert ("failed 100 : assumedly after job", ("node1",)) == (found.word, found.nodes)
    assert datetime(2026, 11, 20, 14, 52, tzinfo=UTC) < (found.ended or datetime.min.replace(tzinfo=UTC))


def test_a_job_that_is_to_run_again_has_not_ended() -> None:
    assert "24" not in dialect().accounted(recorded("qacct"))


def block(**changes: str) -> str:
    facts = {
        "qname": "all.q", "hostname": "n1", "jobnumber": "5", "taskid": "undefined", "start_time": "-/-",
        "end_time": "11/20/2026 10:00:00.500", "slots": "2", "failed": "100 : assumedly after job",
        "exit_status": "137", "ru_wallclock": "20", "ru_utime": "1", "ru_stime": "1", "ru_maxrss": "4560",
        "cpu": "2", "maxvmem": "99.5M", "category": "-u grid -l h_rt=3600 -pe smp 2",
    }  # fmt: skip
    return "=====\n" + "".join(f"{key} {value}\n" for key, value in (facts | changes).items())


#: Of a short job that the kernel gave no more memory.
NO_MEMORY: Final = {
    "failed": "0", "exit_status": "139 (Segmentation fault)", "slots": "1", "category": "-q all.q -l h_vmem=30M",
    "maxvmem": "0.000B", "ru_maxrss": "29.293KB", "ru_wallclock": "1s",
}  # fmt: skip


def end(**changes: str) -> Seen:
    return dialect().accounted(Completed(("qacct", "-j", "5"), 0, block(**changes), ""))[LocalId("5")]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"failed": "37 : qmaster enforced h_rt, h_cpu, or h_vmem limit"}, EndCause.WALLTIME),
        ({"category": "-l h_vmem=100M", "maxvmem": "199M"}, EndCause.MEMORY),
        ({"category": "-l h_vmem=100M", "maxvmem": "99M"}, EndCause.SIGNAL),
        ({"category": "-l h_cpu=::30", "cpu": "59.5"}, EndCause.CPUTIME),
        ({"failed": "0", "category": "-l h_cpu=30", "cpu": "59.5s"}, EndCause.CPUTIME),
        ({"failed": "0", "exit_status": "152", "category": "-l s_cpu=30", "cpu": "60"}, EndCause.CPUTIME),
        ({"category": "-l a=1,h_rt=0:0:20 -q x"}, EndCause.WALLTIME),
        ({"category": "-l 'unquoted"}, EndCause.SIGNAL),
        ({"failed": "1 : assumedly before job"}, EndCause.NEVER_STARTED),
        ({"failed": "8 : in prolog"}, EndCause.NEVER_STARTED),
        ({"failed": "26 : opening input/output file"}, EndCause.NEVER_STARTED),
        ({"failed": "28 : changing into working directory"}, EndCause.NEVER_STARTED),
        ({"failed": "15 : in epilog", "exit_status": "0"}, EndCause.EXIT_CODE),
        ({"failed": "19 : before writing exit_status", "exit_status": "0"}, EndCause.NODE_FAILURE),
        ({"failed": "100 : assumedly after job", "exit_status": "0"}, EndCause.NODE_FAILURE),
        ({"failed": "77 : something new"}, None),
        (NO_MEMORY, EndCause.MEMORY),
        (NO_MEMORY | {"ru_maxrss": "9.293KB"}, EndCause.EXIT_CODE),
        (NO_MEMORY | {"exit_status": "1"}, EndCause.EXIT_CODE),
    ],
)
def test_what_ended_a_job_follows_from_its_record(changes: dict[str, str], cause: EndCause | None) -> None:
    assert cause is end(**changes).cause


def test_another_version_s_figures_are_read() -> None:
    found = end()

    assert Usage(wall_s=20.0, user_s=1.0, system_s=1.0, max_rss_kb=4560) == found.usage
    assert (None, datetime(2026, 11, 20, 10, 0, 0, 500000, tzinfo=UTC)) == (found.started, found.ended)


def test_records_of_slave_tasks_are_not_the_job_s() -> None:
    text = block() + block(pe_taskid="1.n2", exit_status="1")

    assert 9 == dialect().accounted(Completed(("qacct",), 0, text, ""))[LocalId("5")].signal


@pytest.mark.parametrize("name", ["qacct-none", "qacct-one-unknown"])
def test_jobs_that_the_accounting_does_not_know_are_absent(name: str) -> None:
    assert {} == dialect().accounted(recorded(name))


@pytest.mark.parametrize(
    "done",
    [
        Completed(("qacct",), 1, "", "error: shadow master host name unknown\n"),
        Completed(("qacct",), 0, "=====\nqname all.q\n", ""),
        Completed(("qacct",), 0, "nonsense", ""),
    ],
)
def test_accounting_that_makes_no_sense_is_no_answer(done: Completed) -> None:
    with pytest.raises(UnreadableOutput):
        dialect().accounted(done)


def test_why_a_job_is_in_an_error_state_is_asked_of_qstat() -> None:
    speaks = dialect()
    speaks.listed(recorded("qstat-mixed"))

    call = speaks.accounting([LocalId("21"), LocalId("31"), LocalId("33")])

    assert call is not None
    assert "qstat -xml -j 31,33" == shlex.join(call.argv)


def test_why_a_job_could_not_start_is_told_in_grid_engine_s_words() -> None:
    found = dialect().accounted(recorded("qstat-error-reasons"))

    assert {
        "31": 'can\'t open output file "/nonexistent/dir/file": No such file or directory',
        "33": "can't chdir to /nonexistent: No such file or directory",
    } == {localid: each.message for localid, each in found.items() if "." not in localid}
    assert {EndCause.NEVER_STARTED} == {each.cause for each in found.values()}


# --- acting -----------------------------------------------------------------------------------------------------------

IDS: Final = [
    LocalId(each) for each in ("18.2", "35", "41.3", "41.4", "99999", "23", "38", "18.1", "34", "18.99", "37")
]


def test_many_jobs_and_children_go_into_one_command() -> None:
    ids = [LocalId("12"), LocalId("13.4")]
    speaks = dialect()

    assert ["qdel 12 13.4", "qhold 12 13.4", "qrls 12 13.4"] == [
        shlex.join(call.argv) for call in (speaks.cancel(ids), speaks.hold(ids), speaks.release(ids))
    ]


@pytest.mark.parametrize("name", ["qdel", "qdel-more", "qhold", "qrls"])
def test_that_a_job_has_gone_is_no_refusal(name: str) -> None:
    assert {} == dialect().refused(recorded(name), IDS)


def test_somebody_else_s_jobs_are_refused_in_grid_engine_s_words() -> None:
    """An array is called by its number, whichever child was meant."""
    asked = [LocalId("38"), LocalId("18.1"), LocalId("35")]

    deleted, held = (dialect().refused(recorded(name), asked) for name in ("qdel-foreign", "qhold-foreign"))

    assert {
        "38": 'nobody - you do not have the necessary privileges to delete the job "38"',
        "18.1": 'nobody - you do not have the necessary privileges to delete the job "18"',
    } == deleted
    assert 'denied: "nobody" must be at least owner of job 38 to change job attributes' == held[LocalId("38")]


def test_a_job_that_is_being_deleted_is_no_refusal() -> None:
    assert {} == dialect().refused(Completed(("qdel",), 1, "job 34 is already in deletion\n", ""), IDS)


@pytest.mark.parametrize("done", [recorded("qdel-down"), Completed(("qdel",), 1, "", "")])
def test_silence_is_neither_taken_nor_refused(done: Completed) -> None:
    with pytest.raises(BatchUnavailable):
        dialect().refused(done, IDS)


def test_the_configuration_becomes_options() -> None:
    config = Configuration()
    lrms = replace(config.lrms, sge_root=Path("/opt/sge"), sge_qmaster_port=6444, sge_jobopts="-P 'my project' -r yes")
    service = replace(config.service, account="grid")
    queue = replace(config.queues[0], name="q", sge_jobopts="-l fast", defaultmemory=3)

    options = SgeOptions.of(replace(config, lrms=lrms, service=service, queues=(queue,)))

    assert SgeOptions(
        environment={"SGE_ROOT": "/opt/sge", "SGE_QMASTER_PORT": "6444"},
        project="grid",
        extra=("-P", "my project", "-r", "yes"),
        queues={"q": SgeQueueOptions(memory_mb=3, extra=("-l", "fast"))},
    ) == (options)


def test_a_session_root_that_grid_engine_would_misread_is_a_fault() -> None:
    config = Configuration()
    arex = replace(config.arex, sessiondir=(SessionDir(path=Path("/data/a,b")),))

    with pytest.raises(ConfigError, match="commas"):
        SgeBackend.from_config(replace(config, arex=arex))
    assert "sge" == SgeBackend.from_config(config).name
