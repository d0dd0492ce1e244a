"""``arcsub`` at the shell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arex import daemon
from arex.controldir.store import ControlDir
from arex.model.state import State
from arex.userjobs.joblist import JobList
from tests.shell import User

HELLO = '&(executable=/bin/echo)(arguments="hello world")(stdout=out.txt)(jobname=hello)'


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-T", "local"],
        ["-S", "org.nordugrid.internal"],
        ["-C", "localhost", "-T", "internal", "-Q", "NONE"],
        ["-c", "localhost", "--direct"],
        ["-T", "org.nordugrid.local", "-C", "whatever", "-t", "30", "-d", "DEBUG", "-z", "client.conf"],
    ],
)
def test_a_job_is_named_by_its_session_directory(user: User, options: list[str]) -> None:
    (user.home / "hello.xrsl").write_text(HELLO)

    said = user.run("arcsub", *options, "hello.xrsl")

    [job] = user.plugin.jobs()
    assert (said.code, said.out) == (0, f"Job submitted with jobid: file://{user.home}/session/{job}\n")


def test_a_job_is_in_the_list_of_jobs(user: User) -> None:
    job = user.submit(HELLO)

    [row] = JobList(user.home / ".arc" / "jobs.dat").all()

    assert (row["idfromendpoint"], row["name"], row["stdout"]) == (job, "hello", "out.txt")


def test_another_list_and_a_file_of_ids_are_used(user: User) -> None:
    for _ in range(2):
        user.run("arcsub", "-e", HELLO, "-j", "other.dat", "-o", "ids")

    assert not (user.home / ".arc").exists()
    listed = [row["id"] for row in JobList(user.home / "other.dat").all()]
    assert (user.home / "ids").read_text().splitlines() == listed


def test_without_a_daemon_the_user_learns_how_to_start_it(user: User) -> None:
    said = user.run("arcsub", "-e", HELLO)

    assert "no service is running" in said.err
    assert "arex start" in said.err


def test_what_was_not_submitted_is_listed_and_sets_the_exit_code(user: User) -> None:
    (user.home / "good").write_text(HELLO)
    (user.home / "bad").write_text("&(executable")

    said = user.run("arcsub", "bad", "good")

    assert said.code == 1
    assert "1 of 2 jobs were submitted" in said.out
    assert " * bad: line 1" in said.out


def test_standard_input_is_read(user: User) -> None:
    said = user.run("arcsub", "-", stdin=HELLO.encode())

    assert (said.code, len(user.plugin.jobs())) == (0, 1)


def test_json_names_jobs_and_failures(user: User) -> None:
    said = user.run("arcsub", "--json", "-e", HELLO, "-e", "nothing")

    [job] = user.plugin.jobs()
    [shown], [error] = said.json["jobs"], said.json["errors"]
    assert (job, f"file://{user.home}/session/{job}", "hello") == (shown["id"], shown["url"], shown["name"])
    assert ("-e", "Accepted") == (error["source"], shown["state"])


def test_a_dump_is_adl_and_submits_nothing(user: User) -> None:
    said = user.run("arcsub", "-x", "-e", HELLO)

    assert "<Argument>hello world</Argument>" in said.out
    assert not (user.home / "ctl").exists()


@pytest.mark.parametrize(
    ("language", "start"), [("xrsl", "&( executable"), ("emies:adl", "<?xml"), ("EGEE:jdl", '[\n  Type = "Job"')]
)
def test_a_description_is_printed_in_another_language(user: User, language: str, start: str) -> None:
    """As a separate text, so that it can go into a file."""
    said = user.run("arcsub", "--dump-format", language, "-e", HELLO)

    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(start)
    assert not (user.home / "ctl").exists()


def test_what_a_language_can_not_say_is_named(user: User) -> None:
    said = user.run("arcsub", "-x", "--dump-format", "jdl", "-e", "&(executable=/bin/true)(priority=7)")

    assert said.err == "WARNING: -e: JDL cannot express the priority: 7\n"


def test_an_unknown_language_is_refused(user: User) -> None:
    said = user.run("arcsub", "--dump-format", "jsdl", "-e", HELLO)

    assert said.code == 2
    assert "unknown language 'jsdl'; expected one of xrsl, adl, jdl" in said.err


@pytest.mark.parametrize("option", [[], ["-x"]])
def test_a_mistake_is_shown_in_its_line(user: User, option: list[str]) -> None:
    (user.home / "bad").write_text("&(executable=/bin/true)\n (wall time=5)")

    said = user.run("arcsub", *option, "bad")

    assert said.code == 1
    assert said.err.startswith("ERROR: bad: line 2, column ")
    assert "\n   (wall time=5)\n" in said.err
    assert "^\n" in said.err


def test_arcrun_shows_a_mistake_in_its_line_too(user: User) -> None:
    (user.home / "bad").write_text('[ Executable = "a"\n  StdOutput = "b"; ]')

    said = user.run("arcrun", "bad")

    assert said.code == 1
    assert said.err == (
        "ERROR: arcrun: bad: line 2, column 3: ';' is missing before 'StdOutput'\n    StdOutput = \"b\"; ]\n    ^\n"
    )


@pytest.mark.parametrize("option", [[], ["-x"]])
def test_what_has_no_effect_is_a_warning(user: User, option: list[str]) -> None:
    """Once, though the text makes two jobs."""
    said = user.run(
        "arcsub", "--lenient", *option, "-e",
        '[JobType="Parametric"; Parameters=2; Executable="/bin/true"; Arguments="_PARAM_"; Executabel="x"]',
    )  # fmt: skip

    assert said.code == 0
    assert said.err.count("Unknown attribute 'Executabel'") == 1
    assert "did you mean 'Executable'?" in said.err


def test_what_runs_around_a_job_is_in_its_session_directory(user: User) -> None:
    (user.home / "pro.sh").write_text("#!/bin/sh\n")

    user.run("arcsub", "-e", '[Executable="/bin/true"; Prologue="pro.sh"; InputSandbox="pro.sh"]')

    [session] = (user.home / "session").iterdir()
    assert {path.name for path in session.iterdir()} >= {"pro.sh", "arex-wrapper.sh"}
    assert (session / "arex-wrapper.sh").stat().st_mode & 0o777 == 0o700


def test_a_dry_run_is_marked_in_the_job(user: User) -> None:
    user.run("arcsub", "-D", "-e", HELLO)

    [local] = (user.home / "ctl").glob("job.*.local")
    assert "dryrun=yes" in local.read_text()


def test_the_queue_is_for_jobs_that_name_none(user: User) -> None:
    user.run("arcsub", "-q", "q2", "-e", HELLO, "-e", "&(executable=/bin/true)(queue=q1)")

    queues = {line for path in (user.home / "ctl").glob("job.*.local") for line in path.read_text().splitlines()}
    assert {"queue=q1", "queue=q2"} <= queues


@pytest.mark.parametrize(
    "options", [["-T", "arcrest"], ["-Q", "ldap.glue2"], ["-C", "ce.example.org"], ["-C", "https://localhost/arex"],
                ["-Y", "registry.example.org"]],
)  # fmt: skip
def test_other_services_are_refused_with_the_client_that_reaches_them(user: User, options: list[str]) -> None:
    said = user.run("arcsub", *options, "-e", HELLO)

    assert said.code == 1
    assert "/usr/bin/arcsub" in said.err
    assert not (user.home / "ctl").exists()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "No job description input specified"),
        (["nosuch"], "Can not open job description file: nosuch"),
        (["-d", "LOUD", "-e", HELLO], "'LOUD' is not one of FATAL"),
    ],
)
def test_mistakes_are_one_sentence(user: User, arguments: list[str], what: str) -> None:
    said = user.run("arcsub", *arguments)

    assert said.code != 0
    assert what in said.err
    assert "Traceback" not in said.err


def test_waiting_ends_with_the_job_and_has_its_result(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_: float) -> None:
        [job] = user.plugin.jobs()
        (user.home / "ctl" / f"job.{job}.failed").write_text("LRMS error: (1) no\n")
        user.move(job, State.FINISHED)

    monkeypatch.setattr("plugins.local.follow.time.sleep", end)

    said = user.run("arcsub", "--wait", "-e", HELLO)

    assert said.code == 1
    assert "Failed (exit code 1: no)" in said.err


def test_an_interrupt_keeps_what_was_submitted_in_the_list(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    put_status = ControlDir.put_status
    calls = 0

    def interrupted(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return put_status(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(ControlDir, "put_status", interrupted)

    said = user.run("arcsub", "-e", HELLO, "-e", HELLO)

    listed = [row["idfromendpoint"] for row in JobList(user.home / ".arc" / "jobs.dat").all()]
    assert (said.code, listed) == (130, user.plugin.jobs())
    assert len(list(Path(user.home / "session").iterdir())) == 1


def test_a_repeated_submission_prints_the_same_job(user: User) -> None:
    arguments = ("--submission-id", "mine", "-e", "&(executable=/bin/true)")
    first, again = user.run("arcsub", *arguments), user.run("arcsub", *arguments)

    assert (first.code, again.code) == (0, 0)
    assert first.out == again.out
    assert 1 == len(user.plugin.jobs())


@pytest.mark.parametrize("held", [True, False])
def test_a_service_that_cannot_be_notified_is_a_warning(user: User, held: bool) -> None:
    (user.home / "ctl").mkdir(mode=0o700)
    (user.home / "ctl" / "gm.fifo").mkdir()
    lock = daemon.Lock(user.home / "ctl")
    if held:
        lock.take()

    said = user.run("arcsub", "-e", "&(executable=/bin/true)")
    lock.release()

    assert (said.code, said.out.startswith("Job submitted with jobid: file://")) == (0, True)
    assert ("could not be notified" if held else "no service is running") in said.err


def test_a_description_that_is_not_utf_8_is_refused_with_a_sentence(user: User) -> None:
    said = user.run("arcsub", "-e", os.fsdecode(b'&(executable="/bin/true")(jobname="j\xfcx")'))

    assert 1 == said.code
    assert "ERROR: -e: line 1, column 37: not UTF-8 text" in said.err
