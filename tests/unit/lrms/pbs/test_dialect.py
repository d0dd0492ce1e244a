"""OpenPBS, PBS Professional and Torque: answers kept under tests/data, beside each where it comes from."""

from __future__ import annotations

import re
import shlex
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
from arex.errors import BatchUnavailable, UnreadableOutput
from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import EndCause, Phase, Usage
from arex.ports import Submission
from arex.process import Completed
from lrms.command.dialect import Refusal, Seen, Work, judge
from lrms.pbs.dialect import (
    STATES,
    PbsDialect,
    PbsOptions,
    PbsQueueOptions,
    TorqueDialect,
    dialect_of,
    source_of,
)
from tests import environments

DATA: Final = environments.DATA
FLAVOURS: Final = (PbsDialect, TorqueDialect)
READERS: Final[dict[str, type[PbsDialect]]] = {
    "pbs-19.0.0/qstat-running": PbsDialect,
    "pbs-19.0.0/qstat-held": PbsDialect,
    "pbs-23.06.06/qstat-ends": PbsDialect,
    "pbs-23.06.06/qstat-environment": PbsDialect,
    "pbs-torque/qstat-completed": TorqueDialect,
    "pbs-torque/qstat-running": TorqueDialect,
}


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Servers print local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def recorded(name: str) -> Completed:
    facts, _, err = (DATA / f"{name}.about").read_text().partition("stderr:\n")
    lines = dict(line.split(": ", 1) for line in facts.splitlines())
    out = DATA / f"{name}.out"
    return Completed(
        tuple(shlex.split(lines["argv"])), int(lines["exit"]), out.read_text() if out.exists() else "", err
    )


def said(out: str = "", err: str = "", code: int = 0, argv: str = "qstat") -> Completed:
    return Completed(tuple(argv.split()), code, out, err)


def dialect(kind: type[PbsDialect] = PbsDialect, **options: Any) -> PbsDialect:
    return kind(PbsOptions(**options))


def submission(job: str = "abc", **grami: Any) -> Submission:
    base = Grami(gridid=JobId(job), directory=Path(f"/s/{job}"), controldir=Path("/c"), args=("./x",))
    tag = Tag(f"{job}-1f")
    return Submission(job=JobId(job), tag=tag, grami=replace(base, **grami), rundir=Path(f"/s/{job}.lrms/{tag}"))


def work(*submissions: Submission) -> Work:
    return Work(submissions=submissions, script=Path("/s/script"), output="/s/out", tag="tag-1")


def one(kind: type[PbsDialect], **attributes: object) -> Seen:
    """How a job with these attributes reads; of those, ``used_`` and ``limit_`` are resources."""
    used = {name[5:]: value for name, value in attributes.items() if name.startswith("used_")}
    limits = {name[6:]: value for name, value in attributes.items() if name.startswith("limit_")}
    plain = {name: value for name, value in attributes.items() if not name.startswith(("used_", "limit_"))}
    if kind is TorqueDialect:
        parts = "".join(f"<{name}>{value}</{name}>" for name, value in plain.items())
        for group, values in (("resources_used", used), ("Resource_List", limits)):
            parts += f"<{group}>{''.join(f'<{name}>{value}</{name}>' for name, value in values.items())}</{group}>"
        out = f"<Data><Job><Job_Id>1.pbs</Job_Id>{parts}</Job></Data>\n"
    else:
        facts = {**plain, "resources_used": used, "Resource_List": limits}
        quoted = str(facts).replace('"', "").replace("'", '"')
        out = f'{{"pbs_server":"pbs","Jobs":{{"1.pbs":{quoted}}}}}'
    return dialect(kind).listed(said(out))[LocalId("1.pbs")]


# --- which one -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("out", "err", "kind"),
    [
        ("pbs_version = 23.06.06\n", "", PbsDialect),
        ("pbs_version = 19.2.8.20200925072630\n", "", PbsDialect),
        ("pbs_version = PBSPro_12.2.1.140292\n", "", PbsDialect),
        ("", "Version: 6.1.3\nCommit: 34ff8454\n", TorqueDialect),
        ("Version: 4.2.10\n", "", TorqueDialect),
    ],
)
def test_the_version_tells_which_pbs_it_is(out: str, err: str, kind: type) -> None:
    assert kind is type(dialect_of(said(out, err), PbsOptions()))


