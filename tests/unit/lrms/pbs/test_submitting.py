"""OpenPBS, PBS Professional and Torque: which one it is, and how jobs are submitted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.config.model import Configuration
from arex.errors import UnreadableOutput
from arex.model.ids import LocalId
from arex.ports import Submission
from lrms.command.account import account_name
from lrms.command.dialect import Refusal, Work, judge
from lrms.pbs.dialect import (
    PbsDialect,
    PbsOptions,
    PbsQueueOptions,
    TorqueDialect,
    dialect_of,
    source_of,
)
from tests.unit.lrms.pbs.speech import FLAVOURS, dialect
from tests.unit.lrms.samples import said, submission

pytestmark = pytest.mark.usefixtures("utc")


def work(*submissions: Submission) -> Work:
    return Work(submissions=submissions, script=Path("/s/script"), output="/s/out", tag="tag-1")


# --- which one --------------------------------------------------------------------------------------------------------


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
        user=account_name(),
        login=True,
        memory_mb=7,
        queues={"long": PbsQueueOptions(memory_mb=9, node_property="grid")},
    )
    assert source_of(PbsOptions.of(config)).question.argv == ("/opt/pbs/bin/qstat", "--version")


# --- submitting -------------------------------------------------------------------------------------------------------

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


def test_openpbs_gets_an_option_for_everything_that_a_job_requests() -> None:
    queues = {"long": PbsQueueOptions(node_property="grid")}

    assert wishes(PbsDialect, {"account": "atlas", "queues": queues}, **EVERYTHING) == [
        *COMMON,
        "-l select=2:ncpus=4:mem=400mb:grid=True",
        "-l place=excl",
        "-l walltime=90",
        "-l cput=80",
    ]


def test_torque_gets_an_option_for_everything_that_a_job_requests() -> None:
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
        ("something that no one knows", Refusal.UNKNOWN),
        ("qsub: Invalid credential", Refusal.UNSURE),
        ("qsub: your walltime out of our range", Refusal.UNKNOWN),
    ],
)
def test_what_qsub_says_is_judged(sentence: str, verdict: Refusal) -> None:
    """Sentences of pbs_messages.c, pbs_error_db.h, qsub.c and qsub_functions.c."""
    assert verdict is judge(PbsDialect.rules, said(err=sentence, code=1))
