"""``jobs.dat`` is shared: ARC's clients and ours list, change and clean the same jobs."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.interop.grid import Job, Site
from tests.interop.jobs import FAIL3, HELLO, SLEEP


@pytest.fixture
def listing(ours: Site, request: pytest.FixtureRequest) -> Path:
    """A list of the test's own."""
    return ours.home / f"{request.node.name}.dat"


def theirs(site: Site, listing: Path, *descriptions: str) -> list[Job]:
    return site.arc_submit(*descriptions, name="listed", more=["-Q", "NONE", "-j", str(listing)])


def own(site: Site, listing: Path, *descriptions: str) -> list[Job]:
    return site.submit(*descriptions, name="listed-own", more=["-j", str(listing)])


def row(listing: Path, job: Job) -> dict[str, str]:
    with sqlite3.connect(f"file:{listing}?mode=ro", uri=True) as data:
        data.row_factory = sqlite3.Row
        [found] = data.execute("SELECT * FROM jobs WHERE id = ?", (job.url,))
    data.close()
    return dict(found)


def test_their_arcstat_lists_a_job_that_ours_sent(ours: Site, listing: Path) -> None:
    [job] = own(ours, listing, HELLO)
    ours.wait(job, "FINISHED")

    out = ours.arc("arcstat", "-a", "-j", listing).good().out

    assert f"Job: {job.url}\n Name: hello\n State: Finished\n" in out
    assert "hello world\n" == ours.arc("arccat", "-j", listing, "hello").good().out


def test_our_arcstat_lists_a_job_that_theirs_sent(ours: Site, listing: Path) -> None:
    [job] = theirs(ours, listing, HELLO)
    ours.wait(job, "FINISHED")

    out = ours.arex("arcstat", "-a", "-j", listing).good().out

    assert f"Job: {job.url}\n Name: hello\n State: Finished\n" in out
    assert "hello world\n" == ours.arex("arccat", "-j", listing, "hello").good().out


def test_ours_tells_states_that_theirs_can_not(ours: Site, listing: Path) -> None:
    jobs = theirs(ours, listing, FAIL3, SLEEP)
    ours.wait(jobs[0], "FINISHED")
    ours.wait(jobs[1], "INLRMS")

    assert "State: Finished" in ours.arc("arcstat", "-j", listing, jobs[0].url).out
    assert "State: Failed\n Exit Code: 3\n" in ours.arex("arcstat", "-j", listing, jobs[0].url).out
    ours.arex("arckill", "-j", listing, jobs[1].url).good()
    assert jobs[1].url not in ours.arc("arcstat", "-a", "-j", listing).out


def test_a_job_cleaned_by_one_is_off_the_list_of_the_other(ours: Site, listing: Path) -> None:
    [first] = own(ours, listing, HELLO)
    [second] = theirs(ours, listing, HELLO)
    ours.wait([first, second], "FINISHED")

    assert "deleted: 1" in ours.arc("arcclean", "-j", listing, first.url).good().out
    assert "deleted: 1" in ours.arex("arcclean", "-j", listing, second.url).good().out

    assert "No jobs" in ours.arc("arcstat", "-a", "-j", listing).text
    assert first.url not in ours.arex("arcstat", "-a", "-j", listing).text


def test_a_row_of_ours_is_like_a_row_of_theirs(ours: Site, listing: Path) -> None:
    [first] = own(ours, listing, HELLO)
    [second] = theirs(ours, listing, HELLO)

    mine, other = row(listing, first), row(listing, second)

    differs = {"id", "idfromendpoint", "sessiondir", "stageindir", "stageoutdir", "localsubmissiontime"}
    assert list(mine) == list(other)
    assert {name: value for name, value in other.items() if name not in differs | {"descriptiondocument"}} == {
        name: value for name, value in mine.items() if name not in differs | {"descriptiondocument"}
    }


def test_a_list_made_by_ours_has_the_schema_of_one_made_by_theirs(ours: Site, listing: Path) -> None:
    other = listing.with_name(f"other-{listing.name}")
    own(ours, listing, HELLO)
    theirs(ours, other, HELLO)

    assert schema(other) == schema(listing)


def schema(listing: Path) -> list[tuple[str, str]]:
    data = sqlite3.connect(f"file:{listing}?mode=ro", uri=True)
    found = data.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    data.close()
    return [(name, " ".join((sql or "").split())) for name, sql in found]


def test_both_write_at_the_same_time_and_no_job_is_lost(ours: Site, listing: Path) -> None:
    """Ten commands of each make, all on one list."""

    def send(number: int) -> Job:
        name = f"both{number}.xrsl"
        if number % 2:
            file = ours.write(name, HELLO)
            done = ours.arc("arcsub", "-T", "internal", "-C", "localhost", "-Q", "NONE", "-j", listing, file)
        else:
            done = ours.arex("arcsub", "-S", "local", "-j", listing, ours.write(name, HELLO))
        [job] = done.good().jobs
        return job

    with ThreadPoolExecutor(4) as pool:
        jobs = list(pool.map(send, range(20)))
    ours.wait(jobs, "FINISHED")

    urls = {job.url for job in jobs}
    for call in (ours.arc, ours.arex):
        out = call("arcstat", "-a", "-j", listing).good().out
        assert urls == {line.removeprefix("Job: ") for line in out.splitlines() if line.startswith("Job: ")}
