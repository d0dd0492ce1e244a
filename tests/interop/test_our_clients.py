"""Our clients against ARC's A-REX 6.17: the jobs are ours, the daemon is theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.interop.grid import Job, Site, until
from tests.interop.jobs import FAIL3, HELLO, LATER, PUSH, SLEEP, shell

pytestmark = pytest.mark.timeout(600)

#: A-REX 6.17 needs about 20 s for any job of its fork backend.
LONG: Final = 180


class Quiet(SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        """ARC asks for the whole URL, as of a proxy."""
        return super().translate_path(urlsplit(path).path)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is theirs
        del format, args


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """The files of a directory, over HTTP."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def web(real: Site) -> Iterator[str]:
    (real.home / "web").mkdir()
    with served(real.home / "web") as url:
        yield url


@pytest.fixture(scope="module")
def sent(real: Site, web: str) -> dict[str, Job]:
    """All jobs at once: their daemon takes its time for each."""
    real.write("deep/er/in.txt", "deep\n")
    descriptions = {
        "hello": HELLO,
        "fail3": FAIL3,
        "asleep": SLEEP,
        "later": LATER,
        "push": PUSH,
        "killed": SLEEP,
        "vanishing": SLEEP,
        "taken": HELLO,
        "deep": (
            '&(executable="/bin/cat")(arguments="deep/er/in.txt")(stdout="out.txt")'
            f'(inputFiles=("deep/er/in.txt" "{real.home}/deep/er/in.txt"))'
        ),
        "fetching": (
            '&(executable="/bin/cat")(arguments="in.txt")(stdout="out.txt")(rerun=2)'
            f'(inputFiles=("in.txt" "{web}/in.txt"))'
        ),
        "twice": shell(f"echo x >>{real.home}/twice; exit 1", "(rerun=1)"),
    }
    jobs = real.submit(*descriptions.values(), name="sent")
    return dict(zip(descriptions, jobs, strict=True))


def arcstat(site: Site, job: Job) -> dict[str, Any]:
    """What our ``arcstat`` knows of a job."""
    [status] = json.loads(site.arex("arcstat", "--json", job.url).good().out)["jobs"]
    assert isinstance(status, dict)
    return status


def ended(site: Site, job: Job) -> dict[str, Any]:
    site.wait(job, "FINISHED", within=LONG)
    return arcstat(site, job)


def test_a_job_of_ours_runs_there(real: Site, sent: dict[str, Job]) -> None:
    status = ended(real, sent["hello"])

    assert ("Finished", 0, "fork") == (status["state"], status["exit_code"], status["queue"])
    assert "hello world\n" == real.arex("arccat", sent["hello"].url).good().out


def test_a_failed_job_is_told_from_a_finished_one(real: Site, sent: dict[str, Job]) -> None:
    status = ended(real, sent["fail3"])

    assert ("Failed", 3) == (status["state"], status["exit_code"])
    assert "LRMS error: (3) Job finished with wrong exit code - 3 != 0" == status["failure"]
    assert "err\n" == real.arex("arccat", "-e", sent["fail3"].url).good().out


def test_accepted_and_preparing_are_seen(real: Site, sent: dict[str, Job]) -> None:
    real.wait(sent["later"], "ACCEPTED")
    real.wait(sent["push"], "PREPARING")

    assert "Accepted" == arcstat(real, sent["later"])["state"]
    reason = arcstat(real, sent["later"])["reason"]
    assert ("start_time", "2099-01-01T10:00:00Z") == (reason["kind"], reason["next_try"])
    assert "Preparing" == arcstat(real, sent["push"])["state"]


def test_a_running_job_is_told_from_a_queued_one(real: Site, sent: dict[str, Job]) -> None:
    """From the document that A-REX writes about once a minute; before that the job counts as queued."""
    job = sent["asleep"]
    real.wait(job, "INLRMS")
    if "INLRMS:R" not in real.text(job, "xml"):
        assert arcstat(real, job)["state"] in {"Queuing", "Running"}

    until(lambda: "INLRMS:R" in real.text(job, "xml"), 240, lambda: real.text(job, "xml"), pause=0.5)

    assert "Running" == arcstat(real, job)["state"]


def test_arccat_shows_the_log_of_the_service(real: Site, sent: dict[str, Job]) -> None:
    """A-REX keeps no such file for the client of ARC to find."""
    ended(real, sent["hello"])

    out = real.arex("arccat", "-l", sent["hello"].url).good().out

    assert "Job state change SUBMIT -> INLRMS   Reason: Job is passed to LRMS" in out


def test_arcls_lists_the_session_directory(real: Site, sent: dict[str, Job]) -> None:
    ended(real, sent["fail3"])

    assert {"out", "err"} == set(real.arex("arcls", sent["fail3"].url).good().out.split())


