"""The fork backend and the processes of this machine: no one gets away, no one else is hit."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from arex.errors import BatchUnavailable, SubmitRejected
from arex.model.grami import RunTime
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase, lrms_done
from arex.ports import LocalJob, Submission
from lrms import processes
from lrms.fork.backend import ForkBackend
from tests.contract.worlds import ForkWorld, cleaned_up, end_of, happens, local_job, submitted
from tests.processes import ready

#: A daemon as they are made: two forks, a separate session, and deaf to TERM; leaves its pid in "away".
ESCAPEE = "(setsid sh -c 'trap \"\" TERM; echo $$ >away.new; mv away.new away; while :; do sleep 600; done' &)"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ForkWorld]:
    async with cleaned_up(ForkWorld(tmp_path)) as world:
        yield world


@contextmanager
def a_stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        try:
            yield process
        finally:
            process.kill()


def exists(pid: int) -> bool:
    return processes.identify(pid, "") is not None


async def alive(pid: int) -> bool:
    return await asyncio.to_thread(exists, pid)


async def boot_id() -> str:
    return await asyncio.to_thread(processes.boot_id)


async def processes_of(job: str) -> list[int]:
    return await asyncio.to_thread(processes.having_environment, f"GRID_GLOBAL_JOBID={job}".encode())


async def escapee_of(submission: Submission) -> int:
    path = submission.grami.directory / "away"
    await happens(path.exists)
    return int(path.read_text())


async def test_who_escapes_into_another_session_is_killed_on_cancel(world: ForkWorld, backend: ForkBackend) -> None:
    submission = world.submission("wait", f"{ESCAPEE}\nexec sleep 600")
    job = await submitted(backend, submission)
    pid = await escapee_of(submission)

    await backend.cancel([job])

    assert (await end_of(backend, job)).cause is EndCause.CANCELLED
    assert not await alive(pid)


async def test_who_stays_behind_is_killed_after_a_normal_end(world: ForkWorld, backend: ForkBackend) -> None:
    submission = world.submission("wait", f"{ESCAPEE}\nuntil [ -e away ]; do sleep 0.01; done; exit 3")
    job = await submitted(backend, submission)

    report = await end_of(backend, job)

    assert (report.exit_code, report.cause) == (3, EndCause.EXIT_CODE)
    assert not await alive(await escapee_of(submission))


async def test_a_stopped_job_can_be_cancelled(world: ForkWorld, backend: ForkBackend) -> None:
    submission = world.submission("wait", "echo $$ >away.new; mv away.new away; kill -STOP $$")
    job = await submitted(backend, submission)
    pid = await escapee_of(submission)

    await backend.cancel([job])
    await end_of(backend, job)

    assert not await alive(pid)


async def test_a_job_that_signals_its_group_affects_no_other_process(world: ForkWorld, backend: ForkBackend) -> None:
    report = await end_of(backend, await submitted(backend, world.submission("exit 0", "kill -TERM 0; sleep 600")))

    assert (report.exit_code, report.signal, report.cause) == (143, 15, EndCause.SIGNAL)


async def test_when_the_supervisor_is_killed_the_job_is_lost_and_leaves_nothing(
    world: ForkWorld, backend: ForkBackend
) -> None:
    submission = world.submission("wait", f"{ESCAPEE}\nsleep 600")
    job = await submitted(backend, submission)
    pid = await escapee_of(submission)

    os.kill(int(job.localid), signal.SIGKILL)
    report = await end_of(backend, job)

    assert report.cause is EndCause.LOST
    assert lrms_done(report) == (-1, "Job died unexpectedly")
    assert not await alive(pid)


async def test_a_process_that_got_the_pid_later_is_neither_the_job_nor_hit(
    world: ForkWorld, backend: ForkBackend
) -> None:
    """The same pid with another start time is another process."""
    submission = world.submission()
    with a_stranger() as stranger:
        boot = await boot_id()
        now = await asyncio.to_thread(processes.identify, stranger.pid, boot)
        assert now is not None
        submission.rundir.mkdir(parents=True)
        identity = f"pid={stranger.pid}\nstart={now.start - 1}\nboot={boot}\ntag={submission.tag}\n"
        (submission.rundir / "pid").write_text(identity)
        job = local_job(submission, LocalId(str(stranger.pid)))

        await backend.cancel([job])
        report = await end_of(backend, job)

        assert report.cause is EndCause.LOST
        assert stranger.poll() is None


async def test_after_a_reboot_it_was_the_node(world: ForkWorld, backend: ForkBackend) -> None:
    submission = world.submission("wait")
    job = await submitted(backend, submission)
    path = submission.rundir / "pid"
    os.kill(int(job.localid), signal.SIGKILL)
    path.write_text(path.read_text().replace(await boot_id(), "another-boot"))

    assert (await end_of(backend, job)).cause is EndCause.NODE_FAILURE


async def test_an_unreadable_record_is_a_lost_job_and_does_not_affect_others(
    world: ForkWorld, backend: ForkBackend
) -> None:
    submissions = [world.submission(), world.submission()]
    jobs = [await submitted(backend, each) for each in submissions]
    for job in jobs:
        await end_of(backend, job)
    (submissions[0].rundir / "done").write_text("exitcode=0\n")

    reports = await backend.status(jobs)

    assert [reports[job.localid].cause for job in jobs] == [EndCause.LOST, EndCause.EXIT_CODE]


async def test_jobs_go_on_when_the_forkserver_dies_and_their_end_is_told(
    world: ForkWorld, backend: ForkBackend
) -> None:
    job = await submitted(backend, world.submission("wait", "until [ -e go ]; do sleep 0.02; done; exit 3"))
    told: asyncio.Queue[LocalId] = asyncio.Queue()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        watcher = group.create_task(backend.watch(told.put_nowait))

        os.kill(backend._launcher.pid or 0, signal.SIGKILL)
        (job.session / "go").touch()

        assert await told.get() == job.localid
        watcher.cancel()
    assert (await end_of(backend, job)).exit_code == 3


async def test_on_a_kernel_without_pidfds_inherited_jobs_are_polled(
    world: ForkWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    old, new = world.backend(), world.backend()
    await old.start()
    job = await submitted(old, world.submission("wait"))
    await old.close()
    await new.start()
    told: asyncio.Queue[LocalId] = asyncio.Queue()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        watcher = group.create_task(new.watch(told.put_nowait))
        await new.status([job])

        await new.cancel([job])

        assert await told.get() == job.localid
        watcher.cancel()
    assert (await end_of(new, job)).cause is EndCause.CANCELLED
    await new.close()


async def test_a_dead_forkserver_is_started_again_but_not_at_once(world: ForkWorld, backend: ForkBackend) -> None:
    """Whoever dies at every start must not be started in a loop."""
    launcher = backend._launcher
    os.kill(launcher.pid or 0, signal.SIGKILL)
    await happens(lambda: launcher._socket is None)
    launcher._not_before = asyncio.get_running_loop().time() + 0.2

    with pytest.raises(BatchUnavailable):
        await backend.submit([world.submission()])
    await asyncio.sleep(0.3)

    assert (await end_of(backend, await submitted(backend, world.submission()))).exit_code == 0


async def test_a_job_starts_with_a_clean_slate(world: ForkWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of the daemon's environment, no signal ignored or blocked, no open file but the three."""
    monkeypatch.setenv("X509_USER_PROXY", "/secret")
    backend = ForkBackend(
        replace(world.settings, environment=ForkBackend(type(world.settings)())._settings.environment)
    )
    ignored = [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP]  # by a daemon that a script starts in the background
    before = [signal.signal(each, signal.SIG_IGN) for each in ignored]
    await backend.start()
    for each, handler in zip(ignored, before, strict=True):
        signal.signal(each, handler)
    submission = world.submission("exit 0", "env; grep ^Sig /proc/self/status; echo fds /proc/$$/fd/*; umask; pwd")

    await end_of(backend, await submitted(backend, submission))
    said = (submission.grami.directory / "out.txt").read_text()

    assert "/secret" not in said
    # 32 and 33 are the C library's own, and no program's
    assert int(said.split("SigIgn:\t")[1].split()[0], 16) & ~0x180000000 == 0
    assert "SigBlk:\t0000000000000000" in said
    # 3 is the directory that is being listed, 10 the shell's own copy of its script
    files = said.split("fds ")[1].splitlines()[0].split()
    assert {each.rpartition("/")[2] for each in files} == {"0", "1", "2", "3", "10"}
    assert f"\n0077\n{submission.grami.directory}\n" in said
    await backend.close()