@pytest.mark.parametrize("text", ["", "GE 8.1.9\nusage: qstat [options]", "qstat: illegal option"])
def test_another_qstat_is_no_pbs(text: str) -> None:
    """Grid Engine's commands have the same names."""
    with pytest.raises(UnreadableOutput):
        dialect_of(said(text), PbsOptions())


def test_options_come_from_the_configuration() -> None:
    config = Configuration()
    config = replace(
        config,
        lrms=replace(config.lrms, pbs_bin_path=Path("/opt/pbs/bin"), defaultmemory=7),
        service=replace(config.service, account="atlas", login_shell=True),
        queues=(replace(config.queues[0], name="long", defaultmemory=9, pbs_queue_node="grid"),),
    )

    assert PbsOptions.of(config) == PbsOptions(
        bin=Path("/opt/pbs/bin"),
        account="atlas",
        login=True,
        memory_mb=7,
        queues={"long": PbsQueueOptions(memory_mb=9, node_property="grid")},
    )
    assert source_of(PbsOptions.of(config)).question.argv == ("/opt/pbs/bin/qstat", "--version")


# --- submitting ------------------------------------------------------------------------------------------------------

EVERYTHING: Final = {
    "jobname": "my job",
    "queue": "long",
    "priority": 60,
    "starttime": datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    "count": 6,
    "countpernode": 4,
    "memory_mb": 100,
    "walltime_s": 90,
    "cputime_s": 80,
    "exclusivenode": True,
}
COMMON: Final = (
    "-S /bin/sh",
    "-N my_job",
    "-j oe",
    "-m n",
    "-r n",
    "-q long",
    "-A atlas",
    "-p 200",
    "-a 202611200930.00",
)


def wishes(kind: type[PbsDialect], options: dict[str, Any] | None = None, **grami: Any) -> list[str]:
    lines = dialect(kind, **(options or {})).directives(submission(**grami))
    assert all(line.startswith("#PBS ") for line in lines)
    return [line.removeprefix("#PBS ") for line in lines]


def test_openpbs_is_asked_for_everything_that_a_job_wants() -> None:
    queues = {"long": PbsQueueOptions(node_property="grid")}

    assert wishes(PbsDialect, {"account": "atlas", "queues": queues}, **EVERYTHING) == [
        *COMMON,
        "-l select=2:ncpus=4:mem=400mb:grid=True",
        "-l place=excl",
        "-l walltime=90",
        "-l cput=80",
    ]


def test_torque_is_asked_for_everything_that_a_job_wants() -> None:
    queues = {"long": PbsQueueOptions(node_property="grid")}

    assert wishes(TorqueDialect, {"account": "atlas", "queues": queues}, **EVERYTHING) == [
        *COMMON,
        "-l nodes=2:ppn=4:grid",
        "-l mem=800mb",
        "-n",
        "-l walltime=90",
        "-l cput=80",
    ]


@pytest.mark.parametrize(
    ("grami", "chunks"),
    [
        ({}, "1:ncpus=1"),
        ({"count": 3, "countpernode": -1}, "3:ncpus=1"),
        ({"count": 8, "countpernode": 8}, "1:ncpus=8"),
        ({"count": 8, "numnodes": 2}, "2:ncpus=4"),
    ],
)
def test_slots_are_spread_as_the_job_says(grami: dict[str, Any], chunks: str) -> None:
    assert f"-l select={chunks}" in wishes(PbsDialect, **grami)
    assert f"-l nodes={chunks.replace('ncpus', 'ppn')}" in wishes(TorqueDialect, **grami)


def test_a_login_shell_reads_the_script_if_that_is_wanted() -> None:
    assert wishes(PbsDialect, {"login": True})[0] == "-S /bin/bash"


def test_a_job_that_asks_for_no_memory_gets_that_of_its_queue() -> None:
    options = {"memory_mb": 5, "queues": {"long": PbsQueueOptions(memory_mb=7)}}

    assert "-l select=1:ncpus=1:mem=7mb" in wishes(PbsDialect, options, queue="long")
    assert "-l select=1:ncpus=1:mem=5mb" in wishes(PbsDialect, options, queue="short")


@pytest.mark.parametrize("kind", FLAVOURS)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_of_a_job_leaves_its_directive(kind: type[PbsDialect], text: str) -> None:
    hostile = f'{text}\n#PBS -l walltime=1 "$(id)" `id` '
    expected = len(wishes(kind, jobname="x", queue="x"))

    lines = wishes(kind, jobname=hostile, queue=hostile)

    assert expected == len(lines)
    assert all(len(line.split()) == 2 and line.isascii() and line.isprintable() for line in lines)


