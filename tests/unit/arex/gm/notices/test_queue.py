"""Mail and commands of jobs, through real programs and with a fake clock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.config.values import CommandLine
from arex.gm.context import KnownJob, Services
from arex.gm.notices.queue import Notices
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status
from tests.fakes.clock import FakeClock
from tests.unit.arex.gm.notices.programs import Recorder, recorder
from tests.unit.arex.gm.service import make_services, until

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
JOB = JobId("0123456789ab")


class Sender:
    """A queue, and the programs of its options."""

    def __init__(self, root: Path, *, most: int = 100, limit_s: float = 60.0) -> None:
        self.clock = FakeClock()
        self.services: Services = make_services(root, self.clock)
        self.sendmail = recorder(root)
        self.command = recorder(root, "command")
        self.notices = Notices(
            self.services, lambda: {"PATH": os.environ["PATH"], "GIVEN": "yes"}, most=most, limit_s=limit_s
        )

    def offer(self, *, mail: bool = True, command: bool = False) -> None:
        self.services.settings = replace(
            self.services.settings,
            sendmail=self.sendmail.path if mail else None,
            notify_command=CommandLine(argv=(str(self.command.path), "two words", "$HOME")) if command else None,
        )

    def enter(self, *states: State, notify: str | None = "e me@x", failure: str = "", job: JobId = JOB) -> None:
        local = JobLocal(jobname="fit", notify=notify)
        known = KnownJob(id=job, status=Status(states[-1]), place=None, local=local, changed=AT)
        self.notices.add(known, states, failure)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.notices.run())
        try:
            yield
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def idle(self) -> None:
        await until(lambda: len(self.notices) == 0)


@pytest.fixture
def sender(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Sender:
    caplog.set_level("DEBUG", logger="arex")
    made = Sender(tmp_path)
    made.offer()
    return made


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.__dict__.get("event", "") for record in caplog.records]
    return [event for event in found if event.startswith("notice.")]


def subjects(program: Recorder) -> list[str]:
    return [line for data in program.inputs for line in data.decode().splitlines() if line.startswith("Subject:")]


async def test_each_address_gets_one_mail_through_the_standard_input(sender: Sender) -> None:
    async with sender.running():
        sender.enter(State.FINISHING, State.FINISHED, notify="e me@x f you@y e she@z")
        await sender.idle()

    assert [["-oi", "-t"]] * 3 == sender.sendmail.arguments
    assert ["you@y", "me@x", "she@z"] == [
        line.removeprefix("To: ")
        for data in sender.sendmail.inputs
        for line in data.decode().splitlines()
        if "To:" in line
    ]


async def test_a_failure_that_was_known_in_the_turn_is_reported_although_the_job_was_removed(sender: Sender) -> None:
    async with sender.running():
        sender.enter(State.FINISHED, failure="LRMS error: (9) Job finished with wrong exit code - 9 != 0")
        await sender.idle()

    assert ["Subject: arex: fit failed: exit code 9"] == subjects(sender.sendmail)


async def test_without_the_options_nothing_is_queued_and_no_file_is_read(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.offer(mail=False)
    monkeypatch.setattr("arex.gm.notices.queue.recipients", lambda *_: pytest.fail("not needed"))

    sender.enter(State.FINISHED)

    assert 0 == len(sender.notices)


async def test_a_job_without_notify_sends_no_mail(sender: Sender) -> None:
    sender.enter(State.FINISHED, notify=None)

    assert 0 == len(sender.notices)


async def test_the_command_runs_at_the_end_of_every_job_without_a_shell(sender: Sender) -> None:
    sender.offer(mail=False, command=True)
    async with sender.running():
        sender.enter(State.PREPARING, State.INLRMS, State.FINISHING, State.FINISHED, notify=None)
        await sender.idle()

    assert [["two words", "$HOME"]] == sender.command.arguments
    [job] = sender.command.documents
    assert (JOB, "fit", "Finished", None) == (job["id"], job["name"], job["state"], job["reason"])
    [environment] = sender.command.environments
    assert (JOB, "Finished") == (environment["AREX_JOB_ID"], environment["AREX_JOB_STATE"])
    assert "yes" == environment["GIVEN"]
    assert "HOME" not in environment, "not the environment that was given"


async def test_hostile_addresses_in_the_control_file_reach_no_program(sender: Sender) -> None:
    sender.enter(State.FINISHED, notify="e |sh@x -oQ/tmp@x a@x,b@x \x1b@x a@x\u2028Bcc:b@x")

    assert 0 == len(sender.notices)


async def test_a_temporary_failure_is_tried_again_after_a_pause(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    sender.sendmail.then("echo try later; exit 75")
    async with sender.running():
        sender.enter(State.FINISHED)
        await until(lambda: events(caplog) == ["notice.retry"])
        sender.sendmail.then("exit 0")
        sender.clock.advance(timedelta(seconds=59))
        sender.enter(State.FINISHED, job=JobId("other0123456"))
        await until(lambda: len(sender.sendmail.inputs) == 2)  # another mail does not wait
        sender.clock.advance(timedelta(seconds=1))
        await sender.idle()

    assert 3 == len(sender.sendmail.inputs)
    assert sender.sendmail.inputs[0] == sender.sendmail.inputs[2]
    assert ["notice.retry", "notice.sent", "notice.sent"] == events(caplog)


async def test_a_lasting_failure_ends_after_some_hours_with_a_warning_about_the_job(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    sender.sendmail.then("echo down >&2; exit 75")
    async with sender.running():
        sender.enter(State.FINISHED)
        for attempt in range(1, 8):
            await until(lambda attempt=attempt: events(caplog).count("notice.retry") == attempt)  # type: ignore[misc]
            sender.clock.advance(timedelta(hours=1))
        await sender.idle()

    assert 8 == len(sender.sendmail.inputs)
    last = caplog.records[-1]
    assert ("WARNING", "notice.failed", JOB) == (last.levelname, last.__dict__["event"], last.__dict__["job"])
    assert "the mail to me@x has failed for good: 8 attempts, the last one: exit code 75: down" == last.getMessage()


async def test_a_refusal_is_final_and_says_what_the_program_said(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    sender.sendmail.then("echo no such user >&2; exit 67")
    async with sender.running():
        sender.enter(State.FINISHED)
        await sender.idle()

    assert ["notice.failed"] == events(caplog)
    assert "the mail to me@x has failed for good: exit code 67: no such user" in caplog.messages
    assert [] == sender.services.keeper.recent(), "an address of a user is no problem of the service"


async def test_a_program_that_hangs_is_killed_and_not_run_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may have sent the mail."""
    sender = await asyncio.to_thread(Sender, tmp_path, limit_s=2.0)
    sender.offer()
    sender.sendmail.then(f"echo $$ >{tmp_path}/pid; exec sleep 1000")
    async with sender.running():
        sender.enter(State.FINISHED)
        await until(lambda: "notice.failed" in events(caplog))
        sender.sendmail.then("exit 0")
        sender.enter(State.FINISHED)
        await sender.idle()

    assert 2 == len(sender.sendmail.inputs)
    assert any("did not exit within 2 s" in message for message in caplog.messages)
    assert ["mail and notify_command"] == sender.services.keeper.recent()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text(encoding="ascii")), 0)