def test_inputs_in_subdirectories_arrive(real: Site, sent: dict[str, Job]) -> None:
    """ARC's own client can't send them over this interface."""
    status = ended(real, sent["deep"])

    assert ("Finished", 0) == (status["state"], status["exit_code"])
    assert "deep\n" == real.arex("arccat", "-o", sent["deep"].url).good().out


def test_arckill_with_keep_ends_jobs_in_every_state(real: Site, sent: dict[str, Job]) -> None:
    jobs = [sent["killed"], *real.submit(LATER, PUSH, name="kill")]
    real.wait(jobs[0], "INLRMS")
    real.wait(jobs[1], "ACCEPTED")
    real.wait(jobs[2], "PREPARING")

    done = real.arex("arckill", "-k", *(job.url for job in jobs)).good()

    assert "successfully killed: 3" in done.out
    assert ["Killed"] * 3 == [ended(real, job)["state"] for job in jobs]


def test_arckill_without_keep_makes_a_job_vanish(real: Site, sent: dict[str, Job]) -> None:
    real.wait(sent["vanishing"], "INLRMS")

    done = real.arex("arckill", sent["vanishing"].url).good()

    assert "successfully killed: 1, successfully cleaned: 1" in done.out
    real.gone(sent["vanishing"], within=LONG)


def test_arcget_fetches_and_cleans(real: Site, sent: dict[str, Job]) -> None:
    ended(real, sent["taken"])

    done = real.arex("arcget", "-D", real.home / "got", sent["taken"].url).good()

    assert "successfully retrieved: 1, successfully cleaned: 1" in done.out
    assert "hello world\n" == (real.home / "got" / sent["taken"].id / "out.txt").read_text()
    real.gone(sent["taken"], within=LONG)


def test_arcget_keeps_the_job_if_told_and_arcclean_removes_it(real: Site, sent: dict[str, Job]) -> None:
    [job] = real.submit(HELLO, name="kept")
    ended(real, job)
    assert sent

    real.arex("arcget", "-k", "-D", real.home / "kept", job.url).good()
    assert "FINISHED" == real.status(job)
    assert "deleted: 1" in real.arex("arcclean", job.url).good().out
    real.gone(job, within=LONG)


def test_a_running_job_is_neither_fetched_nor_cleaned(real: Site, sent: dict[str, Job]) -> None:
    real.wait(sent["asleep"], "INLRMS")

    assert "successfully retrieved: 0" in real.arex("arcget", sent["asleep"].url).out
    assert "deleted: 0" in real.arex("arcclean", sent["asleep"].url).out
    assert "INLRMS" == real.status(sent["asleep"])


def test_arcresume_lets_a_failed_job_go_on(real: Site, sent: dict[str, Job], web: str) -> None:
    """The input was not there; then it is, and A-REX fetches it with the credential that was renewed."""
    assert web
    job = sent["fetching"]
    assert "Failed" == ended(real, job)["state"]
    assert real.text(job, "failed").startswith("Failed in data staging: ")
    assert "PREPARING" == real.local(job)["failedstate"]

    real.write("web/in.txt", "late\n")
    assert "renewed: 1" in real.arex("arcrenew", job.url).good().out
    assert "resumed: 1" in real.arex("arcresume", job.url).good().out

    until(lambda: real.text(job, "errors").count("-> FINISHED ") == 2, LONG, lambda: real.tell(job))
    assert "Finished" == ended(real, job)["state"]
    assert "late\n" == real.output(job, "out.txt")


def test_arcresume_reaches_their_daemon_also_where_it_then_fails(real: Site, sent: dict[str, Job]) -> None:
    """6.17 does not submit again after a failure in the batch system (defect 7); that it began to is what counts."""
    job = sent["twice"]
    assert "Failed" == ended(real, job)["state"]

    assert "resumed: 1" in real.arex("arcresume", job.url).good().out

    until(lambda: "FINISHED -> PREPARING" in real.moves(job), LONG, lambda: real.tell(job))
    assert "0" == real.local(job)["rerun"]


def test_arcsync_finds_the_jobs_again(real: Site, sent: dict[str, Job]) -> None:
    listing = real.home / "synced.dat"

    real.arex("arcsync", "-f", "-j", listing).good()

    out = real.arex("arcstat", "-a", "-j", listing).good().out
    assert sent["hello"].url in out
    assert sent["asleep"].url in out


def test_arcinfo_shows_what_they_publish(real: Site, sent: dict[str, Job]) -> None:
    assert sent
    until((real.control / "info.xml").exists, LONG, real.log)

    out = real.arex("arcinfo").good().out

    assert "Queue: fork" in out


def test_a_wrong_queue_is_refused_before_anything_is_on_disk(real: Site) -> None:
    before = set(real.control.glob("job.*.description"))
    file = real.write("nowhere.xrsl", HELLO.replace("&", '&(queue="nowhere")'))

    done = real.arex("arcsub", "-S", "local", file)

    assert done.code != 0
    assert "nowhere" in done.text
    assert before == set(real.control.glob("job.*.description"))
