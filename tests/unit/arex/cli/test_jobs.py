"""The commands about jobs, at the shell."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from arex.controldir import codec
from arex.model.local import JobLocal
from arex.model.state import State
from arex.userjobs.joblist import JobList
from tests import environments, permissions
from tests.shell import User


def marks(user: User) -> set[str]:
    names = (path.name for path in (user.home / "ctl" / "accepting").iterdir())
    return {name.rpartition(".")[2] for name in names} - {"status"}


def listed(user: User) -> list[str]:
    return [row["idfromendpoint"] for row in JobList(user.home / ".arc" / "jobs.dat").all()]


def fail(user: User, job: str, why: str = "LRMS error: (3) no", **facts: object) -> None:
    path = user.home / "ctl" / f"job.{job}.local"
    local: JobLocal = codec.parse_local(path.read_bytes())
    path.write_bytes(codec.dump_local(replace(local, **facts)))  # type: ignore[arg-type]
    (user.home / "ctl" / f"job.{job}.failed").write_text(f"{why}\n")
    (user.home / "ctl" / f"job.{job}.diag").write_text("nodename=n1\nexitcode=3\n")
    user.move(job, State.FINISHED)


def test_arcstat_prints_a_block_for_each_job(user: User) -> None:
    job = user.submit()

    said = user.run("arcstat", "-a")

    assert said.out == (
        f"Job: file://{user.home}/session/{job}\n Name: hello\n State: Accepted\n Waiting Position: 1\n"
        f" Waiting: no service is running for {user.home}/ctl; start it with 'arex start'\n\n"
        "Status of 1 jobs was queried, 1 jobs returned information\n"
    )


def test_arcstat_tells_why_a_job_failed(user: User) -> None:
    job = user.submit()
    fail(user, job)

    said = user.run("arcstat", job)

    assert " State: Failed\n Exit Code: 3\n Job Error: LRMS error: (3) no\n Reason: exit code 3: no\n" in said.out


def test_arcstat_as_json_is_json(user: User) -> None:
    job = user.submit()

    [found] = user.run("arcstat", "-J", job).json["jobs"]

    assert found["url"] == f"file://{user.home}/session/{job}"
    assert (found["id"], found["state"], found["queue"]) == (job, "Accepted", "q1")


@pytest.mark.parametrize("how", ["url", "id", "name"])
def test_jobs_are_named_by_url_id_or_name(user: User, how: str) -> None:
    job = user.submit()
    names = {"url": f"file://{user.home}/session/{job}", "id": job, "name": "hello"}

    said = user.run("arcstat", "-p", names[how])

    assert (said.code, said.out) == (0, f"file://{user.home}/session/{job}\n")


@pytest.mark.parametrize("how", ["url", "id", "name"])
def test_jobs_that_are_not_listed_are_found_too(user: User, how: str) -> None:
    job = user.submit()
    names = {"url": f"file://{user.home}/session/{job}", "id": job, "name": "hello"}

    said = user.run("arcstat", "-p", "-j", "empty.dat", names[how])

    assert (said.code, said.out) == (0, f"file://{user.home}/session/{job}\n")


def test_jobs_are_read_from_a_file_and_chosen_by_state(user: User) -> None:
    first, second = user.submit(), user.submit()
    user.move(second, State.PREPARING)
    (user.home / "ids").write_text(f"{first}\n\n{second}\n")

    said = user.run("arcstat", "-p", "-i", "ids", "-s", "preparing")

    assert said.out == f"file://{user.home}/session/{second}\n"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "No jobs given"),
        (["nosuch"], "Job not found in job list: nosuch"),
        (["../../etc/passwd"], "Job not found in job list"),
        (["-a", "-j", "nosuch.dat"], "Job list file (nosuch.dat) doesn't exist"),
    ],
)
@pytest.mark.parametrize("program", ["arcstat", "arckill", "arcget", "arcclean", "arccat", "arcresume", "arcrenew"])
def test_nothing_to_do_is_a_failure_with_arcs_words(user: User, program: str, arguments: list[str], what: str) -> None:
    user.submit()

    said = user.run(program, *arguments)

    assert said.code == 1
    assert what in said.err


@pytest.mark.parametrize("name", ["\x1b[2Jevil", "\x9b2Jevil", "a\rb\tc"])
def test_a_name_cannot_move_the_cursor(user: User, name: str) -> None:
    """A description can't hold most of this, but a file made by hand can."""
    job = user.submit()
    path = user.home / "ctl" / f"job.{job}.local"
    path.write_bytes(path.read_bytes().replace(b"jobname=hello", f"jobname={name}".encode()))
    (user.home / "ctl" / f"job.{job}.failed").write_text(name)
    user.move(job, State.FINISHED)

    said = user.run("arcstat", "-l", "-j", "empty.dat", job)

    assert said.code == 0
    assert not set(said.out + said.err) & {"\x1b", "\x9b", "\r"}