def test_a_job_is_handed_over_with_its_tag() -> None:
    call = dialect(bin=Path("/b")).submit(work(submission()))

    assert call.argv == ("/b/qsub", "-v", "AREX_TAG=tag-1", "-o", "/s/out", "/s/script")
    assert call.cwd == Path("/s/abc")


def test_an_array_must_be_allowed_to_run_again_under_openpbs() -> None:
    two = work(submission(), submission("b"))

    assert dialect().submit(two).argv[-5:] == ("-r", "y", "-J", "1-2", "/s/script")
    assert dialect(TorqueDialect).submit(two).argv[-3:] == ("-t", "1-2", "/s/script")


@pytest.mark.parametrize("out", ["12.pbs\n", "12[].pbs.example.org\n", "warning: quota\n12.pbs\n"])
def test_the_id_is_what_qsub_prints(out: str) -> None:
    assert out.rsplit(maxsplit=1)[-1] == dialect().submitted(said(out), work(submission()))


@pytest.mark.parametrize("out", ["", "12", "pbs\n", "Auftrag 12 angenommen", "\x00\x01"])
def test_without_an_id_it_is_not_submitted(out: str) -> None:
    with pytest.raises(UnreadableOutput):
        dialect().submitted(said(out), work(submission()))


def test_children_are_named_by_their_array_and_index() -> None:
    spoken = dialect()

    assert spoken.child(LocalId("12[].pbs"), 3) == "12[3].pbs"
    assert spoken.index(LocalId("12[3].pbs")) == 3
    assert spoken.index(LocalId("12-3.pbs")) == 3
    assert spoken.index(LocalId("12.pbs")) is None


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("qsub: Unknown queue", Refusal.PERMANENT),
        ("qsub: submit error (Unknown queue MSG=cannot locate queue)", Refusal.PERMANENT),
        ("qsub: Unauthorized Request ", Refusal.PERMANENT),
        ("qsub: Job violates queue and/or server resource limits", Refusal.PERMANENT),
        (
            "qsub: submit error (Job exceeds queue resource limits MSG=cannot satisfy queue max walltime)",
            Refusal.PERMANENT,
        ),
        ("qsub: illegal -N value", Refusal.PERMANENT),
        ("qsub: Invalid Account", Refusal.PERMANENT),
        ("qsub: Unknown resource Resource_List.foo", Refusal.PERMANENT),
        ("qsub: Your job has been administratively rejected by the queueing system.", Refusal.PERMANENT),
        ("qsub: would exceed complex's per-user limit", Refusal.LIMIT),
        ("qsub: Maximum number of jobs for user grid already in queue workq", Refusal.LIMIT),
        (
            "qsub: submit error (Maximum number of jobs already in queue for user MSG=total number of ...)",
            Refusal.LIMIT,
        ),
        ("qsub: Queue is not enabled", Refusal.LIMIT),
        ("qsub: Array job exceeds server or queue size limit", Refusal.ARRAY),
        ("qsub: submit error (Bad Job Array Request MSG=...)", Refusal.ARRAY),
        ("Connection refused\nqsub: cannot connect to server pbs (errno=111)", Refusal.UNSURE),
        ("qsub: submit error (Time out)", Refusal.UNSURE),
        ("qsub: Batch protocol error", Refusal.UNSURE),
        ("qsub: Request not allowed: Server shutting down", Refusal.UNSURE),
        ("something that nobody knows", Refusal.UNSURE),
    ],
)
def test_what_qsub_says_is_judged(sentence: str, verdict: Refusal) -> None:
    """Sentences of pbs_messages.c, pbs_error_db.h, qsub.c and qsub_functions.c."""
    assert verdict is judge(PbsDialect.rules, said(err=sentence, code=1))


# --- asking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_kept_answer_reads(name: str) -> None:
    found = dialect(READERS[name]).listed(recorded(name))

    assert found
    assert all(seen.word and seen.phase is not Phase.OTHER for seen in found.values())


@pytest.mark.parametrize("name", sorted(READERS))
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_half_an_answer_is_none(name: str, part: float) -> None:
    done = recorded(name)
    whole = done.out.rstrip()

    with pytest.raises(UnreadableOutput):
        dialect(READERS[name]).listed(replace(done, out=whole[: int(len(whole) * part)]))


