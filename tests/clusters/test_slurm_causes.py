"""Why a job of SLURM has ended: each cause brought about for real, and told to the job's owner by its name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clusters.site import Site, until

WAIT = "exec sleep 600"
HOLD_UP_MEMORY = "x=$(head -c 400000000 /dev/zero | tr '\\0' x); sleep 60; echo ${#x}"


@pytest.mark.parametrize("account", ["site", "root_site"])
def test_exit_code(request: pytest.FixtureRequest, account: str) -> None:
    site: Site = request.getfixturevalue(account)
    end = site.end(site.submit("exit 3"))

    assert "exit code" == end.cause
    assert "LRMS error: (3) Job finished with wrong exit code - 3 != 0" in end.failed


def test_signal(site: Site) -> None:
    end = site.end(site.submit("kill -SEGV $$"))

    assert "signal" == end.cause
    assert "LRMS error: (139) Job finished with wrong exit code - 139 != 0: signal 11" in end.failed


def test_walltime(site: Site) -> None:
    """SLURM counts in minutes."""
    end = site.end(site.submit(WAIT, 'walltime="5 seconds"'), within_s=300)

    assert "walltime" == end.cause
    assert "Job timeout" in end.failed


def test_cputime(site: Site) -> None:
    end = site.end(site.submit("while :; do :; done", 'cputime="2 seconds"'))

    assert "cputime" == end.cause


def test_memory(site: Site) -> None:
    """Nodes that look for themselves; see below for those where the kernel does."""
    assert "NoOverMemoryKill" not in site.cluster.setting("JobAcctGatherParams"), "start it with SLURM_MEMORY=poll"

    end = site.end(site.submit(HOLD_UP_MEMORY, "memory=50"))

    assert "memory" == end.cause


def test_node_failure(site: Site) -> None:
    job = site.submit(WAIT)
    node = site.cluster.shows(site.runs(job))["NodeList"]
    site.cluster.tool("kill-node", node)
    try:
        site.cluster.tool("start-node", node)
        end = site.end(job)
    finally:
        site.cluster.tool("start-node", node)

    assert "node failure" == end.cause


def test_preempted(site: Site) -> None:
    job = site.submit(WAIT, 'queue="low"', "count=16")
    site.runs(job)

    stronger = site.submit("exit 0", 'queue="high"', "count=16")
    end = site.end(job)

    assert "preempted" == end.cause
    assert "exit code" == site.end(stronger).cause


def test_cancelled_while_it_runs(site: Site) -> None:
    job = site.submit(WAIT)
    site.runs(job)
    site.call("arckill", "-k", job)

    end = site.end(job)

    assert "cancelled" == end.cause


def test_cancelled_in_the_queue(site: Site) -> None:
    with waiting(site) as job:
        site.call("arckill", "-k", job)

        assert "cancelled" == site.end(job).cause


@contextmanager
def waiting(site: Site) -> Iterator[str]:
    """A job in the queue: another one has its place."""
    first = site.submit(WAIT, 'queue="high"', "count=16")
    site.runs(first)
    job = site.submit(WAIT, 'queue="high"', "count=16")
    site.submitted(job)
    try:
        yield job
    finally:
        site.call("arckill", "-k", first)
        site.end(first)


def test_cancelled_by_an_admin(site: Site) -> None:
    job = site.submit(WAIT)
    site.cluster.run("scancel", site.runs(job)).good()

    assert "cancelled by admin" == site.end(job).cause


def test_cancelled_in_the_queue_by_an_admin(site: Site) -> None:
    with waiting(site) as job:
        site.cluster.run("scancel", site.localid(job)).good()

        assert "cancelled by admin" == site.end(job).cause


def test_cancelled_by_a_limit(site: Site) -> None:
    """There is no time left before the deadline that the site has set."""
    end = site.end(site.submit("exit 0", 'queue="short"'))

    assert "cancelled by limit" == end.cause
    assert "DEADLINE" in end.failed


@pytest.mark.parametrize("first", ["#!/nowhere/python", "#!/nowhere/python -E"])
def test_never_started_for_want_of_an_interpreter(site: Site, first: str) -> None:
    end = site.end(site.submit_program(site.program(f"{first}\nexit 0\n")))

    assert "never started" == end.cause
    assert "LRMS error: (-1)" in end.failed


def test_never_started_for_want_of_a_program(site: Site) -> None:
    end = site.end(site.submit_program(Path("/nowhere/program")))

    assert "never started" == end.cause
    assert "LRMS error: (-1)" in end.failed


def test_never_started_because_its_session_directory_has_gone(site: Site) -> None:
    with waiting(site) as job:
        shutil.rmtree(site.session / job)
    end = site.end(job)

    assert "never started" == end.cause


def test_never_started_because_slurm_could_not_launch_it(site: Site) -> None:
    """The file for the script's output can't be made."""
    with waiting(site) as job:
        comment = site.session / f"{job}.comment"
        comment.unlink()
        comment.mkdir()
    end = site.end(job)

    assert "never started" == end.cause
    assert "JobLaunchFailure" in str(end.evidence)


def test_a_refused_job_was_never_there(site: Site) -> None:
    end = site.end(site.submit("exit 0", 'queue="nowhere"'))

    assert "" == end.cause
    assert "invalid partition specified: nowhere" in end.failed


def test_memory_where_the_kernel_looks(forgetful_site: Site) -> None:
    end = forgetful_site.end(forgetful_site.submit(HOLD_UP_MEMORY, "memory=50"))

    assert "memory" == end.cause


def test_lost(forgetful_site: Site) -> None:
    """All of it was killed, and SLURM forgets it while our service is down: no record says how it ended."""
    site = forgetful_site
    job = site.submit(WAIT)
    localid = site.runs(job)
    site.stop()
    site.kill(localid)
    until(lambda: site.cluster.run("scontrol", "show", "job", localid).code, 240, lambda: f"{localid} is not forgotten")
    site.start()

    end = site.end(job)

    assert "lost" == end.cause
    assert "LRMS error: (-1) " in end.failed
