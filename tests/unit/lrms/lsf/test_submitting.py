"""LSF in its three ages: which one it is, and how jobs are submitted."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.config.model import Configuration
from arex.errors import UnreadableOutput
from arex.model.ids import LocalId
from arex.ports import Submission
from lrms.command.dialect import Refusal, Work, judge
from lrms.lsf.dialect import Form, LsfDialect, LsfOptions, dialect_of, source_of
from tests.unit.lrms.lsf.speech import dialect
from tests.unit.lrms.samples import said, submission

pytestmark = pytest.mark.usefixtures("utc")


def work(*submissions: Submission) -> Work:
    return Work(submissions=submissions, script=Path("/s/abc.lrms/t/script"), output="/s/out", tag="tag-1")


# --- which one --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form", "units"),
    [
        ("IBM Spectrum LSF 10.1.0.13, Apr 15 2022\nCopyright ... 1992, 2016.", Form.JSON, True),
        ("IBM Spectrum LSF Standard 10.1.0.0, Jul 08 2016", Form.DELIMITED, True),
        ("IBM Platform LSF Standard 9.1.3.0, Jul 04 2014", Form.DELIMITED, False),
        ("Platform LSF 7.0.6.134609, Sep 04 2009", Form.PLAIN, False),
        ("Platform LSF HPC 7 Update 6", Form.PLAIN, False),
    ],
)
def test_the_version_tells_how_bjobs_answers(text: str, form: Form, units: bool) -> None:
    spoken = dialect_of(said(err=text), LsfOptions())

    assert (form, units) == (spoken.form, spoken.units)


def test_something_else_is_no_lsf() -> None:
    with pytest.raises(UnreadableOutput):
        dialect_of(said(err="bsub: command of OpenLava"), LsfOptions())


def test_options_come_from_the_configuration() -> None:
    config = Configuration()
    config = replace(
        config,
        lrms=replace(config.lrms, lsf_bin_path=Path("/opt/lsf/bin"), lsf_architecture="X86_64", defaultmemory=7),
        service=replace(config.service, account="atlas", login_shell=True),
        queues=(replace(config.queues[0], name="long", defaultmemory=9),),
    )

    assert LsfOptions.of(config) == LsfOptions(
        bin=Path("/opt/lsf/bin"),
        architecture="X86_64",
        account="atlas",
        login=True,
        memory_mb=7,
        queues={"long": 9},
    )
    assert source_of(LsfOptions.of(config)).question.argv == ("/opt/lsf/bin/bsub", "-V")


# --- submitting -------------------------------------------------------------------------------------------------------


def wishes(spoken: LsfDialect, **grami: Any) -> list[str]:
    lines = spoken.directives(submission(**grami))
    assert all(line.startswith("#BSUB ") for line in lines)
    return [line.removeprefix("#BSUB ") for line in lines]


def test_lsf_gets_an_option_for_everything_that_a_job_requests() -> None:
    spoken = dialect(account="atlas", architecture="X86_64")

    assert wishes(
        spoken,
        jobname="my job",
        queue="long",
        priority=60,
        starttime=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
        count=8,
        countpernode=4,
        memory_mb=100,
        walltime_s=90,
        cputime_s=60,
        exclusivenode=True,
    ) == [
        "-J my_job",
        "-rn",
        "-q long",
        "-P atlas",
        "-sp 60",
        "-b 2026:11:20:09:30",
        "-W 2",
        "-c 1",
        "-x",
        "-n 8",
        "-M 400MB",
        '-R "select[type==X86_64] rusage[mem=400MB] span[ptile=4]"',
    ]


def test_before_10_1_limits_have_no_units() -> None:
    """-M counts kilobytes then, a reservation megabytes."""
    assert wishes(dialect(Form.PLAIN, units=False), memory_mb=10)[-2:] == ["-M 10240", '-R "rusage[mem=10]"']


def test_slots_on_one_node_stay_there() -> None:
    assert wishes(dialect(), count=4, countpernode=4)[-1] == '-R "span[hosts=1]"'
    assert wishes(dialect(), count=4, countpernode=-1)[-1] == "-n 4"


def test_a_job_that_asks_for_no_memory_gets_that_of_its_queue() -> None:
    spoken = dialect(memory_mb=5, queues={"long": 7})

    assert "-M 7MB" in wishes(spoken, queue="long")
    assert "-M 5MB" in wishes(spoken, queue="short")


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_of_a_job_leaves_its_directive(text: str) -> None:
    hostile = f'{text}\n#BSUB -W 1 "$(id)" `id` '
    expected = len(wishes(dialect(), jobname="x", queue="x"))

    lines = wishes(dialect(), jobname=hostile, queue=hostile)
    call = dialect().submit(work(submission(jobname=hostile)))

    assert expected == len(lines)
    assert all(len(line.split()) <= 2 and line.isascii() and line.isprintable() for line in lines)
    assert call.stdin.decode().splitlines()[1:-3] == list(dialect().directives(submission(jobname=hostile)))


def test_a_job_is_handed_over_with_its_tag() -> None:
    call = dialect(bin=Path("/b")).submit(work(submission(jobname="x")))

    assert call.argv == ("/b/bsub", "-J", "x", "-Jd", "tag-1", "-o", "/s/out")
    assert call.cwd == Path("/s/abc")
    assert call.stdin.startswith(b"#!/bin/sh\n#BSUB -J x\n#BSUB -rn\n")


def test_an_array_is_named_by_what_its_jobs_have_in_common() -> None:
    two = work(submission(jobname="scan-1"), submission("b", jobname="scan-2"))

    assert dialect().submit(two).argv[1:5] == ("-J", "scan[1-2]", "-Jd", "tag-1")


def test_an_old_lsf_shows_the_tag_as_the_name() -> None:
    assert dialect(Form.PLAIN).submit(work(submission())).argv[1:] == ("-J", "tag-1", "-o", "/s/out")


def test_what_bsub_reads_runs_the_script_wherever_the_node_sees_it(tmp_path: Path) -> None:
    root = tmp_path / "it's $HOME"
    script = root / "j.lrms" / "t" / "script"
    script.parent.mkdir(parents=True)
    script.write_text('echo "ran $0"\n')
    job = submission()
    job = replace(job, grami=replace(job.grami, directory=root / "j"))

    stdin = dialect().submit(Work(submissions=(job,), script=script, output="o", tag="t")).stdin

    for env in ({}, {"RUNTIME_GRIDAREA_DIR": str(root)}):
        done = subprocess.run(["/bin/sh"], input=stdin, env=env, capture_output=True, check=True)
        assert f"ran {script}\n".encode() == done.stdout


def test_bsub_keeps_what_finds_the_cluster_and_nothing_that_is_of_a_job() -> None:
    """It hands all that it has to the job."""
    kept = re.compile(LsfDialect.kept_env)

    assert all(kept.fullmatch(name) for name in ("LSF_ENVDIR", "LSF_SERVERDIR", "EGO_TOP"))
    assert not any(kept.fullmatch(name) for name in ("X509_USER_PROXY", "LSB_JOBID", "LSB_SUB_QUEUE"))


def test_a_login_shell_runs_the_script_if_that_is_wanted() -> None:
    two = work(submission(), submission("b"))

    assert b"\nexec /bin/bash -l " in dialect(login=True).submit(work(submission())).stdin
    assert b"\nexec /bin/sh " in dialect(login=True).submit(two).stdin  # the launcher sees to it


@pytest.mark.parametrize(
    "out",
    [
        "Job <123> is submitted to queue <normal>.\n",
        "Job <123> is submitted to default queue <normal>.\n",
        "Cannot connect to LSF. Please wait ...\nJob <123> is submitted to queue <normal>.\n",
    ],
)
def test_the_id_is_what_bsub_prints(out: str) -> None:
    assert dialect().submitted(said(out), work(submission())) == "123"


@pytest.mark.parametrize("out", ["", "Job <> is submitted", "Auftrag <123> angenommen.", "Job <12"])
def test_without_an_id_it_is_not_submitted(out: str) -> None:
    with pytest.raises(UnreadableOutput):
        dialect().submitted(said(out), work(submission()))


def test_children_are_named_by_their_array_and_index() -> None:
    spoken = dialect()

    assert spoken.child(LocalId("12"), 3) == "12[3]"
    assert spoken.index(LocalId("12[3]")) == 3
    assert spoken.index(LocalId("12")) is None


@pytest.mark.parametrize(("index", "localid"), [("0", "12"), ("3", "12[3]"), ("10", "12[10]")])
def test_a_job_knows_its_own_id(index: str, localid: str) -> None:
    script = f"x={LsfDialect.localid_words}; echo $x"

    env = {"LSB_JOBID": "12", "LSB_JOBINDEX": index}
    done = subprocess.run(["/bin/sh", "-c", script], env=env, capture_output=True, check=True)

    assert f"{localid}\n".encode() == done.stdout


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("foo: No such queue. Job not submitted.", Refusal.PERMANENT),
        ("User cannot use the queue. Job not submitted.", Refusal.PERMANENT),
        ("Bad argument for option -n. Job not submitted.", Refusal.PERMANENT),
        ("Bad resource requirement syntax. Job not submitted.", Refusal.PERMANENT),
        ("RUNLIMIT: Cannot exceed queue's hard limit(s). Job not submitted.", Refusal.PERMANENT),
        ("Error in rusage section: The merged value is outside the range set by RESRSV_LIMIT. Job not submitted.",
         Refusal.PERMANENT),
        ("Request aborted by esub. Job not submitted.", Refusal.PERMANENT),
        ("User permission denied. Job not submitted.", Refusal.PERMANENT),
        ("User <grid>: Pending job threshold reached. Retrying in 60 seconds...", Refusal.LIMIT),
        ("Group <resUsers>: Pending job threshold reached. Job not submitted.", Refusal.LIMIT),
        ("Queue has been closed. Job not submitted.", Refusal.LIMIT),
        ("Job array index too large. Job not submitted.", Refusal.ARRAY),
        ("LSF is down. Please wait ...", Refusal.UNSURE),
        ("Cannot connect to LSF. Please wait ...", Refusal.UNSURE),
        ("Failed in an LSF library call: Communication time out. Job not submitted.", Refusal.UNSURE),
        ("Batch system concurrent query limit exceeded ... retrying in 1 second(s).", Refusal.UNSURE),
        ("something that no one knows", Refusal.UNKNOWN),
    ],
)  # fmt: skip
def test_what_bsub_says_is_judged(sentence: str, verdict: Refusal) -> None:
    assert verdict is judge(LsfDialect.rules, said(err=sentence, code=255))
