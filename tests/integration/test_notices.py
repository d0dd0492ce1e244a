"""A real service with real jobs, which sends mail through a program of the test and runs a command."""

from __future__ import annotations

import asyncio
import email
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from tests.unit.arex.gm.notices.programs import Recorder, recorder

ROOT = Path(__file__).parents[2]


class Person:
    """Someone who runs a service and its clients, in a separate home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.sendmail = recorder(home)
        self.command = recorder(home, "command")
        self.offer()

    def offer(self, *options: str) -> None:
        (self.home / "arc.conf").write_text(
            f"[common]\n[lrms]\nlrms=fork\n[arex]\ncontroldir={self.home}/ctl\nsessiondir={self.home}/session\n"
            f"pidfile={self.home}/run/arex.pid\njoblog={self.home}/run/jobs.log\nlogfile={self.home}/run/arex.log\n"
            "[arex/service]\nfork_slots=2\n" + "".join(f"{option}\n" for option in options) + "[queue:q1]\n",
            encoding="utf-8",
        )

    async def start(self, program: str, *args: str) -> asyncio.subprocess.Process:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("X509", "ARC_"))}
        environment = {
            **kept, "HOME": str(self.home), "ARC_CONFIG": f"{self.home}/arc.conf", "PYTHONPATH": str(ROOT),
            "VIRTUAL_ENV": sys.prefix, "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
        }  # fmt: skip
        argv = [sys.executable, "-c", f"from arex.cli import entry; entry.{program}()", *args]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*argv, cwd=self.home, env=environment, stdout=pipe, stderr=pipe)

    async def run(self, program: str, *args: str) -> tuple[int, str, str]:
        process = await self.start(program, *args)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    def mails(self) -> list[EmailMessage]:
        return [email.message_from_bytes(data, policy=default) for data in self.sendmail.inputs]


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(60):
        while not (value := condition()):
            await asyncio.sleep(0.02)
        return value


async def serve(person: Person) -> asyncio.subprocess.Process:
    service = await person.start("arex", "run", "--allow-root")
    await until((person.home / "run/arex.pid").exists)
    return service


async def stop(service: asyncio.subprocess.Process) -> None:
    if service.returncode is None:
        service.send_signal(signal.SIGTERM)
    await service.communicate()


@pytest.fixture
async def person(tmp_path: Path) -> AsyncIterator[Person]:
    person = Person(tmp_path)
    person.offer(f"sendmail={person.sendmail.path}", f"notify_command={person.command.path} 'two words'")
    service = await serve(person)
    try:
        yield person
    finally:
        await stop(service)


def has_ended(program: Recorder, number: int) -> Callable[[], bool]:
    return lambda: len(program.inputs) >= number


async def test_a_failed_job_sends_mail_and_the_command_knows_all_about_it(person: Person) -> None:
    job = (
        '&(executable=/bin/sh)(arguments=-c "exit 9")(jobname="fit 7")(notify="be me@example.org" "e you@example.org")'
    )

    code, out, err = await person.run("arcsub", "--label", "run=7", "-e", job)
    assert (0, "") == (code, err)
    await until(has_ended(person.sendmail, 3))
    await until(has_ended(person.command, 1))

    first, *last = person.mails()
    assert ("me@example.org", "arex: fit 7 is being prepared") == (first["To"], first["Subject"])
    assert [
        ("me@example.org", "arex: fit 7 failed: exit code 9"), ("you@example.org", "arex: fit 7 failed: exit code 9"),
    ] == [(mail["To"], mail["Subject"]) for mail in last]  # fmt: skip
    assert "Exit code:    9" in last[0].get_content().splitlines()
    [document] = person.command.documents
    assert out.strip().endswith(document["id"])
    assert ("fit 7", "Failed", 9, {"run": "7"}) == (
        document["name"], document["state"], document["exit_code"], document["labels"]
    )  # fmt: skip
    assert ("exit_code", "exit code 9") == (document["reason"]["kind"], document["reason"]["text"])
    assert Path(document["sessiondir"]).is_dir()
    assert [["two words"]] == person.command.arguments


async def test_programs_of_the_site_get_no_python_environment_of_the_service(person: Person) -> None:
    await person.run("arcrun", "-e", '&(executable=/bin/true)(notify="e me@example.org")')
    await until(has_ended(person.sendmail, 1))
    await until(has_ended(person.command, 1))

    for environment in (*person.sendmail.environments, *person.command.environments):
        assert {"VIRTUAL_ENV", "PYTHONPATH"}.isdisjoint(environment)
        assert f"{sys.prefix}/bin" not in environment["PATH"].split(":")
        assert str(person.home) == environment["HOME"]


async def test_a_kill_of_the_service_sends_no_mail_twice(tmp_path: Path) -> None:
    person = Person(tmp_path)
    person.offer(f"sendmail={person.sendmail.path}")
    service = await serve(person)
    await person.run("arcsub", "-e", '&(executable=/bin/true)(jobname=old)(notify="e me@example.org")')
    await until(has_ended(person.sendmail, 1))
    service.kill()
    await service.communicate()
    (tmp_path / "run/arex.pid").unlink()

    service = await serve(person)
    try:
        await person.run("arcsub", "-e", '&(executable=/bin/true)(jobname=new)(notify="e me@example.org")')
        await until(has_ended(person.sendmail, 2))
    finally:
        await stop(service)

    assert ["arex: old finished", "arex: new finished"] == [mail["Subject"] for mail in person.mails()]


async def test_a_reload_begins_to_send_mail_and_the_warning_of_clients_ends(tmp_path: Path) -> None:
    person = Person(tmp_path)
    job = '&(executable=/bin/true)(notify="e me@example.org")'
    service = await serve(person)
    try:
        code, _, err = await person.run("arcsub", "-e", job)
        assert (0, True) == (code, "no mail is sent from here" in err)
        await person.run("arcstat", "-w", "-a")
        person.offer(f"sendmail={person.sendmail.path}")
        assert "the configuration is in effect\n" == (await person.run("arex", "reload"))[1]

        code, _, err = await person.run("arcsub", "-e", job)
        assert (0, "") == (code, err)
        await until(has_ended(person.sendmail, 1))
    finally:
        await stop(service)

    assert 1 == len(person.sendmail.inputs)


async def test_a_sendmail_that_hangs_holds_up_no_job(person: Person) -> None:
    person.sendmail.then("exec sleep 1000")
    job = '&(executable=/bin/true)(notify="e me@example.org")'
    await person.run("arcrun", "-e", job)
    await until(has_ended(person.sendmail, 1))

    code, _, err = await person.run("arcrun", "-e", job)

    assert 0 == code, err
    assert 1 == len(person.sendmail.inputs), "the second mail waits for the first"