async def test_a_program_that_does_not_exist_is_shown_and_tried_again(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    away = sender.sendmail.path.with_name("away")
    sender.sendmail.path.rename(away)
    async with sender.running():
        sender.enter(State.FINISHED)
        await until(lambda: events(caplog) == ["notice.retry"])
        shown = sender.services.keeper.faults["mail and notify_command"].message
        away.rename(sender.sendmail.path)
        sender.clock.advance(timedelta(minutes=1))
        await sender.idle()

    assert f"NotStarted: {sender.sendmail.path} could not be started: No such file or directory" == shown
    assert 1 == len(sender.sendmail.inputs)


async def test_a_full_queue_drops_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sender = await asyncio.to_thread(Sender, tmp_path, most=2)
    sender.offer()
    for _ in range(5):
        sender.enter(State.FINISHED)

    assert 2 == len(sender.notices)
    assert ["notice.dropped"] == events(caplog)
    fault = sender.services.keeper.faults["mail and notify_command"]
    assert (3, "QueueFull: 3 mails and commands were dropped, because 2 are waiting") == (fault.count, fault.message)


async def test_mail_that_is_switched_off_while_it_waits_is_not_sent(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    sender.enter(State.FINISHED)
    sender.offer(mail=False)
    async with sender.running():
        await sender.idle()

    assert ([], ["notice.off"]) == (sender.sendmail.inputs, events(caplog))


async def test_a_stop_says_how_much_is_lost(sender: Sender, caplog: pytest.LogCaptureFixture) -> None:
    sender.sendmail.then("exec sleep 1000")
    async with sender.running():
        sender.enter(State.FINISHED)
        sender.enter(State.FINISHED)
        await until(lambda: sender.sendmail.inputs)

    assert ["notice.lost"] == events(caplog)
    assert "the service stops: mails and commands at the end of jobs are lost: 2" in caplog.messages


async def test_files_that_cannot_be_read_now_are_read_again(sender: Sender, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(sender.services.store.root)
    sender.services.store.root.write_text("", encoding="ascii")  # every file in it is an error now
    async with sender.running():
        sender.enter(State.FINISHED)
        await until(lambda: events(caplog) == ["notice.retry"])
        sender.services.store.root.unlink()
        await asyncio.to_thread(sender.services.store.prepare, "me")
        sender.clock.advance(timedelta(minutes=1))
        await sender.idle()

    assert 1 == len(sender.sendmail.inputs)
