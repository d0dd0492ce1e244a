"""``arcresub`` at the shell."""

from __future__ import annotations

import pytest

from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.model.ids import JobId
from arex.model.state import State
from arex.userjobs.joblist import JobList
from tests.shell import User

WITH_INPUT = '&(executable=run.sh)(inputfiles=("in" "data.txt"))(stdout=o)(jobname=hello)(queue=q2)'


def ended(user: User, text: str = WITH_INPUT, *, failed: bool = False) -> JobId:
    (user.home / "run.sh").write_text("#!/bin/sh\n")
    (user.home / "data.txt").write_text("numbers")
    job = user.submit(text)
    user.move(job, State.FINISHED)
    if failed:
        (user.home / "ctl" / f"job.{job}.failed").write_text("it did not work\n")
    return job


def description(user: User, job: str) -> JobDescription:
    text = user.plugin.store.read(JobId(job), "description")
    assert text is not None
    return parse(text, DescriptionDialect.GRIDMANAGER)[0]


def other(user: User, *old: str) -> str:
    [job] = set(user.plugin.jobs()) - set(old)
    return job


def marks(user: User, job: str) -> set[str]:
    return {path.name.rpartition(".")[2] for path in (user.home / "ctl").glob(f"*/job.{job}.c*")}


def test_a_job_is_submitted_again_and_the_old_one_is_removed(user: User) -> None:
    old = ended(user)

    said = user.run("arcresub", "hello")

    new = other(user, old)
    url = f"file://{user.home}/session/{new}"
    assert (said.code, said.out) == (
        0,
        f"Job submitted with jobid: {url}\nJobs processed: 1, successfully resubmitted: 1\n",
    )
    assert [row["id"] for row in JobList(user.home / ".arc" / "jobs.dat").all()] == [url]
    assert marks(user, old) == {"clean"}
    was, now = description(user, old), description(user, new)
    assert now.activity_ids == (f"file://{user.home}/session/{old}",)
    assert (now.resources, now.inputs, now.name) == (was.resources, was.inputs, "hello")
    assert (user.home / "session" / new / "in").read_text() == "numbers"


def test_the_service_knows_the_old_id(user: User) -> None:
    old = ended(user)

    user.run("arcresub", old)

    local = (user.home / "ctl" / f"job.{other(user, old)}.local").read_text()
    assert f"activityid=file://{user.home}/session/{old}\n" in local


def test_the_old_job_can_be_kept(user: User) -> None:
    old = ended(user)

    user.run("arcresub", "--keep", "-q", "q1", "-o", "ids", old)

    assert len(JobList(user.home / ".arc" / "jobs.dat").all()) == 2
    assert marks(user, old) == set()
    new = other(user, old)
    assert description(user, new).resources.queue == "q1"
    assert (user.home / "ids").read_text() == f"file://{user.home}/session/{new}\n"


def test_all_failed_jobs_are_submitted_again(user: User) -> None:
    good, bad = ended(user), ended(user, failed=True)

    said = user.run("arcresub", "--failed")

    assert "Jobs processed: 1, successfully resubmitted: 1" in said.out
    assert (marks(user, good), marks(user, bad)) == (set(), {"clean"})


def test_a_job_that_has_not_ended_is_refused(user: User) -> None:
    job = user.submit()

    refused = user.run("arcresub", job)
    forced = user.run("arcresub", "--force", job)

    assert refused.code == 1
    assert "Job has not finished yet (Accepted): wait, or use --force" in refused.err
    assert "Jobs processed: 1, successfully resubmitted: 0" in refused.out
    assert forced.code == 0
    assert marks(user, job) == {"cancel", "clean"}


def test_without_its_source_an_input_is_taken_from_the_session(user: User) -> None:
    old = ended(user)
    (user.home / "data.txt").unlink()
    (user.home / "session" / old / "in").write_text("still there")

    assert user.run("arcresub", "--keep", old).code == 0

    assert (user.home / "session" / other(user, old) / "in").read_text() == "still there"


def test_inputs_that_are_gone_are_named(user: User) -> None:
    old = ended(user)
    for name in ("in", "run.sh"):
        (user.home / "session" / old / name).unlink()
    for name in ("data.txt", "run.sh"):
        (user.home / name).unlink()

    said = user.run("arcresub", old)

    assert said.code == 1
    assert "these input files are gone, here and in the session directory: in, run.sh" in said.err
    assert user.plugin.jobs() == [old]
    assert marks(user, old) == set()


def test_a_job_that_is_not_in_the_list_uses_its_session(user: User) -> None:
    old = ended(user)
    (user.home / ".arc" / "jobs.dat").unlink()

    assert user.run("arcresub", "--keep", old).code == 0


def test_a_job_without_description_is_named(user: User) -> None:
    old = ended(user)
    (user.home / "ctl" / f"job.{old}.description").unlink()

    said = user.run("arcresub", old)

    assert said.code == 1
    assert "the service has no description of this job any more" in said.err


def test_a_job_of_an_array_stays_in_it(user: User) -> None:
    user.run("arcsub", "--array", "1-2", "--", "/bin/echo", "$X", "{index}")
    jobs = user.plugin.jobs()
    for job in jobs:
        user.move(job, State.FINISHED)

    user.run("arcresub", "--keep", jobs[0])

    new = other(user, *jobs)
    was, now = description(user, jobs[0]), description(user, new)
    assert (now.labels, now.arguments, now.environment) == (was.labels, was.arguments, was.environment)


def test_json_pairs_new_and_old_ids(user: User) -> None:
    old = ended(user)

    said = user.run("arcresub", "--json", old)

    assert said.json["resubmitted"] == [{"old": old, "new": other(user, old)}]


@pytest.mark.parametrize("args", [[], ["nosuch"]])
def test_without_jobs_nothing_happens(user: User, args: list[str]) -> None:
    assert user.run("arcresub", *args).code == 1


def test_a_job_that_was_submitted_again_says_as_what(user: User) -> None:
    job = user.submit()
    (user.home / "ctl" / f"job.{job}.failed").write_text("LRMS error: (9) Job finished with wrong exit code - 9 != 0\n")
    user.move(job, State.FINISHED)

    assert 0 == user.run("arcresub", job).code
    for path in (user.home / "ctl").rglob(f"*{job}*"):
        path.unlink()
    [new] = user.plugin.jobs()

    said = user.run("arcstat", job)
    assert " Reason: exit code 9\n" in said.out
    assert f"(submitted again as {new})" in said.out
