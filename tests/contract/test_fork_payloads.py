"""What payloads do to their run directory, their supervisor and their processes: the outcome is the real one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase, lrms_done
from arex.ports import LocalJob, Submission
from lrms import processes
from lrms.attempt.record import read_done
from lrms.fork.backend import ForkBackend
from lrms.fork.supervisor import TAG_VARIABLE
from lrms.processes import ProcessIdentity
from tests.contract.worlds import ForkWorld, cleaned_up, end_of, happens, local_job, reaches, started, submitted
from tests.fakes.clock import FakeClock

#: The run directory, for the shell of a payload.
D = 'd=$(echo "$HOME".lrms/*-*)'
#: Leaves the pid of the payload's shell, which then waits.
HERE = "echo $$ >here.new; mv here.new here"
FORGED = (
    "exitcode=0\nsignal=\ncause=exit code\nstart=2026-01-01T00:00:00Z\nend=2026-01-01T00:00:00Z\n"
    "wall_s=1\nuser_s=1\nsystem_s=1\nmaxrss_kb=5\ncomplete=yes\n"
)
FORGE = f"printf '%s' '{FORGED}' >$d/x; mv $d/x $d/done"


class ImpatientWorld(ForkWorld):
    """A damaged run directory ends a job at once."""

    settings = replace(ForkWorld.settings, record_wait_s=0.1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ForkWorld]:
    async with cleaned_up(ForkWorld(tmp_path)) as world:
        yield world


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[ImpatientWorld]:
    async with cleaned_up(ImpatientWorld(tmp_path)) as world:
        yield world


async def come_to_here(backend: ForkBackend, submission: Submission) -> tuple[LocalJob, ProcessIdentity | None]:
    """Submit it; returns the job and its payload, which has come to ``HERE``; None: and has ended since."""
    job = await submitted(backend, submission)
    path = submission.grami.directory / "here"
    await happens(path.exists)
    return job, await identify(path.read_text())


async def identify(pid: str) -> ProcessIdentity | None:
    """A pid alone may soon be that of a process of another test."""
    return await asyncio.to_thread(processes.identify, int(pid), "")


async def gone(process: ProcessIdentity | None) -> None:
    await happens(lambda: process is None or processes.identify(process.pid, "") != process)


async def is_alive(process: ProcessIdentity | None) -> bool:
    return process is not None and await identify(str(process.pid)) == process


def let_go(submission: Submission) -> None:
    (submission.grami.directory / "go").touch()


WAIT = "until [ -e go ]; do sleep 0.02; done"
SPOILED = {
    "removed": 'rm -rf "$HOME.lrms"',
    "a link to itself": f'{D}; rm -rf "$d"; ln -s "$d" "$d"',
    "a pipe": f'{D}; rm -rf "$d"; mkfifo "$d"',
    "closed": f'{D}; chmod 000 "$d"',
    "closed above": 'chmod 000 "$HOME.lrms"',
    "without pid": f'{D}; rm "$d/pid"',
    "pid of another boot": f'{D}; printf "pid=1\\nstart=1\\nboot=x\\n" >"$d/pid"',
    "pid beyond integers": (
        f'{D}; printf "pid=99999999999999\\nstart=1\\nboot=%s\\n" $(cat /proc/sys/kernel/random/boot_id) >"$d/pid"'
    ),
    "pid a pipe": f'{D}; rm "$d/pid"; mkfifo "$d/pid"',
    "started a pipe": f'{D}; rm -f "$d/started"; mkfifo "$d/started" "$d/why"',
    "started lies": f'{D}; echo lies >"$d/started"',
    "done.new a pipe": f'{D}; mkfifo "$d/done.new"',
    "done a directory": f'{D}; mkdir "$d/done"',
    "done forged": f"{D}; {FORGE}",
    "supervisor stopped": "kill -STOP $PPID",
}


@pytest.mark.parametrize("how", sorted(SPOILED))
async def test_the_exit_code_is_the_real_one_whatever_becomes_of_the_run_directory(
    world: ForkWorld, backend: ForkBackend, how: str
) -> None:
    submission = world.submission("wait", f"{SPOILED[how]}; {HERE}; {WAIT}; exit 3")
    job, payload = await come_to_here(backend, submission)

    during = await backend.status([job])
    let_go(submission)
    report = await end_of(backend, job)

    assert Phase.RUNNING is during[job.localid].phase
    assert (3, EndCause.EXIT_CODE) == (report.exit_code, report.cause)
    assert not await is_alive(payload)


@pytest.mark.parametrize("how", sorted(SPOILED))
async def test_a_job_can_be_cancelled_whatever_becomes_of_the_run_directory(
    world: ForkWorld, backend: ForkBackend, how: str
) -> None:
    submission = world.submission("wait", f"{SPOILED[how]}; {HERE}; exec sleep 600")
    job, payload = await come_to_here(backend, submission)

    assert {} == await backend.cancel([job])
    report = await end_of(backend, job)

    assert EndCause.CANCELLED is report.cause
    assert not await is_alive(payload)


@pytest.mark.parametrize("how", sorted(set(SPOILED) - {"supervisor stopped", "done.new a pipe"}))
async def test_a_new_daemon_finds_a_running_job_whatever_becomes_of_the_run_directory(
    world: ForkWorld, how: str
) -> None:
    submission = world.submission("wait", f"{SPOILED[how]}; {HERE}; {WAIT}; exit 3")
    async with started(world.backend()) as old:
        job, _ = await come_to_here(old, submission)

    async with started(world.backend()) as new:
        found = await new.find([submission])
        answers = {name: await new.status([replace(job, localid=LocalId(name))]) for name in (job.localid, "0", "junk")}
        let_go(submission)
        report = await end_of(new, replace(job, localid=found[submission.tag]))

    assert all(answer[LocalId(name)].phase is Phase.RUNNING for name, answer in answers.items())
    assert 3 == report.exit_code


@pytest.mark.parametrize(
    ("how", "why"),
    {
        "removed": "its run directory was removed",
        "a link to itself": "its run directory was replaced",
        "closed": "its run directory was closed",
        "closed above": "its run directory was closed",
        "done forged": "there is a completion record that its supervisor has not written",
    }.items(),
)
async def test_a_job_that_goes_on_after_it_has_damaged_its_run_directory_is_ended_and_says_so(
    impatient: ImpatientWorld, how: str, why: str
) -> None:
    submission = impatient.submission("wait", f"{SPOILED[how]}; {HERE}; exec sleep 600")
    async with started(impatient.backend()) as backend:
        job, payload = await come_to_here(backend, submission)

        report = await end_of(backend, job)

        assert EndCause.CANCELLED_BY_ADMIN is report.cause
        assert (271, f"Job failed: {why}") == lrms_done(report, expected=143)
        assert not await is_alive(payload)


async def test_a_job_is_not_ended_because_the_file_system_of_its_session_is_away(impatient: ImpatientWorld) -> None:
    """A new daemon has not seen that file system, so it cannot tell a removed directory from an unmounted one."""
    submission = impatient.submission("wait", f"{SPOILED['removed']}; {HERE}; {WAIT}; exit 3")
    async with started(impatient.backend()) as old:
        job, _ = await come_to_here(old, submission)
    async with started(impatient.backend()) as new:
        await new.status([job])
        await asyncio.sleep(2 * impatient.settings.record_wait_s)
        report = (await new.status([job]))[job.localid]
        let_go(submission)

        assert Phase.RUNNING is report.phase
        assert 3 == (await end_of(new, job)).exit_code


async def test_a_stopped_supervisor_still_enforces_its_limits(world: ForkWorld, backend: ForkBackend) -> None:
    submission = world.submission("walltime", "kill -STOP $PPID; exec sleep 600")
    job = await submitted(backend, submission)

    report = await end_of(backend, job)

    assert EndCause.WALLTIME is report.cause
    assert [] == await asyncio.to_thread(processes.having_environment, f"{TAG_VARIABLE}={submission.tag}".encode())


async def test_a_payload_that_stops_its_supervisor_again_and_again_is_ended(
    world: ForkWorld, backend: ForkBackend
) -> None:
    submission = world.submission("wait", f"{HERE}; while kill -STOP $PPID; do :; done; exec sleep 600")
    job, payload = await come_to_here(backend, submission)

    await end_of(backend, job)

    assert not await is_alive(payload)


async def test_a_supervisor_that_does_not_come_to_an_end_is_killed_with_its_job(world: ForkWorld) -> None:
    """It would wait for a minute, and this payload ignores TERM."""
    world.settings = replace(world.settings, grace_s=60)
    clock = FakeClock()
    backend = world.backend(clock)
    await backend.start()
    submission = world.submission("wait", f"trap '' TERM; {HERE}; while :; do sleep 600; done")
    job, payload = await come_to_here(backend, submission)

    await backend.cancel([job])
    during = (await backend.status([job]))[job.localid]
    clock.advance(timedelta(seconds=world.settings.grace_s + 30))
    report = await end_of(backend, job)

    assert Phase.RUNNING is during.phase
    assert EndCause.LOST is report.cause
    assert not await is_alive(payload)
    await backend.close()


@pytest.mark.parametrize("adopted", [False, True])
async def test_what_a_killed_supervisor_leaves_is_ended_though_nothing_names_it(
    world: ForkWorld, adopted: bool
) -> None:
    script = f"{HERE}; {WAIT}; cd /; kill -9 $PPID; exec env -i setsid sleep 600"
    submission = world.submission("wait", script)
    async with contextlib.AsyncExitStack() as backends:
        backend = await backends.enter_async_context(started(world.backend()))
        job, payload = await come_to_here(backend, submission)
        if adopted:
            await backend.close()
            backend = await backends.enter_async_context(started(world.backend()))

        let_go(submission)
        report = await end_of(backend, job)

    assert EndCause.LOST is report.cause
    await gone(payload)


async def test_what_is_left_when_the_forkserver_is_dead_too_is_ended(world: ForkWorld, backend: ForkBackend) -> None:
    """The service has seen these processes below their supervisor."""
    submission = world.submission("wait", f"{HERE}; {WAIT}; cd /; kill -9 $PPID; exec env -i setsid sleep 600")
    job, payload = await come_to_here(backend, submission)
    os.kill(backend._launcher.pid or 0, signal.SIGKILL)
    await happens(lambda: not backend._launcher.children)
    await backend.status([job])

    let_go(submission)
    report = await end_of(backend, job)

    assert EndCause.LOST is report.cause
    await gone(payload)


async def test_a_forged_record_does_not_keep_what_a_killed_supervisor_has_left(
    world: ForkWorld, backend: ForkBackend
) -> None:
    submission = world.submission("wait", f"{D}; {HERE}; {FORGE}; kill -9 $PPID; exec sleep 600")
    job, payload = await come_to_here(backend, submission)

    await end_of(backend, job)

    await gone(payload)


async def test_a_record_that_cannot_be_written_stays_in_the_supervisor_until_it_can(
    world: ForkWorld, backend: ForkBackend
) -> None:
    """The session root is away, as if it were not mounted."""
    submission = world.submission("wait", f"{HERE}; {WAIT}; exit 3")
    job, payload = await come_to_here(backend, submission)
    away = world.root.rename(world.root.with_name("away"))
    (away / submission.job / "go").touch()

    waiting = await reaches(backend, job, Phase.EXITING)
    away.rename(world.root)
    report = await end_of(backend, job)

    assert waiting.doubt == ("the job has ended; its completion record cannot be written: No such file or directory")
    assert (3, EndCause.EXIT_CODE) == (report.exit_code, report.cause)
    assert not await is_alive(payload)
    assert submission.diag.read_text().count("exitcode=3") == 1


async def test_an_empty_directory_in_the_place_of_the_session_root_is_not_written_to(
    world: ForkWorld, backend: ForkBackend
) -> None:
    """The file system is away, and its mount point can be written."""
    submission = world.submission("wait", f"{HERE}; {WAIT}; exit 3")
    job, _ = await come_to_here(backend, submission)
    away = world.root.rename(world.root.with_name("away"))
    world.root.mkdir()
    (away / submission.job / "go").touch()

    await reaches(backend, job, Phase.EXITING)
    written = list(world.root.iterdir())
    world.root.rmdir()
    away.rename(world.root)

    assert [] == written
    assert 3 == (await end_of(backend, job)).exit_code


async def test_a_job_whose_record_cannot_be_written_can_be_cancelled(world: ForkWorld, backend: ForkBackend) -> None:
    submission = world.submission("wait", f"{HERE}; {WAIT}; exit 3")
    job, _ = await come_to_here(backend, submission)
    away = world.root.rename(world.root.with_name("away"))
    (away / submission.job / "go").touch()
    await reaches(backend, job, Phase.EXITING)
    supervisor = await identify(job.localid)

    await backend.cancel([job])

    assert EndCause.LOST is (await end_of(backend, job)).cause
    await gone(supervisor)
    away.rename(world.root)


async def test_a_record_is_not_written_through_a_link(world: ForkWorld, backend: ForkBackend, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "directory").mkdir(parents=True)
    scripts = [
        f"{D}; ln -s {outside}/file $d/done.new; exit 3",
        f"{D}; rm -rf $d; ln -s {outside}/directory $d; exit 3",
        f'{D}; rm -rf "$HOME.lrms"; ln -s {outside}/directory "$HOME.lrms"; exit 3',
    ]
    for script in scripts:
        submission = world.submission("exit 3", script)
        assert 3 == (await end_of(backend, await submitted(backend, submission))).exit_code
        assert read_done(submission.rundir / "done") is not None

    assert [outside / "directory"] == list(outside.rglob("*"))


async def test_a_program_that_has_become_a_pipe_does_not_hold_its_supervisor(
    world: ForkWorld, backend: ForkBackend
) -> None:
    submission = world.submission("exit 3", 'rm -f "$0"; mkfifo "$0"; exit 126')

    assert 126 == (await end_of(backend, await submitted(backend, submission))).exit_code


async def test_output_that_has_become_a_pipe_does_not_hold_the_next_attempt(
    world: ForkWorld, backend: ForkBackend
) -> None:
    submission = world.submission("exit 3")
    submission.comment.unlink()
    os.mkfifo(submission.comment)

    assert 3 == (await end_of(backend, await submitted(backend, submission))).exit_code


async def test_an_interpreter_with_a_carriage_return_is_missing(world: ForkWorld, backend: ForkBackend) -> None:
    submission = world.submission()
    (submission.grami.directory / "program").write_bytes(b"#!/bin/sh\r\nexit 0\r\n")

    report = await end_of(backend, await submitted(backend, submission))

    assert EndCause.NEVER_STARTED is report.cause
    said = "Cannot run ./program: /bin/sh^M: not found (^M is a carriage return: the script has Windows line ends)"
    assert said in submission.comment.read_text()
    assert said in lrms_done(report)[1]


@pytest.mark.parametrize("localid", ["junk", "9" * 20, "-1", "0", "", "٣", "2147483648", "1"])
@pytest.mark.parametrize("tagged", [True, False])
async def test_any_local_id_has_an_answer_and_others_are_answered(
    world: ForkWorld, backend: ForkBackend, localid: str, tagged: bool
) -> None:
    other = await submitted(backend, world.submission("exit 3"))
    await end_of(backend, other)
    strange = local_job(world.submission(), LocalId(localid))
    strange = strange if tagged else replace(strange, tag=None, rundir=None)
    jobs = [strange, other]

    reports = await backend.status(jobs)
    for step in (backend.cancel, backend.hold, backend.release, backend.recorded):
        await step(jobs)

    assert 3 == reports[other.localid].exit_code
    assert tagged or reports[strange.localid].cause is EndCause.LOST
