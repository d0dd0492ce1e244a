"""The unmodified clients of ARC with the identity of ``arcproxy --local``, and our jobs without a credential."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.grid import Account, Job, Site, site
from tests.interop.jobs import FAIL3, HELLO, SLEEP


@pytest.fixture(scope="module")
def here(account: Account, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Our daemon, and a user without any credential."""
    with site(account, "local", lambda: bool(request.session.testsfailed)) as made:
        del made.environ["X509_USER_PROXY"]
        made.start_ours()
        yield made


@pytest.fixture(scope="module")
def hello(here: Site) -> Job:
    """Finished, submitted by ours without a credential."""
    [job] = here.submit(HELLO, name="hello")
    here.wait(job, "FINISHED")
    return job


@pytest.fixture(scope="module")
def identity(here: Site, hello: Job) -> Path:
    """Made after the first job, and used by all programs from then on."""
    done = here.arex("arcproxy", "--local").good()
    [line] = [line for line in done.out.splitlines() if line.startswith("export ")]
    here.environ["X509_USER_PROXY"] = line.partition("=")[2]
    assert here.local(hello)["subject"] == f"/O=local/CN={here.account.name}"
    return Path(here.environ["X509_USER_PROXY"])


def test_arcstat_shows_the_jobs(here: Site, identity: Path, hello: Job) -> None:
    del identity

    done = here.arc("arcstat", "-a").good()

    assert hello.url in done.out
    assert " State: Finished" in done.out


def test_arcget_fetches_the_results(here: Site, identity: Path) -> None:
    [job] = here.submit(HELLO, name="toget")
    here.wait(job, "FINISHED")

    here.arc("arcget", "-D", here.home / "results", job.url).good()

    assert "hello world\n" == (here.home / "results" / job.id / "out.txt").read_text()
    here.wait(job, "DELETED", "")
    assert identity.stat().st_mode & 0o777 == 0o600


def test_arckill_cancels_a_job(here: Site, identity: Path) -> None:
    del identity
    [job] = here.submit(SLEEP, name="tokill")
    here.wait(job, "INLRMS")

    here.arc("arckill", "-k", job.url).good()

    here.wait(job, "FINISHED")
    assert "cancel" in here.text(job, "failed").lower()


def test_arcclean_removes_a_job(here: Site, identity: Path) -> None:
    del identity
    [job] = here.submit(FAIL3, name="toclean")
    here.wait(job, "FINISHED")

    here.arc("arcclean", job.url).good()

    here.wait(job, "DELETED", "")


def test_a_job_of_arcsub_belongs_to_the_same_owner_and_ours_sees_it(here: Site, identity: Path, hello: Job) -> None:
    del identity

    [job] = here.arc_submit(HELLO, name="theirs")

    here.wait(job, "FINISHED")
    assert here.local(hello)["subject"] == here.local(job)["subject"]
    assert job.url in here.arex("arcstat", "-a").good().out


def test_a_job_of_ours_keeps_its_owner_and_gets_no_credential(here: Site, identity: Path, hello: Job) -> None:
    del identity

    [job] = here.submit(HELLO, name="withit")

    here.wait(job, "FINISHED")
    assert here.local(hello)["subject"] == here.local(job)["subject"]
    assert "" == here.text(job, "proxy")
    assert "delegationid" not in here.local(job)
