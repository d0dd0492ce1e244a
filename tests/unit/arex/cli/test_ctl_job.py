"""``arexctl job``: what an administrator sees and does."""

from __future__ import annotations

import pytest

from arex.controldir.layout import Mark
from arex.model.ids import JobId
from arex.model.state import State
from tests.shell import User


@pytest.fixture
def jobs(user: User) -> dict[str, JobId]:
    new = user.submit()
    done = user.submit("&(executable=/bin/true)(stdout=out.txt)(jobname=done)")
    (user.home / "session" / done / "out.txt").write_text("printed\n")
    user.move(done, State.FINISHED)
    return {"new": new, "done": done}


def marked(user: User, job: str, mark: Mark) -> bool:
    return user.plugin.store.has_mark(JobId(job), mark)


def test_the_list_has_ids_only_or_state_name_and_owner(user: User, jobs: dict[str, JobId]) -> None:
    short, long = user.run("arexctl", "job", "list"), user.run("arexctl", "job", "list", "-l")

    assert sorted(jobs.values()) == short.out.split()
    rows = {line.split()[0]: line.split()[1:] for line in long.out.splitlines()}
    assert ["FINISHED", "done", user.plugin.subject] == rows[jobs["done"]]
    assert ["ACCEPTED", "hello", user.plugin.subject] == rows[jobs["new"]]


def test_the_list_is_filtered_by_state_and_owner(user: User, jobs: dict[str, JobId]) -> None:
    assert [jobs["done"]] == user.run("arexctl", "job", "list", "-s", "FINISHED").out.split()
    assert [] == user.run("arexctl", "job", "list", "-o", "/O=local/CN=other").out.split()
    assert 2 == len(user.run("arexctl", "job", "list", "-o", user.plugin.subject).out.split())


def test_names_of_jobs_cannot_control_the_terminal(user: User) -> None:
    job = user.submit("&(executable=/bin/true)(jobname=x)")
    path = user.home / f"ctl/job.{job}.local"
    path.write_bytes(path.read_bytes().replace(b"jobname=x", b"jobname=\x1b[2Jx"))

    said = user.run("arexctl", "job", "list", "-l")

    assert "\x1b" not in said.out
    assert "?[2Jx" in said.out


def test_the_beginning_of_an_id_is_enough_if_it_is_unique(user: User, jobs: dict[str, JobId]) -> None:
    new, done = jobs["new"], jobs["done"]
    shared = next(number for number in range(20) if new[: number + 1] != done[: number + 1])

    said = user.run("arexctl", "job", "info", done[: shared + 1])
    ambiguous = user.run("arexctl", "job", "info", done[:shared])

    assert "Name\t\t: done\n" in said.out
    assert ambiguous.code == 1


def test_info_has_the_lines_of_arcctl(user: User, jobs: dict[str, JobId]) -> None:
    said = user.run("arexctl", "job", "info", jobs["done"])

    labels = [line.partition(":")[0].strip() for line in said.out.splitlines()]
    assert ["Name", "Owner", "State", "LRMS ID", "Modified"] == labels
    assert "State\t\t: FINISHED\n" in said.out


def test_one_attribute_is_printed_alone_and_an_unknown_one_is_an_error(user: User, jobs: dict[str, JobId]) -> None:
    one, every = (user.run("arexctl", "job", "attr", jobs["done"], *more) for more in (["jobname"], []))
    unknown = user.run("arexctl", "job", "attr", jobs["done"], "nosuch")

    assert "done\n" == one.out
    assert f"{'jobname':<32}: done\n" in every.out
    assert unknown.code == 1
    assert f"There is no such attribute 'nosuch' defined for job {jobs['done']}" in unknown.err


def test_statistics_count_waiting_jobs_apart(user: User, jobs: dict[str, JobId]) -> None:
    (user.home / f"ctl/accepting/job.{jobs['new']}.status").write_text("PENDING:ACCEPTED")

    short, long, total = (user.run("arexctl", "job", "stats", *more).out for more in ([], ["-l"], ["-t"]))

    assert "   ACCEPTED:        0 (1)\n" in short
    assert "   FINISHED:        1 (0)\n" in short
    assert "ACCEPTED\n  Processing:          0\n  Waiting:             1\n" in long
    assert "   Accepted:        1 of unlimited\n" in total
    assert "      Total:        2 of unlimited\n" in total


def test_files_of_a_job_are_printed(user: User, jobs: dict[str, JobId]) -> None:
    script = user.home / f"session/{jobs['done']}.lrms/tag/script"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    (user.home / f"ctl/job.{jobs['done']}.errors").write_text("a line\n")

    assert "printed\n" == user.run("arexctl", "job", "stdout", jobs["done"]).out
    assert "#!/bin/sh\n" == user.run("arexctl", "job", "script", jobs["done"]).out
    assert "a line\n" == user.run("arexctl", "job", "log", jobs["done"]).out


def test_a_script_that_is_a_link_of_the_payload_is_not_printed(user: User, jobs: dict[str, JobId]) -> None:
    place = user.home / f"session/{jobs['done']}.lrms/tag"
    place.mkdir(parents=True)
    (user.home / "secret").write_text("secret")
    (place / "script").symlink_to(user.home / "secret")

    said = user.run("arexctl", "job", "script", jobs["done"])

    assert said.code == 1
    assert "secret" not in said.out


def test_jobs_are_canceled_and_removed(user: User, jobs: dict[str, JobId]) -> None:
    killed = user.run("arexctl", "job", "kill", jobs["new"], "nosuch")
    cleaned = user.run("arexctl", "job", "clean", jobs["done"])

    assert (1, 0) == (killed.code, cleaned.code)
    assert "nosuch" in killed.err
    assert marked(user, jobs["new"], Mark.CANCEL)
    assert not marked(user, jobs["new"], Mark.CLEAN)
    assert marked(user, jobs["done"], Mark.CLEAN)


def test_all_jobs_are_not_affected_by_accident(user: User, jobs: dict[str, JobId]) -> None:
    for word in ("killall", "cleanall"):
        said = user.run("arexctl", "job", word)

        assert said.code == 1
        assert "use -s, -o or --yes" in said.err
    assert not marked(user, jobs["new"], Mark.CANCEL)
    assert not marked(user, jobs["done"], Mark.CLEAN)


def test_all_jobs_are_canceled_but_those_that_have_ended(user: User, jobs: dict[str, JobId]) -> None:
    said = user.run("arexctl", "job", "killall", "--yes")

    assert said.code == 0, said.err
    assert marked(user, jobs["new"], Mark.CANCEL)
    assert not marked(user, jobs["done"], Mark.CANCEL)


def test_all_jobs_of_an_owner_are_removed_if_they_have_ended(user: User, jobs: dict[str, JobId]) -> None:
    said = user.run("arexctl", "job", "cleanall", "-o", user.plugin.subject)

    assert said.code == 0, said.err
    assert marked(user, jobs["done"], Mark.CLEAN)
    assert not marked(user, jobs["new"], Mark.CLEAN)