def test_a_running_job_is_seen_with_its_nodes() -> None:
    found = dialect().listed(recorded("pbs-19.0.0/qstat-running"))

    assert found == {
        "12860476.pbs.example.org": Seen(
            phase=Phase.RUNNING,
            word="R",
            nodes=("node24", "node21"),
            started=datetime(2022, 10, 4, 21, 23, 33, tzinfo=UTC),
        )
    }


def test_a_held_job_is_seen_as_held() -> None:
    assert dialect().listed(recorded("pbs-19.0.0/qstat-held"))[LocalId("157.pbs")].phase is Phase.HELD


def test_ends_are_told_apart() -> None:
    found = dialect().listed(recorded("pbs-23.06.06/qstat-ends"))

    assert {number: found[LocalId(f"{number}.pbs")].cause for number in (1, 2, 3, 4, 5, 6, 10)} == {
        1: EndCause.EXIT_CODE,
        2: EndCause.EXIT_CODE,
        3: EndCause.WALLTIME,
        4: EndCause.CANCELLED,
        5: EndCause.CANCELLED_BY_ADMIN,
        6: EndCause.CANCELLED,
        10: EndCause.WALLTIME,  # the server does not say it, the times do
    }
    assert found[LocalId("1.pbs")] == Seen(
        phase=Phase.ENDED,
        word="F (exit status 0)",
        tag="ok-1",
        cause=EndCause.EXIT_CODE,
        exit_code=0,
        nodes=("node1",),
        started=datetime(2026, 11, 20, 15, 5, 24, tzinfo=UTC),
        ended=datetime(2026, 11, 20, 15, 6, 25, tzinfo=UTC),
        usage=Usage(wall_s=10, user_s=3, max_rss_kb=9692),
    )
    assert found[LocalId("4.pbs")].signal == 15


def test_children_of_an_array_are_listed_one_by_one_and_the_array_is_not() -> None:
    found = dialect().listed(recorded("pbs-23.06.06/qstat-ends"))

    children = {localid: seen.phase for localid, seen in found.items() if localid.startswith("9[")}
    assert children == {"9[1].pbs": Phase.ENDED, "9[2].pbs": Phase.RUNNING, "9[3].pbs": Phase.QUEUED}
    assert {"arr-9"} == {found[LocalId(localid)].tag for localid in children}


def test_a_job_that_can_never_run_says_why() -> None:
    found = dialect().listed(recorded("pbs-23.06.06/qstat-ends"))

    assert found[LocalId("8.pbs")].message.startswith("waits: Can Never Run: Insufficient amount of resource")
    assert found[LocalId("7.pbs")].message == ""


def test_somebody_s_environment_does_not_spoil_the_answer() -> None:
    assert dialect().listed(recorded("pbs-23.06.06/qstat-environment"))[LocalId("7.pbs")].tag == "waits-7"


def test_a_server_that_is_down_has_no_jobs_only_in_appearance() -> None:
    """qstat prints whole JSON without any job then."""
    down = recorded("pbs-22.05.11/qstat-down")

    for done in (down, replace(down, code=0)):
        with pytest.raises(BatchUnavailable):
            dialect().listed(done)


def test_no_jobs_is_an_answer() -> None:
    assert dialect(TorqueDialect).listed(recorded("pbs-torque/qstat-none")) == {}
    assert dialect().listed(said('{"timestamp":1,"pbs_version":"23.06.06","pbs_server":"pbs"}')) == {}


def test_torque_s_xml_reads_with_what_its_nodes_said() -> None:
    assert dialect(TorqueDialect).listed(recorded("pbs-torque/qstat-completed")) == {
        "4564045.pbsserver": Seen(
            phase=Phase.ENDED,
            word="C (exit status 0)",
            cause=EndCause.EXIT_CODE,
            exit_code=0,
            nodes=("node5",),
            started=datetime(2018, 4, 5, 14, 39, 43, tzinfo=UTC),
            ended=datetime(2018, 4, 5, 14, 39, 54, tzinfo=UTC),
            usage=Usage(wall_s=6, user_s=0, max_rss_kb=6064),
        )
    }


