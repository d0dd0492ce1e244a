"""HTCondor: how jobs are submitted, and what condor_submit answers."""

from __future__ import annotations

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
from lrms.command.dialect import Refusal, judge
from lrms.htcondor.dialect import CondorDialect, CondorQueueOptions
from tests.unit.lrms.htcondor.speech import description, dialect, recorded, value
from tests.unit.lrms.samples import submission, work


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


def test_the_options_of_the_site_are_used() -> None:
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


def test_jobs_of_one_shape_have_the_same_requests() -> None:
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
        SubmitRejected, match=r"(?s)HTCondor cannot work in .*: a path in a submit description cannot contain spaces"
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
def test_an_answer_that_does_not_match_the_submission_is_no_answer(out: str) -> None:
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
def test_the_message_of_a_refusal_decides_what_it_means(name: str, verdict: Refusal) -> None:
    done = recorded(name)

    assert done.code != 0
    assert verdict is judge(CondorDialect.rules, done)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("ERROR: the moon", Refusal.UNKNOWN),
        (
            "ERROR: Failed to connect to local queue manager\nSECMAN:2007:Failed to end classad message.",
            Refusal.UNSURE,
        ),
        ("ERROR: Failed to commit job submission into the queue.", Refusal.UNKNOWN),
        ("Neither the environment variable CONDOR_CONFIG, /etc/condor/, ~condor/ exists", Refusal.UNSURE),
    ],
)
def test_a_message_without_a_rule(said: str, verdict: Refusal) -> None:
    assert verdict is judge(CondorDialect.rules, Completed(("condor_submit",), 1, "", said))
