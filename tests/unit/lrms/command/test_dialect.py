"""What all dialects share."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from arex.errors import SubmitRejected
from arex.ports import Submission
from lrms.command.dialect import Dialect, at_least, host_time, is_doubled, single_time
from lrms.htcondor.dialect import CondorDialect, CondorOptions
from lrms.lsf.dialect import LsfDialect, LsfOptions
from lrms.pbs.dialect import PbsDialect, PbsOptions, TorqueDialect
from lrms.sge.dialect import SgeDialect, SgeOptions
from lrms.slurm.dialect import SlurmDialect, SlurmOptions
from tests.unit.lrms.samples import submission, work

DIALECTS: Final = (
    SlurmDialect(SlurmOptions()),
    PbsDialect(PbsOptions()),
    TorqueDialect(PbsOptions()),
    LsfDialect(LsfOptions()),
    SgeDialect(SgeOptions()),
    CondorDialect(CondorOptions()),
)
EVERY: Final = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: type(each).__name__)
#: 02:30 in Berlin, twice: an hour before the end of summer time, and half an hour after it.
FIRST: Final = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
SECOND: Final = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (datetime(2026, 11, 20, 9, 30, tzinfo=UTC), "2026-11-20 18:30"),
        (datetime(9999, 12, 31, 23, 59, tzinfo=UTC), "9999-12-31 23:59"),
    ],
)
def test_a_start_time_is_in_the_time_zone_of_this_host(when: datetime, expected: str) -> None:
    assert expected == f"{host_time(when):%Y-%m-%d %H:%M}"


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def asked(dialect: Dialect, **grami: Any) -> str:
    """All that a batch system gets: options in the script and on the command line, and standard input."""
    job = submission(**grami)
    call = dialect.submit(work(job))
    return "\n".join((*dialect.directives(job), " ".join(call.argv), call.stdin.decode()))


#: Options for a start time, as numbers.
STARTS: Final = (
    (r"--begin=uts(\d+)", "uts"),
    (r"--begin=(\S+)", "%Y-%m-%dT%H:%M:%S"),
    (r"-a (\d{12}\.\d\d)", "%Y%m%d%H%M.%S"),
    (r"-b (\d+:\d+:\d+:\d+:\d+)", "%Y:%m:%d:%H:%M"),
    (r"time\(\) >= (\d+)", "uts"),
)


def begins(text: str) -> datetime:
    """The earliest time that a batch system on this host could understand."""
    for pattern, form in STARTS:
        if found := re.search(pattern, text):
            if form == "uts":
                return datetime.fromtimestamp(int(found[1]), UTC)
            local = datetime.strptime(found[1], form)  # noqa: DTZ007 - as a batch system does
            return min(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    raise AssertionError(text)


@pytest.mark.usefixtures("berlin")
@EVERY
def test_a_job_does_not_begin_early_in_the_hour_that_occurs_twice(dialect: Dialect) -> None:
    for when in (FIRST, SECOND, SECOND + timedelta(seconds=59), FIRST - timedelta(hours=3, seconds=1)):
        assert when <= begins(asked(dialect, starttime=when)) <= when + timedelta(hours=2)


@pytest.mark.usefixtures("berlin")
def test_slurm_gets_two_times_an_hour_apart() -> None:
    first, second = (begins(asked(DIALECTS[0], starttime=when)) for when in (FIRST, SECOND))

    assert timedelta(hours=1) == second - first


@pytest.mark.usefixtures("berlin")
def test_the_hour_that_occurs_twice_is_known() -> None:
    hours = [datetime(2026, 10, 24, 22, 0, tzinfo=UTC) + timedelta(hours=n) for n in range(6)]

    assert [False, False, True, True, False, False] == [is_doubled(each) for each in hours]
    assert ["03:00", "03:00"] == [f"{single_time(each):%H:%M}" for each in (FIRST, SECOND)]


@EVERY
@pytest.mark.parametrize("limits", [{"walltime_s": 0, "cputime_s": 0}, {"cputime_s": 1, "count": 64}])
def test_no_limit_becomes_none(dialect: Dialect, limits: dict[str, int]) -> None:
    """To many batch systems, 0 is unlimited."""
    text = asked(dialect, **limits)
    found = re.findall(
        r"(?:--time=|walltime=|cput=|h_rt=|h_cpu=|-W |-c |JobCurrentStartDate > |RemoteSysCpu > )([\d:]+)", text
    )

    assert found
    assert all(int(each.replace(":", "")) > 0 for each in found)
    if limits.get("walltime_s") == 0:
        assert not re.search(r"--time=0", text)


def test_a_limit_is_one() -> None:
    assert [60, 1, 59] == [at_least(each) for each in (0, 1, 59)]


def refusal(dialect: Dialect, job: Submission) -> str:
    try:
        dialect.directives(job)
    except SubmitRejected as exc:
        return str(exc)
    return ""


@EVERY
@pytest.mark.parametrize("name", ["a%jb", "a%%u", "%I", "%J", "$PBS_JOBID", "^array_index^", "$(Cluster)", "host:x"])
def test_no_batch_system_expands_a_path(dialect: Dialect, name: str) -> None:
    """It is escaped, or the job is refused with the reason."""
    path = Path("/s", name, "abc.comment")
    job = submission()
    job = replace(job, grami=replace(job.grami, directory=path.with_name("abc")), rundir=Path("/s", name, "r"))
    expands = {
        "SLURM": r"(?<!%)(%%)*%[^%]", "pbs": r"[$^:]", "lsf": r"%[IJ]", "sge": r"\$", "condor": r"\$\(Cl"
    }[dialect.name]  # fmt: skip
    if refusal(dialect, job):
        assert name in refusal(dialect, job)
    else:
        assert not re.search(expands, dialect.output(path))
