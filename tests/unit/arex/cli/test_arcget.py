"""Results are never overwritten or lost, and failures are said."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from arex.controldir import codec
from arex.model.arc import CANCELLED
from arex.model.local import JobLocal
from arex.model.state import State
from arex.userjobs.joblist import JobList
from plugins.local import LocalPlugin
from tests.shell import User


def finished(user: User, content: str = "done", name: str = "twin", failure: str = "") -> str:
    job = user.submit(f'&(executable=/bin/true)(stdout=out.txt)(jobname="{name}")')
    (user.home / "session" / job / "out.txt").write_text(content)
    if failure:
        (user.home / "ctl" / f"job.{job}.failed").write_text(f"{failure}\n")
    user.move(job, State.FINISHED)
    return job


def listed(user: User) -> list[str]:
    return [row["idfromendpoint"] for row in JobList(user.home / ".arc" / "jobs.dat").all()]


def contents(directory: Path) -> dict[str, str]:
    return {path.name: (path / "out.txt").read_text() for path in directory.iterdir()}


@pytest.mark.parametrize("force", [[], ["-f"]])
def test_jobs_of_one_name_get_directories_of_their_own_names(user: User, force: list[str]) -> None:
    _, second, third = (finished(user, content) for content in ("first", "second", "third"))

    said = user.run("arcget", "-a", "-J", "-D", "results", *force)

    assert 0 == said.code
    assert {"twin": "first", f"twin-{second[:8]}": "second", f"twin-{third[:8]}": "third"} == contents(
        user.home / "results"
    )
    assert f"Results stored at: results/twin-{second[:8]}\n" in said.out
    assert [] == listed(user)


def test_a_name_of_an_earlier_command_is_not_taken_again(user: User) -> None:
    finished(user, "first")
    user.run("arcget", "-a", "-J", "-D", "results")
    second = finished(user, "second")

    said = user.run("arcget", "-a", "-J", "-D", "results")

    assert 0 == said.code
    assert {"twin": "first", f"twin-{second[:8]}": "second"} == contents(user.home / "results")


def test_force_overwrites_results_of_earlier_commands_only(user: User) -> None:
    finished(user, "old")
    user.run("arcget", "-a", "-J", "-D", "results")
    finished(user, "new")
    last = finished(user, "newer")

    user.run("arcget", "-a", "-J", "-f", "-D", "results")

    assert {"twin": "new", f"twin-{last[:8]}": "newer"} == contents(user.home / "results")


def test_a_failure_is_said_with_its_reason_and_counted(user: User) -> None:
    finished(user, name="good")
    bad = finished(user, name="bad", failure="LRMS error: (9) Job finished with wrong exit code - 9 != 0")

    said = user.run("arcget", "-a")

    assert f"Results stored at: {bad} (failed: exit code 9)\n" in said.out
    assert said.out.endswith("Of the retrieved jobs: 1 finished, 1 failed\n")


def test_facts_and_log_lie_beside_the_results(user: User) -> None:
    job = finished(user, failure="LRMS error: (9) Job finished with wrong exit code - 9 != 0")
    (user.home / "ctl" / f"job.{job}.errors").write_text("2026-11-20T08:49:00Z a line\n")

    user.run("arcget", job)

    value = json.loads((user.home / job / "job.json").read_text())
    assert (job, "Failed", "exit code 9") == (value["id"], value["state"], value["reason"]["text"])
    assert (user.home / job / "job.log").read_text() == "2026-11-20T08:49:00Z a line\n"


def test_files_of_the_job_are_not_replaced_by_facts(user: User) -> None:
    job = finished(user)
    for name in ("job.json", "job.log"):
        (user.home / "session" / job / name).write_text("mine")

    user.run("arcget", job)

    assert {"mine"} == {(user.home / job / name).read_text() for name in ("job.json", "job.log")}


def test_a_link_in_the_results_does_not_lead_the_facts_elsewhere(user: User) -> None:
    job = finished(user)
    (user.home / "precious").write_text("mine")
    (user.home / "session" / job / "job.json").symlink_to(user.home / "precious")

    user.run("arcget", "-f", job)

    assert "mine" == (user.home / "precious").read_text()


def test_an_interrupt_leaves_list_and_service_in_step(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [finished(user, str(number), f"job{number}") for number in range(3)]
    fetch, calls = LocalPlugin.fetch, 0

    def interrupted(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return fetch(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalPlugin, "fetch", interrupted)
    said = user.run("arcget", "-a", "-D", "results")

    assert 130 == said.code
    assert "interrupted: 2 of 3 jobs retrieved; run the command again for the other 1" in said.err
    cleaned = {path.name.split(".")[1] for path in (user.home / "ctl" / "accepting").glob("*.clean")}
    assert (set(jobs[:2]), jobs[2:]) == (cleaned, listed(user))

    monkeypatch.setattr(LocalPlugin, "fetch", fetch)
    again = user.run("arcget", "-a", "-D", "results")
    assert 0 == again.code
    assert {job: str(number) for number, job in enumerate(jobs)} == contents(user.home / "results")


def test_a_fetched_job_still_has_an_answer(user: User) -> None:
    job = finished(user, failure=CANCELLED)
    user.run("arcget", "-J", job)
    for path in (user.home / "ctl").rglob(f"*{job}*"):
        path.unlink()

    by_id, by_name, short = (user.run("arcstat", how) for how in (job, "twin", job[:6]))

    assert by_id.out == by_name.out == short.out
    assert " State: Killed\n" in by_id.out
    assert f" Results stored at: {user.home}/twin\n" in by_id.out
    assert re.search(r"^ Left the service: 20\d\d-", by_id.out, re.MULTILINE)
    [value] = user.run("arcstat", "--json", job).json["jobs"]
    assert (job, "Killed", f"{user.home}/twin") == (value["id"], value["state"], value["results"])
    assert job[:8] in user.run("arcstat", "--table", "--history", "-a").out


def test_a_cleaned_job_is_in_the_history_without_results(user: User) -> None:
    job = finished(user)
    user.run("arcclean", job)
    for path in (user.home / "ctl").rglob(f"*{job}*"):
        path.unlink()

    [value] = user.run("arcstat", "--json", job).json["jobs"]

    assert ("Finished", None) == (value["state"], value["results"])


def test_the_history_does_not_select_jobs_for_other_commands(user: User) -> None:
    job = finished(user)
    user.run("arcget", job)
    for path in (user.home / "ctl").rglob(f"*{job}*"):
        path.unlink()

    assert 1 == user.run("arcclean", job).code


def test_kept_jobs_stay_in_the_list_and_out_of_the_history(user: User) -> None:
    job = finished(user)

    user.run("arcget", "-k", job)

    assert [job] == listed(user)
    assert not (user.home / ".arc" / "jobs.dat.history").exists()


def test_a_broken_history_costs_no_result(user: User) -> None:
    job = finished(user)
    (user.home / ".arc" / "jobs.dat.history").write_text("not a database, but longer than the header of one" * 9)

    said = user.run("arcget", job)

    assert (0, []) == (said.code, listed(user))
    assert "the history of jobs" in said.err
    assert (user.home / job / "out.txt").exists()


def test_the_document_says_where_the_results_are(user: User) -> None:
    job = finished(user)

    said = user.run("arcget", "--json", job)

    [value] = said.json["jobs"]
    assert (job, f"{user.home}/{job}", 1) == (value["id"], value["results"], said.json["cleaned"])


def test_a_script_with_windows_line_ends_is_named(user: User) -> None:
    (user.home / "crlf.sh").write_bytes(b"#!/bin/bash\r\necho hi\r\n")
    job = user.submit('&(executable=crlf.sh)(stdout=out.txt)(jobname="crlf")')
    plugin = user.plugin
    grami = plugin.store.read(job, "grami")
    assert grami is not None
    (user.home / "ctl" / f"job.{job}.failed").write_text(
        "LRMS error: (127) Job finished with wrong exit code - 127 != 0\n"
    )
    (user.home / "ctl" / f"job.{job}.diag").write_text("exitcode=127\n")
    user.move(job, State.FINISHED)

    assert (
        "crlf.sh has Windows line ends, so its interpreter '/bin/bash\\r' does not exist"
        in user.run("arcstat", job).out
    )


def labelled(user: User, job: str, **labels: str) -> None:
    path = user.home / "ctl" / f"job.{job}.local"
    local: JobLocal = codec.parse_local(path.read_bytes())
    extra = tuple(("label", f"{key}={value}") for key, value in labels.items())
    path.write_bytes(codec.dump_local(replace(local, extra=extra)))


def test_the_id_of_an_array_selects_its_jobs_in_the_order_of_their_indices(user: User) -> None:
    jobs = [finished(user, name=f"part{number}") for number in range(3)]
    for job, index in zip(jobs, (2, 10, 1), strict=True):
        labelled(user, job, parent="PARENTabcdef", index=str(index))
    finished(user, name="other")

    whole, part = user.run("arcstat", "-p", "PARENTabcdef"), user.run("arcstat", "-p", "PARENTab")

    assert [jobs[2], jobs[0], jobs[1]] == [line.rpartition("/")[2] for line in whole.out.splitlines()]
    assert whole.out == part.out


def gone(user: User, *jobs: str) -> None:
    for job in jobs:
        for path in (user.home / "ctl").rglob(f"*{job}*"):
            path.unlink()


def test_filters_select_jobs_of_the_past_too(user: User) -> None:
    one, other = finished(user, name="sim1"), finished(user, name="other")
    user.run("arcget", one, other)
    gone(user, one, other)

    said = user.run("arcstat", "--history", "--name", "sim*", "--json")

    assert [one] == [job["id"] for job in said.json["jobs"]]


def test_a_canceled_job_is_killed_in_the_history_and_its_time_stands_still(user: User) -> None:
    job = user.submit()
    user.run("arckill", job)
    gone(user, job)

    [value] = user.run("arcstat", "--json", job).json["jobs"]

    assert ("Killed", "canceled by its owner") == (value["state"], value["reason"]["text"])
    assert " Left the service: " in user.run("arcstat", job).out


def test_an_array_is_found_in_the_history_by_its_id(user: User) -> None:
    jobs = [finished(user, name=f"part{number}") for number in range(2)]
    for number, job in enumerate(jobs):
        labelled(user, job, parent="PARENTabcdef", index=str(number))
    user.run("arcget", "PARENTabcdef")
    gone(user, *jobs)

    assert 0 == user.run("arcstat", "PARENTabcdef").code
    assert set(jobs) == {job["id"] for job in user.run("arcstat", "--json", "PARENTab").json["jobs"]}


def test_without_a_service_a_kill_says_when_it_takes_effect(user: User) -> None:
    said = user.run("arckill", user.submit())

    assert "the jobs are canceled and removed as soon as it is started" in said.err
