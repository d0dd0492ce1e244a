"""Commands and files that a payload has spoiled, and arguments that are not UTF-8."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest

from arex.model.state import State
from tests.shell import User


@pytest.mark.parametrize("kind", ["socket", "link", "directory", "pipe"])
def test_a_local_file_that_cannot_be_read_concerns_only_its_job(
    user: User, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = user.submit(), user.submit()
    user.move(good, State.FINISHED)
    path = user.home / "ctl" / f"job.{bad}.local"
    path.unlink()
    match kind:
        case "socket":
            monkeypatch.chdir(path.parent)  # the path of a socket must be short
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as one:
                one.bind(path.name)
        case "link":
            path.symlink_to("/etc/passwd")
        case "directory":
            path.mkdir()
        case _:
            os.mkfifo(path)

    said = user.run("arcclean", "nosuch", good)

    assert (0, "Jobs processed: 1, deleted: 1\n") == (said.code, said.out)
    assert f"WARNING: can't read job {bad}: " in said.err
    assert "WARNING: Job not found in job list: nosuch" in said.err
    assert ["clean"] == [path.suffix[1:] for path in (user.home / "ctl" / "accepting").glob(f"job.{good}.*")]


def test_evidence_that_cannot_be_read_is_a_doubt_about_its_job(user: User) -> None:
    bad, good = user.submit(), user.submit()
    (user.home / "session" / f"{bad}.lrms").mkdir()
    (user.home / "session" / f"{bad}.lrms" / "evidence").symlink_to("/etc/passwd")

    said = user.run("arcstat", "--evidence", bad, good)

    assert 0 == said.code
    assert " Doubt: the evidence cannot be read: " in said.out
    assert "Status of 2 jobs was queried, 2 jobs returned information" in said.out


def test_a_description_that_cannot_be_read_does_not_stop_arcsync(user: User) -> None:
    bad, good = user.submit(), user.submit()
    (user.home / "ctl" / f"job.{bad}.description").unlink()
    (user.home / "ctl" / f"job.{bad}.description").symlink_to("/etc/passwd")
    (user.home / ".arc" / "jobs.dat").unlink()

    said = user.run("arcsync")

    assert (0, "Total number of jobs found: 2\nTotal number of jobs in the list: 2\n") == (said.code, said.out)
    assert f"session/{bad}: " in said.err
    assert 0 == user.run("arcstat", "-a").code
    assert good in user.run("arcstat", "-a").out


@pytest.mark.parametrize(
    "program",
    ["arcstat", "arckill", "arcclean", "arcget", "arccat", "arcls", "arcrenew", "archold", "arcrelease", "arcresume"],
)
def test_a_job_whose_name_is_not_utf_8_is_no_such_job(user: User, program: str) -> None:
    user.submit()

    said = user.run(program, os.fsdecode(b"\xff"))

    assert 1 == said.code
    assert "Job not found in job list" in said.err


def test_a_name_that_is_not_utf_8_can_be_listed_and_found(user: User) -> None:
    job = user.submit()
    path = user.home / "ctl" / f"job.{job}.local"
    path.write_bytes(path.read_bytes().replace(b"jobname=hello", b"jobname=j\xfcx"))

    synced = user.run("arcsync", "-T", "-f")
    [found] = user.run("arcstat", "--json", os.fsdecode(b"j\xfcx")).json["jobs"]

    assert (0, job) == (synced.code, found["id"])


def test_arcsync_replaces_a_list_of_jobs_that_is_none_and_keeps_the_old_file(user: User) -> None:
    job = user.submit()
    path = user.home / ".arc" / "jobs.dat"
    path.write_text("this is no database, however long it may be " * 50)

    without = user.run("arcsync", "-f")
    said = user.run("arcsync", "-T", "-f")

    assert 1 == without.code
    assert "'arcsync -T' moves the file aside" in without.err
    assert (0, "Total number of jobs found: 1\nTotal number of jobs in the list: 1\n") == (said.code, said.out)
    assert str(path.with_name("jobs.dat.broken-1")) in said.err
    assert path.with_name("jobs.dat.broken-1").read_text().startswith("this is no database")
    assert job in user.run("arcstat", "-a").out


def test_arcsync_keeps_every_broken_list(user: User) -> None:
    user.submit()
    path = user.home / ".arc" / "jobs.dat"
    for _ in range(2):
        path.write_text("this is no database, however long it may be " * 50)
        assert 0 == user.run("arcsync", "-T", "-f").code

    assert ["jobs.dat.broken-1", "jobs.dat.broken-2"] == sorted(each.name for each in path.parent.glob("*.broken*"))
