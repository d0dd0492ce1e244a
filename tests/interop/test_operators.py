"""The tools of ARC 6.17 for operators, on a control directory that our daemon serves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.interop.grid import Account, Done, Job, Site, has, site, until
from tests.interop.jobs import FAIL3, HELLO, LATER, PUSH, SLEEP
from tests.interop.web import web

pytestmark = pytest.mark.timeout(600)

LIB: Final = Path("/usr/lib/arc")
CANCEL: Final = "Job is canceled by external request\n"
STATES: Final = {
    "hello": "FINISHED",
    "fail": "FINISHED",
    "later": "ACCEPTED",
    "push": "PREPARING",
    "asleep": "INLRMS",
    "killed": "FINISHED",
}

#: Lines of a job's document that are in ours and not in that of ``CEinfo.pl``, or differ, and why.
WANTED: Final[Mapping[str, str]] = {
    "UsedMainMemory": "6.17 has the average, which is always 0 on Linux, and we the maximum",
    "EndTime": "6.17 has none of jobs that have failed",
    "State>emiesattr:client-stageout-possible": "the results of a failed job can be fetched, too",
    "State>emiesattr:validation-": "6.17 takes a job that was killed in ACCEPTED for one that failed there",
}


@pytest.fixture(scope="module")
def place(account: Account, request: pytest.FixtureRequest) -> Iterator[Site]:
    failed = lambda: bool(request.session.testsfailed)  # noqa: E731
    with site(account, "tools", failed, blocks="[arex/cache]\ncachedir = {run}/cache") as here:
        here.start_ours()
        yield here


@pytest.fixture(scope="module")
def jobs(place: Site) -> dict[str, Job]:
    """In all states that last; tests leave them as they are."""
    texts = {"hello": HELLO, "fail": FAIL3, "later": LATER, "push": PUSH, "asleep": SLEEP, "killed": LATER}
    found = dict(zip(texts, place.arc_submit(*texts.values(), name="tools"), strict=True))
    place.adopted(found["killed"])
    place.arc("arckill", "-k", found["killed"].url).good()
    for name, state in STATES.items():
        place.wait(found[name], state)
    return found


def gm_jobs(place: Site, *argv: str) -> Done:
    return place.call(LIB / "gm-jobs", "-c", place.run / "arex.cfg", *argv).good()


def arcctl(place: Site, *argv: str) -> Done:
    return place.call("/usr/sbin/arcctl", "-c", place.conf, *argv).good()


# --- jobs -------------------------------------------------------------------------------------------------------


def test_gm_jobs_lists_all_jobs_and_counts_them(place: Site, jobs: dict[str, Job]) -> None:
    out = gm_jobs(place, "-l").out

    listed = dict(re.findall(r"^Job: (\S+)\n\tState: (\S+)$", out, re.MULTILINE))
    assert {jobs[name].id: state for name, state in STATES.items()}.items() <= listed.items()
    for state in ("ACCEPTED", "PREPARING", "INLRMS", "FINISHED"):
        assert f" {state}: {list(listed.values()).count(state)} (0)\n" in out


def test_gm_jobs_cancels_and_removes(place: Site) -> None:
    first, second = place.arc_submit(LATER, HELLO, name="gm")
    place.wait(first, "ACCEPTED")
    place.adopted(first)
    place.wait(second, "FINISHED")

    gm_jobs(place, "-k", first.id)
    gm_jobs(place, "-r", second.id)

    place.wait(first, "FINISHED")
    assert CANCEL == place.text(first, "failed")
    place.gone(second)


def test_arcctl_lists_jobs_by_state(place: Site, jobs: dict[str, Job]) -> None:
    out = arcctl(place, "job", "list", "-l").out

    listed = {words[0]: words[1] for line in out.splitlines() if len(words := line.split()) > 1}
    assert {jobs[name].id: state for name, state in STATES.items()}.items() <= listed.items()
    assert [jobs["asleep"].id] == arcctl(place, "job", "list", "-s", "INLRMS").out.split()


def test_arcctl_tells_about_a_job(place: Site, jobs: dict[str, Job]) -> None:
    info = arcctl(place, "job", "info", jobs["hello"].id).out
    log = arcctl(place, "job", "log", jobs["fail"].id).out

    facts = dict(re.findall(r"^(\S[^\t]*?)\s*: (.*)$", info, re.MULTILINE))
    assert ("hello", "FINISHED") == (facts["Name"], facts["State"])
    assert "/DC=org/DC=nordugrid/DC=ARC/O=TestCA/CN=Test User" == facts["Owner"]
    assert place.moves(jobs["fail"]) == re.findall(r"change (\S+ -> \S+)   Reason", log)


def test_arcctl_kills_and_cleans(place: Site) -> None:
    first, second = place.arc_submit(LATER, HELLO, name="ctl")
    place.wait(first, "ACCEPTED")
    place.adopted(first)
    place.wait(second, "FINISHED")

    arcctl(place, "job", "kill", first.id)
    arcctl(place, "job", "clean", second.id)

    place.wait(first, "FINISHED")
    assert CANCEL == place.text(first, "failed")
    place.gone(second)


# --- runtime environments, cache ----------------------------------------------------------------------------------


def test_an_environment_that_arcctl_enables_is_listed_once_by_both_and_runs(place: Site) -> None:
    arcctl(place, "rte", "enable", "ENV/RTE")

    theirs = arcctl(place, "rte", "list").out.splitlines()
    ours = place.arex("arexctl", "rte", "list").good().out.splitlines()
    rows = json.loads(place.arex("arexctl", "rte", "list", "--enabled", "--json").good().out)["runtimes"]
    [job] = place.arc_submit(HELLO.replace("&", '&(runtimeEnvironment="ENV/RTE")'), name="rte")
    place.wait(job, "FINISHED")

    assert [["ENV/RTE", "(system, enabled)"]] * 2 == [
        line.split(None, 1) for line in (*theirs, *ours) if line.startswith("ENV/RTE ")
    ]
    assert ["ENV/RTE"] == [row["name"] for row in rows]
    assert "" == place.text(job, "failed")
    arcctl(place, "rte", "disable", "ENV/RTE")
    assert "" == place.arex("arexctl", "rte", "list", "--enabled").good().out


def test_cache_clean_removes_what_no_job_uses(place: Site) -> None:
    with web() as served:
        served.files = {"used": b"used\n", "free": b"free\n"}
        text = '&(executable="/bin/cat")(arguments="in")(inputFiles=("in" "{}"))(stdout="out.txt")'
        free, used = place.arc_submit(
            text.format(served.url("free")),
            text.format(served.url("used")).replace('"/bin/cat"', '"/bin/sleep"').replace('"in")(', '"300")('),
            name="cached",
        )
        place.wait(free, "FINISHED")
        place.wait(used, "INLRMS")
        assert {served.url("free"), served.url("used")} == cached(place)

        place.call(LIB / "cache-clean", "-M", "0", "-m", "0", place.run / "cache").good()

        assert {served.url("used")} == cached(place)
        assert "used\n" == place.output(used, "in")


def cached(place: Site) -> set[str]:
    """URLs of the files in the cache."""
    files = [path for path in place.run.glob("cache/data/??/*") if "." not in path.name]
    return {path.with_name(f"{path.name}.meta").read_text().splitlines()[0] for path in files}


# --- information --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def documents(place: Site, jobs: dict[str, Job]) -> dict[str, tuple[list[str], list[str]]]:
    """Of each job the lines of ours, and of what ``CEinfo.pl`` puts in their place."""
    has(place.file(jobs["asleep"], "xml"), "INLRMS:R")
    ours = {name: place.text(job, "xml") for name, job in jobs.items()}
    for job in jobs.values():
        place.file(job, "xml").unlink()
    ceinfo = ("perl", "/usr/share/arc/CEinfo.pl", "--config", place.run / "arex.cfg", "--splitjobs")
    place.call(*ceinfo, within=120).good()
    until(lambda: all(place.text(job, "xml") for job in jobs.values()), 120, lambda: str(ours.keys()))
    return {name: (lines(ours[name]), lines(place.text(job, "xml"))) for name, job in jobs.items()}


def lines(text: str) -> list[str]:
    """Without when it was written."""
    return re.sub(r' CreationTime="\S+"', "", text).splitlines()


@pytest.mark.parametrize("name", ["hello", "fail", "later", "push", "killed"])
def test_the_document_of_a_job_is_that_of_arc(documents: dict[str, tuple[list[str], list[str]]], name: str) -> None:
    ours, theirs = documents[name]

    assert [line for line in theirs if not wanted(line)] == [line for line in ours if not wanted(line)]


def wanted(line: str) -> bool:
    return any(line.strip().startswith(f"<{begin}") for begin in WANTED)


def test_the_document_of_a_running_job_has_what_that_of_arc_has(
    documents: dict[str, tuple[list[str], list[str]]],
) -> None:
    """6.17 adds what its scripts have measured, about once a minute."""
    ours, theirs = documents["asleep"]
    measured = ("WaitingPosition", "OtherMessages", "UsedTotal", "UsedMainMemory")

    assert [line for line in theirs if not line.strip().startswith(tuple(f"<{each}" for each in measured))] == [
        line for line in ours if not line.strip().startswith(tuple(f"<{each}" for each in measured))
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "-l"],
        ["list", "-l", "-s", "FINISHED"],
        ["stats"],
        ["stats", "-t"],
        ["stats", "-l"],
        ["stats", "-d"],
    ],
)
def test_arexctl_job_prints_what_arcctl_prints(place: Site, jobs: dict[str, Job], words: list[str]) -> None:
    del jobs  # they are there

    theirs = arcctl(place, "job", "-t", "0", *words).out.splitlines()
    ours = place.arex("arexctl", "job", *words).good().out.splitlines()

    # ARC lists jobs in no order
    assert (sorted(theirs) if words[0] == "list" else theirs) == ours


@pytest.mark.parametrize("name", ["hello", "fail", "asleep", "later"])
def test_arexctl_tells_about_a_job_what_arcctl_tells(place: Site, jobs: dict[str, Job], name: str) -> None:
    for word in ("info", "log", "attr"):
        theirs = arcctl(place, "job", word, jobs[name].id).out.splitlines()
        ours = place.arex("arexctl", "job", word, jobs[name].id[:10]).good().out.splitlines()

        # ARC adds what it derives from other files
        assert ours == [line for line in theirs if not line.startswith("mapped_account ")]