def test_jobs_elsewhere_are_left_out_with_a_warning(user: User) -> None:
    job = user.submit()
    rest = {"id": "https://ce/1", "idfromendpoint": "1", "managementinterfacename": "org.nordugrid.arcrest"}
    JobList(user.home / ".arc" / "jobs.dat").add([rest])

    said = user.run("arcstat", "-a", "-p")

    assert said.out == f"file://{user.home}/session/{job}\n"
    assert "1 jobs of other services" in said.err


def test_arckill_asks_for_the_end_and_the_removal(user: User) -> None:
    user.submit()

    said = user.run("arckill", "hello")

    assert said.out == "Jobs processed: 1, successfully killed: 1, successfully cleaned: 1\n"
    assert (marks(user), listed(user)) == ({"cancel", "clean"}, [])


def test_arckill_keep_only_asks_for_the_end(user: User) -> None:
    job = user.submit()

    said = user.run("arckill", "-k", job)

    assert said.out == "Jobs processed: 1, successfully killed: 1\n"
    assert (marks(user), listed(user)) == ({"cancel"}, [job])


def test_one_failure_stops_no_other_and_sets_the_exit_code(user: User) -> None:
    done, running = user.submit(), user.submit()
    user.move(done, State.FINISHED)

    said = user.run("arckill", "-k", done, running)

    assert (said.code, said.out) == (1, "Jobs processed: 2, successfully killed: 1\n")
    assert "already finished" in said.err


def test_arcclean_removes_finished_jobs(user: User) -> None:
    job = user.submit()
    user.move(job, State.FINISHED)

    said = user.run("arcclean", "-a")

    assert (said.code, said.out) == (0, "Jobs processed: 1, deleted: 1\n")
    assert (marks(user), listed(user)) == ({"clean"}, [])


def test_arcclean_force_forgets_jobs_that_are_gone(user: User) -> None:
    job = user.submit()
    user.plugin.store.forget(job)

    refused, done = user.run("arcclean", job), user.run("arcclean", "-f", job)

    assert (refused.code, done.code, listed(user)) == (1, 0, [])


def test_arcget_copies_and_removes(user: User) -> None:
    job = user.submit()
    (user.home / "session" / job / "out.txt").write_text("well done")
    user.move(job, State.FINISHED)

    said = user.run("arcget", "-D", "results", job)

    assert (user.home / "results" / job / "out.txt").read_text() == "well done"
    assert said.out.endswith("Jobs processed: 1, successfully retrieved: 1, successfully cleaned: 1\n")
    assert (marks(user), listed(user)) == ({"clean"}, [])


def test_arcget_keeps_a_job_with_a_file_that_it_cannot_read(user: User) -> None:
    job = user.submit()
    session = user.home / "session" / job
    (session / "sub").mkdir()
    for name in ("sub/closed", "out.txt"):
        (session / name).write_text("well done")
    (session / "sub" / "closed").chmod(0)
    user.move(job, State.FINISHED)

    with permissions.closed(session / "sub"):
        said = user.run("arcget", job)

    assert (said.code, marks(user), listed(user)) == (1, set(), [job])
    assert "cannot be read, and is not copied: sub/closed: Permission denied" in said.err
    assert (user.home / job / "out.txt").read_text() == "well done"
    assert "successfully retrieved: 0" in said.out


def test_arcget_never_removes_what_it_did_not_copy(user: User) -> None:
    job = user.submit()
    user.move(job, State.FINISHED)
    (user.home / job).mkdir()

    said = user.run("arcget", job)

    assert (said.code, marks(user), listed(user)) == (1, set(), [job])
    assert "already exists" in said.err


@pytest.mark.parametrize(("name", "directory"), [("my job", "my job"), ("../up", None), ("..", None)])
def test_arcget_uses_a_job_s_name_only_if_it_is_one_of_a_directory(
    user: User, name: str, directory: str | None
) -> None:
    job = user.submit(f'&(executable=/bin/true)(jobname="{name}")')
    user.move(job, State.FINISHED)

    user.run("arcget", "-J", "-D", "results", job)

    assert [path.name for path in (user.home / "results").iterdir()] == [directory or job]


