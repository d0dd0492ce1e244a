"""Grid Engine's accounting, and what is done to its jobs."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from arex.config.model import Configuration
from arex.config.values import SessionDir
from arex.errors import BatchUnavailable, ConfigError, UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase, Usage
from arex.process import Completed
from lrms.command.dialect import Seen
from lrms.sge.dialect import SgeBackend, SgeOptions, SgeQueueOptions
from tests.unit.lrms.sge.speech import dialect, recorded

pytestmark = pytest.mark.usefixtures("utc")


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


def test_the_reason_why_a_job_could_not_start_is_that_of_grid_engine() -> None:
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
def test_a_missing_job_is_no_refusal(name: str) -> None:
    assert {} == dialect().refused(recorded(name), IDS)


def test_someone_else_s_jobs_are_refused_in_grid_engine_s_words() -> None:
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