TEXT: Final = (
    "Job Id: 4.pbs\n    Job_Name = STDIN\n    job_state = R\n    exec_host = node2/0\n"
    "    resources_used.walltime = 00:00:10\n"
    "    Variable_List = PBS_O_HOME=/home/grid,PBS_O_LANG=C,\n\tAREX_TAG=tag-4,PBS_O_HOST=front\n\n"
)


def test_json_that_nobody_can_read_is_given_up_for_text() -> None:
    spoken = dialect()
    broken = said('{"pbs_server":"pbs","Jobs":{"1.pbs":{"Variable_List":{"F":"() {  echo "x"\n}"}}}}')

    with pytest.raises(UnreadableOutput):
        spoken.listed(broken)

    assert spoken.listing(()).argv == ("qstat", "-x", "-f", "-t")
    assert spoken.listed(said(TEXT)) == {
        "4.pbs": Seen(phase=Phase.RUNNING, word="R", tag="tag-4", nodes=("node2",), usage=Usage(wall_s=10))
    }
    for part in (TEXT[:-1], TEXT[:60], "qstat: what?"):
        with pytest.raises(UnreadableOutput):
            spoken.listed(said(part))


@pytest.mark.parametrize(
    ("sentence", "argv"),
    [
        ("qstat: PBS is not configured to maintain job history", "qstat -f -t -F json"),
        ("qstat: invalid option -- 'F'\nusage: \nqstat [-f] [-J] [-p]", "qstat -x -f -t"),
    ],
)
def test_what_an_installation_can_not_do_is_not_asked_twice(sentence: str, argv: str) -> None:
    spoken = dialect()

    with pytest.raises(UnreadableOutput):
        spoken.listed(said(err=sentence, code=2))

    assert argv == " ".join(spoken.listing(()).argv)


@pytest.mark.parametrize("kind", FLAVOURS)
@pytest.mark.parametrize(
    "done",
    [
        said("\x00\x7fELF"),
        said("null"),
        said("[]"),
        said('{"Jobs":{}}'),
        said("<Data><Job><Job_Id>x</Job_Id></Job></Data>"),
        said("Keine Verbindung"),
        said(err="Connection refused\nqstat: cannot connect to server pbs (errno=111)", code=111),
        said(err="qstat: End of File", code=1),
    ],
)
def test_what_does_not_read_is_no_answer(kind: type[PbsDialect], done: Completed) -> None:
    with pytest.raises(BatchUnavailable):
        dialect(kind).listed(done)


@pytest.mark.parametrize("kind", FLAVOURS)
@pytest.mark.parametrize("letter", sorted(STATES))
def test_every_letter_has_its_phase(kind: type[PbsDialect], letter: str) -> None:
    assert STATES[letter] is one(kind, job_state=letter).phase


@pytest.mark.parametrize("kind", FLAVOURS)
def test_a_letter_that_nobody_knows_is_still_there(kind: type[PbsDialect]) -> None:
    assert one(kind, job_state="Z").phase is Phase.OTHER


@pytest.mark.parametrize(
    ("status", "openpbs", "torque"),
    [
        (-1, EndCause.NEVER_STARTED, EndCause.NEVER_STARTED),
        (-2, EndCause.NEVER_STARTED, EndCause.NEVER_STARTED),
        (-3, EndCause.NEVER_STARTED, EndCause.NEVER_STARTED),
        (-4, EndCause.NODE_FAILURE, EndCause.NODE_FAILURE),
        (-9, EndCause.NEVER_STARTED, EndCause.NEVER_STARTED),
        (-10, EndCause.NEVER_STARTED, EndCause.MEMORY),
        (-11, None, EndCause.WALLTIME),
        (-12, EndCause.PREEMPTED, EndCause.CPUTIME),
        (-20, EndCause.NODE_FAILURE, EndCause.NEVER_STARTED),
        (-24, EndCause.CANCELLED_BY_LIMIT, EndCause.NEVER_STARTED),
        (-27, EndCause.MEMORY, EndCause.NEVER_STARTED),
        (-28, EndCause.CPUTIME, EndCause.NEVER_STARTED),
        (-29, EndCause.WALLTIME, EndCause.NEVER_STARTED),
        (0, EndCause.EXIT_CODE, EndCause.EXIT_CODE),
        (255, EndCause.EXIT_CODE, EndCause.EXIT_CODE),
        (265, EndCause.SIGNAL, EndCause.SIGNAL),
        (271, EndCause.SIGNAL, EndCause.CANCELLED),
    ],
)
def test_an_exit_status_has_its_cause(status: int, openpbs: EndCause | None, torque: EndCause) -> None:
    """Source: job.h of OpenPBS, pbs_job.h of Torque: the same number can mean something else."""
    assert openpbs is one(PbsDialect, job_state="F", Exit_status=status).cause
    assert torque is one(TorqueDialect, job_state="C", exit_status=status).cause


