"""Grid Engine: how jobs are submitted, and what qsub answers."""

from __future__ import annotations

import itertools
import shlex
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.errors import SubmitRejected, UnreadableOutput
from arex.model.ids import LocalId
from arex.process import Completed
from lrms.command.dialect import Refusal, Work, judge
from lrms.sge.dialect import SgeDialect, SgeQueueOptions
from tests.unit.lrms.samples import submission, work
from tests.unit.lrms.sge.speech import dialect, listing, recorded

pytestmark = pytest.mark.usefixtures("utc")


def argv(work: Work, **options: Any) -> tuple[str, ...]:
    return dialect(**options).submit(work).argv


def option(words: tuple[str, ...], name: str) -> str | None:
    """The last one counts, as for qsub."""
    found = [value for word, value in itertools.pairwise(words) if word == name]
    return found[-1] if found else None


def test_a_job_is_one_command_and_its_script_comes_on_standard_input() -> None:
    call = dialect(bin=Path("/opt/bin"), environment={"SGE_ROOT": "/opt"}).submit(work(submission(jobname="hello")))

    assert (
        "/opt/bin/qsub -S /bin/sh -wd / -p -512 -terse -C '' -r n -b n -j y -o :/s/abc.comment -N 'hello~abc-1f'"
        == shlex.join(call.argv)
    )
    assert {"SGE_ROOT": "/opt"} == call.env
    assert "/bin/sh /s/abc.lrms/abc-1f/script\n" in call.stdin.decode()


@pytest.mark.parametrize(("code", "told"), [(0, 0), (3, 3), (99, 1), (100, 1), (137, 137)])
def test_exit_codes_with_a_meaning_for_grid_engine_are_hidden_from_it(tmp_path: Path, code: int, told: int) -> None:
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
def test_resources_become_options(grami: dict[str, Any], wanted: str | None) -> None:
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


def test_default_memory_is_that_of_the_queue_then_that_of_the_site() -> None:
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


def test_jobs_of_one_shape_have_the_same_requests() -> None:
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
    with pytest.raises(SubmitRejected, match="Grid Engine cannot use the path"):
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
def test_an_answer_without_an_id_is_no_answer(out: str) -> None:
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
def test_the_message_of_a_refusal_decides_what_it_means(name: str, verdict: Refusal) -> None:
    done = recorded(name)

    assert done.code != 0
    assert verdict is judge(SgeDialect.rules, done)


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("Unable to run job: the moon", Refusal.UNKNOWN),
        (
            "error: commlib error: got select error (Connection refused)\nUnable to run job: unable to send message",
            Refusal.UNSURE,
        ),
        ('critical error: can\'t resolve host name "qmaster"', Refusal.UNSURE),
        ("error: can't open act_qmaster file", Refusal.UNSURE),
    ],
)
def test_a_message_without_a_rule(sentence: str, verdict: Refusal) -> None:
    assert verdict is judge(SgeDialect.rules, Completed(("qsub",), 1, "", sentence))


@pytest.mark.parametrize(("task", "localid"), [("", "17"), ("undefined", "17"), ("4", "17.4")])
def test_inside_a_job_its_id_is_what_we_call_it(task: str, localid: str) -> None:
    script = f"arex_id={SgeDialect.localid_words}\necho $arex_id"
    environment = {"JOB_ID": "17", "SGE_TASK_ID": task}

    said = subprocess.run(["/bin/sh", "-c", script], env=environment, check=True, capture_output=True, text=True)

    assert f"{localid}\n" == said.stdout