async def test_the_accounting_file_is_complete_and_in_arcs_order(world: ForkWorld, backend: ForkBackend) -> None:
    submission = world.submission("exit 3")
    await end_of(backend, await submitted(backend, submission))

    keys = [line.partition("=")[0] for line in submission.diag.read_text().splitlines()]

    fixed = ["runtimeenvironments", "systemsoftware", "nodename", "Processors", "Benchmark"]
    assert fixed == keys[:5]
    assert keys[5:10] == ["WallTime", "KernelTime", "UserTime", "CPUUsage", "MaxResidentMemory"]
    assert keys[-5:] == ["", "LRMSStartTime", "LRMSEndTime", "walltime", "exitcode"]


async def test_a_real_scan_would_see_what_we_see(world: ForkWorld, backend: ForkBackend) -> None:
    """ARC's scan-fork-job asks ps about the local id, then reads ``exitcode=`` in SESSION.diag."""
    submission = world.submission("walltime")
    job = await submitted(backend, submission)
    running = await asyncio.to_thread(subprocess.run, ["ps", "-ouser=", f"-p{job.localid}"], stdout=subprocess.DEVNULL)

    await end_of(backend, job)
    await happens(lambda: not exists(int(job.localid)))

    assert running.returncode == 0
    assert submission.diag.read_text().endswith("\nexitcode=137\n")