@pytest.mark.parametrize("kind", FLAVOURS)
@pytest.mark.parametrize(
    ("used", "limit", "cause"),
    [
        ({"used_walltime": "00:01:02"}, {"limit_walltime": "00:01:00"}, EndCause.WALLTIME),
        ({"used_cput": "01:00:02"}, {"limit_cput": "01:00:00"}, EndCause.CPUTIME),
        ({"used_mem": "2048kb"}, {"limit_mem": "1mb"}, EndCause.MEMORY),
        ({"used_mem": "1024kb"}, {"limit_mem": "1gb"}, None),
    ],
)
def test_a_killed_job_that_was_beyond_a_limit_was_killed_for_it(
    kind: type[PbsDialect], used: dict[str, str], limit: dict[str, str], cause: EndCause | None
) -> None:
    plain = one(kind, job_state="F", Exit_status=265).cause

    assert (cause or plain) is one(kind, job_state="F", Exit_status=265, **used, **limit).cause


# --- acting ----------------------------------------------------------------------------------------------------------


def test_jobs_are_cancelled_held_and_released_together() -> None:
    ids = [LocalId("1.pbs"), LocalId("2[3].pbs")]
    spoken = dialect()

    assert [call.argv for call in (spoken.cancel(ids), spoken.hold(ids), spoken.release(ids))] == [
        ("qdel", *ids),
        ("qhold", *ids),
        ("qrls", *ids),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "qdel: Unknown Job Id 1.pbs",
        "qdel: Unknown Job Id Error 1.pbs",
        "qdel: Job has finished 1.pbs",
        "qdel: Request invalid for state of job MSG=invalid state for job - COMPLETE 1.pbs",
        "qdel: Request invalid for state of job 1.pbs",
        "qdel: Request invalid for finished array subjob 1[3].pbs",
    ],
)
def test_that_a_job_has_gone_is_no_refusal(line: str) -> None:
    assert dialect().refused(said(err=f"{line}\n", code=1, argv="qdel 1.pbs"), [LocalId("1.pbs")]) == {}


def test_a_refusal_is_about_the_job_that_it_names() -> None:
    err = "qhold: Request invalid for state of job 2.pbs\nqhold: Unauthorized Request  3.pbs\n"
    ids = [LocalId(f"{n}.pbs") for n in (1, 2, 3)]

    assert dialect().refused(said(err=err, code=1, argv="qhold 1.pbs 2.pbs 3.pbs"), ids) == {
        "2.pbs": "qhold: Request invalid for state of job 2.pbs",
        "3.pbs": "qhold: Unauthorized Request  3.pbs",
    }


def test_silence_is_no_refusal() -> None:
    with pytest.raises(BatchUnavailable):
        dialect().refused(
            said(err="qdel: cannot connect to server pbs (errno=111)", code=1, argv="qdel"), [LocalId("1.p")]
        )


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("=>> PBS: job killed: walltime 152 exceeded limit 120", EndCause.WALLTIME),
        ("=>> PBS: job killed: cput 62 exceeded limit 60", EndCause.CPUTIME),
        ("=>> PBS: job killed: pcput exceeded limit 60", EndCause.CPUTIME),
        ("=>> PBS: job killed: mem 61440kb exceeded limit 30720kb", EndCause.MEMORY),
        ("=>> PBS: job killed: vmem 61440kb exceeded limit 30720kb", EndCause.MEMORY),
        ("=>> PBS: job killed: pvmem exceeded limit 30720", EndCause.MEMORY),
        ("=>> PBS: job killed: ncpus 2.1 exceeded limit 1 (sum)", EndCause.CANCELLED_BY_LIMIT),
        ("the job says =>> and PBS", None),
    ],
)
def test_what_pbs_writes_into_the_output_tells_the_cause(line: str, cause: EndCause | None) -> None:
    """Sentences of mom_main.c and mom_mach.c."""
    assert cause is next((cause for pattern, cause in PbsDialect.said if re.search(pattern, line)), None)