def test_arccat_prints_bytes_as_they_are(user: User, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    job = user.submit()
    (user.home / "session" / job / "out.txt").write_bytes(b"caf\xc3\xa9\n")

    assert user.run("arccat", job).out == "café\n"
    assert capfdbinary.readouterr().out == b""


def test_arccat_shows_the_log_and_any_file(user: User) -> None:
    job = user.submit()
    (user.home / "ctl" / f"job.{job}.errors").write_text("log\n")
    (user.home / "session" / job / "data").write_text("data\n")

    assert [user.run("arccat", "-l", job).out, user.run("arccat", "-f", "data", job).out] == ["log\n", "data\n"]


def test_arccat_does_not_read_other_files(user: User) -> None:
    job = user.submit()
    (user.home / "secret").write_text("secret")

    said = user.run("arccat", "-f", "../../secret", job)

    assert (said.code, said.out) == (1, "")


def test_arcls_lists_a_session_and_a_directory_in_it(user: User) -> None:
    job = user.submit()
    (user.home / "session" / job / "res").mkdir()
    (user.home / "session" / job / "res" / "a\x1bb").touch()

    whole = user.run("arcls", job)
    part = user.run("arcls", f"file://{user.home}/session/{job}/res")

    assert (whole.out, part.out) == ("res/\n", "a?b\n")
    assert user.run("arcls", "-l", f"{job}/res").out.startswith("-rw")


def test_arcresume_says_why_not(user: User) -> None:
    fine, spent = user.submit(), user.submit()
    user.move(fine, State.FINISHED)
    fail(user, spent, failedstate=State.INLRMS, rerun=0)

    said = user.run("arcresume", fine, spent)

    assert (said.code, said.out) == (1, "Jobs processed: 2, resumed: 0\n")
    assert "Job has not failed" in said.err
    assert "No more restarts allowed" in said.err


def test_arcresume_asks_for_a_restart(user: User) -> None:
    job = user.submit()
    fail(user, job, failedstate=State.INLRMS, rerun=2)

    assert user.run("arcresume", job).out == "Jobs processed: 1, resumed: 1\n"
    assert marks(user) == {"restart"}


@pytest.mark.parametrize(
    ("program", "mark", "said"), [("archold", "hold", "held"), ("arcrelease", "release", "released")]
)
def test_jobs_are_held_and_released(user: User, program: str, mark: str, said: str) -> None:
    jobs = [user.submit(), user.submit()]

    assert user.run(program, *jobs).out == f"Jobs processed: 2, asked to be {said}: 2\n"
    assert marks(user) == {mark}


def test_what_has_ended_can_not_be_held(user: User) -> None:
    job = user.submit()
    user.move(job, State.FINISHED)

    said = user.run("archold", job)

    assert said.code == 1
    assert "already finished" in said.err


def test_arcstat_shows_the_evidence(user: User) -> None:
    job = user.submit()
    lrms = user.home / "session" / f"{job}.lrms"
    lrms.mkdir()
    (lrms / "evidence").write_text("phase=E\ndoubt=no record yet\nscan=COMPLETED\n")

    said = user.run("arcstat", "--evidence", job)
    document = json.loads(user.run("arcstat", "--evidence", "--json", job).out)

    assert " Doubt: no record yet\n Batch system: COMPLETED\n" in said.out
    assert {"phase": "E", "doubt": "no record yet", "scan": "COMPLETED"} == document["jobs"][0]["evidence"]


def test_arcrenew_says_that_there_is_nothing_to_renew(user: User) -> None:
    said = user.run("arcrenew", user.submit())

    assert said.code == 1
    assert "nothing to renew" in said.err


def test_arcsync_makes_the_list_again(user: User) -> None:
    jobs = {user.submit(), user.submit()}
    before = JobList(user.home / ".arc" / "jobs.dat").all()
    os.unlink(user.home / ".arc" / "jobs.dat")

    said = user.run("arcsync")

    after = JobList(user.home / ".arc" / "jobs.dat").all()
    assert (said.code, set(listed(user))) == (0, jobs)
    assert sorted(row["id"] for row in before) == sorted(row["id"] for row in after)
    assert {row["stdout"] for row in after} == {"out.txt"}


def test_arcsync_keeps_rows_that_are_there(user: User) -> None:
    user.submit()
    before = JobList(user.home / ".arc" / "jobs.dat").all()

    user.run("arcsync")

    assert JobList(user.home / ".arc" / "jobs.dat").all() == before


def test_arctest_submits_its_jobs(user: User) -> None:
    said = [user.run("arctest", "-J", number) for number in (1, 2, 99)]

    assert [one.code for one in said] == [0, 0, 1]
    assert len(user.plugin.jobs()) == 2


def test_arctest_without_a_credential_says_that_none_is_needed(user: User) -> None:
    said = user.run("arctest", "-E")

    assert "Jobs on this host need none" in said.out
    assert "Owner of new jobs: /O=local/CN=" in said.out


def test_arcinfo_without_a_service_says_so(user: User) -> None:
    said = user.run("arcinfo")

    assert said.code == 1
    assert "not running" in said.out


def test_arcinfo_reads_what_is_published(user: User) -> None:
    fixture = environments.DATA / "fixtures" / "_misc" / "real_daemon" / "info.xml"
    (user.home / "ctl").mkdir()
    (user.home / "ctl" / "info.xml").write_bytes(fixture.read_bytes())

    said = user.run("arcinfo", "--json")

    assert (said.code, said.json["running"]) == (0, False)
    assert said.json["service"]["shares"]


def test_arcstat_long_shows_what_a_job_has_asked_for(user: User) -> None:
    job = user.submit("&(executable=/bin/true)(memory=100)(count=2)(walltime=10)(jobname=hello)")

    assert " Requested Memory: 100 MB for each slot\n" in user.run("arcstat", "-l", job).out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(["-S", "locl"], "did you mean local?"), (["-c", "x.conf"], "to name a configuration file, use --config x.conf")],
)
def test_a_wrong_endpoint_has_a_hint(user: User, arguments: list[str], hint: str) -> None:
    (user.home / "x.conf").write_text("[common]\n")

    said = user.run("arcsub", *arguments, "-e", "&(executable=/bin/true)")

    assert said.code != 0
    assert hint in said.err
