"""SLURM from 20.11 on: how jobs are submitted, and what sbatch answers."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.config.model import Configuration
from arex.errors import SubmitRejected, UnreadableOutput
from arex.model.ids import LocalId
from lrms.command.dialect import Refusal, judge
from lrms.slurm.dialect import SlurmBackend, SlurmDialect, SlurmOptions, SlurmQueueOptions, requirements
from tests.unit.lrms.samples import said, submission, work
from tests.unit.lrms.slurm.speech import DATA, dialect, recorded, sbatch_words

pytestmark = pytest.mark.usefixtures("utc")


def wishes(options: dict[str, Any] | None = None, **grami: Any) -> list[str]:
    lines = dialect(**(options or {})).directives(submission(**grami))
    assert all(line.startswith("#SBATCH ") for line in lines)
    return [line.removeprefix("#SBATCH ") for line in lines]


def test_a_submission_has_an_option_for_everything_that_the_job_requests() -> None:
    options = {
        "account": "atlas",
        "qos": "grid",
        "extra": ("-C fast",),
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
        "-C fast",
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


def test_a_job_without_requests_has_few_options() -> None:
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
        ({"walltime_s": 5}, "--time=1:0"),
        ({"walltime_s": 3600, "cputime_s": 60}, "--time=60:0"),
        ({"cputime_s": 7200, "count": 4}, "--time=30:0"),
        ({"cputime_s": 10000, "count": 7}, "--time=23:49"),
        ({"walltime_s": 0}, "--time=1:0"),
        ({"cputime_s": 60, "count": 64}, "--time=1:0"),
    ],
)
def test_the_time_limit_is_the_walltime_or_what_the_processor_time_comes_to(
    grami: dict[str, Any], expected: str
) -> None:
    assert expected in wishes(**grami)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ()),
        ("#SBATCH", ()),
        ("-C haswell --qos=grid", ("-C haswell --qos=grid",)),
        ("-C haswell\\n#SBATCH --qos=grid", ("-C haswell", "--qos=grid")),
        ("#SBATCH -C haswell\n#SBATCH --qos=grid\n", ("-C haswell", "--qos=grid")),
        ("--constraint='a&b'", ("--constraint='a&b'",)),
        ('-x "a b"', ('-x "a b"',)),
        ("--comment='not closed", ("--comment='not closed",)),
    ],
)
def test_requirements_may_be_written_as_lines_of_a_script(text: str, lines: tuple[str, ...]) -> None:
    assert lines == requirements(text)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('-x "a b"', ["-x", "a b"]),
        ('--comment="two words" -C fast', ["--comment=two words", "-C", "fast"]),
        (r"--comment='it\'s' --qos=grid # of this site", ["--comment=it's", "--qos=grid"]),
    ],
)
def test_a_quoted_requirement_is_one_argument_of_sbatch(text: str, arguments: list[str]) -> None:
    found = wishes(
        {"extra": requirements(text), "queues": {"q": SlurmQueueOptions(extra=requirements(text))}}, queue="q"
    )

    assert [word for line in found[-2:] for word in sbatch_words(line)] == arguments * 2


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
        extra=("-C x",),
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
    [
        ("12\n", "12@north"),
        ("12;north\n", "12@north"),
        ("sbatch: some remark of a plugin\n12;north-2.x\n", "12@north-2.x"),
    ],
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
    "sbatch-empty": Refusal.UNKNOWN,
    "sbatch-group": Refusal.PERMANENT,
    "sbatch-limit": Refusal.LIMIT,
    "sbatch-limit-array": Refusal.LIMIT,
    "sbatch-nice-by-user": Refusal.PERMANENT,
    "sbatch-no-feature": Refusal.PERMANENT,
    "sbatch-no-gres": Refusal.PERMANENT,
    "sbatch-no-node": Refusal.PERMANENT,
    "sbatch-no-partition": Refusal.PERMANENT,
    "sbatch-no-reservation": Refusal.PERMANENT,
    "sbatch-no-script": Refusal.UNKNOWN,
    "sbatch-no-shebang": Refusal.UNKNOWN,
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
        ("Batch job submission failed: Unspecified error", Refusal.UNKNOWN),
        ("Say how long your job runs, please.\nBatch job submission failed: Unspecified error", Refusal.UNKNOWN),
        ("Batch script contains DOS line breaks (\\r\\n)", Refusal.UNKNOWN),
        ("", Refusal.UNKNOWN),
        ("resolve_ctls_from_dns_srv: res_nsearch error: Unknown host", Refusal.UNSURE),
        ("fetch_config: DNS SRV lookup failed", Refusal.UNSURE),
        ("_establish_config_source: failed to fetch config", Refusal.UNSURE),
        ("Munge encode failed: Failed to access /run/munge/munge.socket.2: Permission denied", Refusal.UNSURE),
        ("Unable to open slurm.conf: Permission denied", Refusal.UNSURE),
        ("Please resolve your quota first, by two-factor authentication", Refusal.UNKNOWN),
    ],
)
def test_messages_that_are_hard_to_provoke(sentence: str, verdict: Refusal) -> None:
    assert verdict is judge(SlurmDialect.rules, said(err=f"sbatch: error: {sentence}\n", code=1))


def test_a_path_with_a_backslash_is_refused() -> None:
    """With one, SLURM expands nothing in the path of the output: neither a doubled ``%`` nor an array's index."""
    with pytest.raises(SubmitRejected, match="SLURM cannot use the path"):
        dialect().directives(submission(directory=Path("/s/a\\b")))