async def test_what_never_ran_has_no_exit_code(world: ForkWorld, backend: ForkBackend) -> None:
    submission = world.submission()
    (submission.grami.directory / "program").write_text("#!/no/such/shell\n")
    missing = world.submission()
    (missing.grami.directory / "program").unlink()

    reports = [await end_of(backend, await submitted(backend, each)) for each in (submission, missing)]

    assert [lrms_done(each) for each in reports] == [
        (-1, "Job failed: never started (Cannot run ./program: /no/such/shell: not found)"),
        (-1, 'Job failed: never started (Path "./program" does not seem to exist)'),
    ]
    assert "Cannot run ./program: /no/such/shell: not found" in submission.comment.read_text()
    assert 'Path "./program" does not seem to exist' in missing.comment.read_text()
    assert "exitcode=" not in submission.diag.read_text() + missing.diag.read_text()


async def test_what_cannot_run_here_is_refused_and_the_rest_of_the_batch_runs(
    world: ForkWorld, backend: ForkBackend
) -> None:
    good, homeless = world.submission(), world.submission()
    unequipped = world.submission(runtimes=(RunTime(name="APPS/NONE"),))
    world.submissions.remove(homeless)
    homeless = replace(homeless, grami=replace(homeless.grami, directory=world.root / "gone"))

    answers = await backend.submit([homeless, good, unequipped])

    assert isinstance(answers[homeless.tag], SubmitRejected)
    assert isinstance(answers[unequipped.tag], SubmitRejected)
    assert (await end_of(backend, local_job(good, LocalId(str(answers[good.tag]))))).exit_code == 0


async def test_runtime_environments_of_the_site_are_run(world: ForkWorld, backend: ForkBackend) -> None:
    rte = world.root / "control" / "rte"
    for path, text in {
        "enabled/APPS/X": "[ $1 = 0 ] || echo $COLOUR $1 >>stages; export SEEN=yes",
        "params/APPS/X": 'COLOUR="blue"\n',
        "default/ENV/ALL": "",
    }.items():
        (rte / path).parent.mkdir(parents=True, exist_ok=True)
        (rte / path).write_text(text)
    submission = world.submission("exit 0", "echo $SEEN", runtimes=(RunTime(name="APPS/X"),))

    await end_of(backend, await submitted(backend, submission))

    assert (submission.grami.directory / "stages").read_text() == "blue 1\nblue 2\n"
    assert (submission.grami.directory / "out.txt").read_text() == "yes\n"
    assert submission.diag.read_text().startswith("runtimeenvironments=APPS/X;ENV/ALL;\n")


@contextmanager
def a_foreign_job(root: Path, submission: Submission) -> Iterator[tuple[LocalJob, subprocess.Popen[bytes]]]:
    """A job as ARC's submit-fork-job leaves it: a watcher that names the grami file, and a payload."""
    script = root / "submit-fork-job"
    script.write_text("trap 'exit 1' TERM\nsetsid sleep 600 & echo started\nwhile :; do sleep 0.05; done")
    argv = ["/bin/sh", str(script), f"job.{submission.job}.grami"]
    with ready(argv, "started", GRID_GLOBAL_JOBID=submission.job) as process:
        localid = LocalId(str(process.pid))
        session = submission.grami.directory
        yield LocalJob(job=submission.job, localid=localid, tag=None, session=session, rundir=None), process


async def test_a_job_of_a_real_a_rex_is_followed_and_cancelled(world: ForkWorld, backend: ForkBackend) -> None:
    with a_foreign_job(world.root, world.submission()) as (job, process):
        assert (await backend.status([job]))[job.localid].phase is Phase.RUNNING

        assert await backend.cancel([job]) == {}
        await asyncio.to_thread(process.wait, 10)

        assert (await end_of(backend, job)).cause is EndCause.LOST
        assert await processes_of(job.job) == []


async def test_the_exit_code_of_a_job_of_a_real_a_rex_is_in_its_accounting_file(
    world: ForkWorld, backend: ForkBackend
) -> None:
    submission = world.submission()
    with a_foreign_job(world.root, submission) as (job, process):
        process.terminate()
        await asyncio.to_thread(process.wait)
    submission.diag.write_text("walltime=1\nexitcode=4\n")

    report = await end_of(backend, job)

    assert (report.exit_code, report.cause) == (4, EndCause.EXIT_CODE)
    assert lrms_done(report, 4) == (4, "")
    submission.diag.unlink()
    await end_of(backend, job)


async def test_a_stranger_with_the_pid_of_a_foreign_job_is_not_hit(world: ForkWorld, backend: ForkBackend) -> None:
    submission = world.submission()
    with a_stranger() as stranger:
        job = replace(local_job(submission, LocalId(str(stranger.pid))), tag=None, rundir=None)

        await backend.cancel([job])

        assert (await end_of(backend, job)).cause is EndCause.LOST
        assert stranger.poll() is None
