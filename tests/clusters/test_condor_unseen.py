"""
Our service on an HTCondor pool whose jobs do not see session directories: its transfers move the files.

In place of everything below ``AREX_SHARED/unseen``, a job has a separate empty directory.
"""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from tests.clusters.site import until
from tests.clusters.test_condor import CONDOR
from tests.clusters.thirty import Service, serving, thirty

UNSEEN: Final = replace(CONDOR, unseen=True, arex="shared_filesystem=no\n")
_WAIT: Final = "exec sleep 600"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving(UNSEEN) as service:
        yield service


def submit(service: Service, body: str, *wishes: str) -> str:
    [job] = service.submit_all([service.describe(body, *wishes)])
    return job


def left(service: Service, job: str, name: str) -> str:
    return (service.session / job / name).read_text()


@pytest.mark.timeout(1200)
def test_thirty_jobs_end_as_they_should_and_none_runs_twice(service: Service) -> None:
    thirty(service)


def test_a_job_does_not_see_its_session_and_all_that_it_leaves_comes_back(service: Service) -> None:
    put = service.root / "home/put file"
    put.write_text("data\n")
    put.chmod(0o644)
    name = "quo'te\\\" a,b"
    job = submit(
        service,
        f"""
pwd
ls -A {service.root.parent}
stat -c '%a %n' put.txt
rm put.txt
mkdir -p deep/empty 'new
line'
echo 1 >"{name}"
echo 2 >'new
line/.dot'
printf '#!/bin/sh\\n' >tool
chmod 755 tool
chmod 500 deep
ln -s /no/where out-of-it
ln -s tool inside
mkfifo pipe
echo told >&2
exit 3""",
        f'inputfiles=("put.txt" "{put}")',
        'outputfiles=("/" "")',
    )
    end = service.end(job, 300)
    session = service.session / job

    assert "LRMS error: (3) Job finished with wrong exit code - 3 != 0" in end.failed, service.tell(job)
    where, *seen = left(service, job, "out").splitlines()
    assert re.search(r"/execute/dir_\d+/session$", where)
    assert ["600 put.txt"] == seen
    assert "told\n" == left(service, job, "err")
    assert ("1\n", "2\n") == (left(service, job, "quo'te\" a,b"), left(service, job, "new\nline/.dot"))
    assert 0o755 == stat.S_IMODE((session / "tool").stat().st_mode)
    assert [] == list((session / "deep/empty").iterdir())
    assert ("/no/where", "tool") == (str((session / "out-of-it").readlink()), str((session / "inside").readlink()))
    assert not (session / "put.txt").exists()
    assert not (session / "pipe").exists()
    assert "This does not go back, it is no file:" in service.text(job, "errors")
    assert "exitcode=3" in service.text(job, "diag")


def test_a_job_whose_wall_time_is_over_brings_back_what_it_has(service: Service) -> None:
    job = submit(service, f"echo partial >result; {_WAIT}", 'walltime="10 seconds"', 'outputfiles=("/" "")')

    end = service.end(job, 300)

    assert "walltime" == end.cause, service.tell(job)
    assert "partial\n" == left(service, job, "result")


def test_a_cancelled_job_leaves_the_session_as_it_was(service: Service) -> None:
    job = submit(service, f"rm program*; echo partial >result; {_WAIT}")
    until(lambda: f"program{service.described() - 1}" in service.runs_of(), 300, lambda: service.tell(job))
    before = {each.name for each in (service.session / job).iterdir()}

    service.call("arckill", "-k", job).good()

    assert "cancelled" == service.end(job, 300).cause, service.tell(job)
    assert {f"program{service.described() - 1}"} == before


def test_files_that_can_not_be_sent_are_a_job_that_never_started(service: Service) -> None:
    """HTCondor holds it, which takes it out of the queue."""
    service.stop()
    job = submit(service, "exit 0")
    before = service.root / "bin/before-condor_submit"
    before.write_text(f"rm -rf {service.session}/{job}.lrms/*/in.*\n")
    service.start()

    end = service.end(job, 300)
    before.unlink()

    assert "never started" == end.cause, service.tell(job)
    assert re.search("[Tt]ransfer input files failure", end.failed), end.failed
    until(service.empty, 240, lambda: service.listing().out)


@pytest.mark.parametrize(
    ("payload", "cause", "told"),
    [
        ("rm -rf ../back; kill -KILL $PPID", "lost", "[Tt]ransfer output files failure"),
        ("kill -KILL $PPID", "signal", r"137 != 0|signal 9"),
    ],
)
def test_a_job_that_ends_its_own_script_is_no_success(service: Service, payload: str, cause: str, told: str) -> None:
    job = submit(service, payload)
    session = service.session / job
    service.runs(job, 300)

    end = service.end(job, 300)

    assert cause == end.cause, service.tell(job)
    assert re.search(told, end.failed), end.failed
    assert session.is_dir()
    until(service.empty, 240, lambda: service.listing().out)


def test_a_node_that_is_taken_away_ends_the_job_and_it_does_not_begin_again(service: Service) -> None:
    job = submit(service, _WAIT)
    localid = service.submitted(job)
    program = f"program{service.described() - 1}"
    until(lambda: program in service.runs_of(), 300, lambda: service.tell(job))

    vacate = shutil.which("condor_vacate_job", path=service.cluster.environ["PATH"])
    assert vacate is not None
    service.cluster.run(vacate, "-fast", localid).good()

    assert "preempted" == service.end(job, 300).cause, service.tell(job)
    assert 1 == service.runs_of()[program]
