"""Credentials between ARC's programs and ours: proxies, the store of a control directory, and what a renewal does."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.grid import PLACE, Account, Job, Site, site, until
from tests.interop.web import Web, web

LONG = 180.0
ITEMS = (
    "subject", "identity", "issuer", "ca", "path", "type", "validityStart", "validityEnd", "proxyPolicy", "keybits",
    "signingAlgorithm", "vomsVO",
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    with web(tls=True) as served:
        served.files["in.txt"] = b"fetched\n"
        yield served


@pytest.fixture(scope="module")
def here(account: Account, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Our daemon, and a user who makes proxies with our ``arcproxy``."""
    with site(account, "cred", lambda: bool(request.session.testsfailed)) as made:
        made.environ["X509_USER_PROXY"] = str(made.home / "proxy.pem")
        made.start_ours()
        yield made


def make_proxy(here: Site, seconds: int = 43200, *more: str) -> Path:
    """A proxy of ours, which ends after so many seconds."""
    path = here.home / "proxy.pem"
    here.arex("arcproxy", "-C", PLACE / "ca/usercert.pem", "-K", PLACE / "ca/userkey.pem", "-P", path,
              "-c", f"validityPeriod={seconds}", *more).good()  # fmt: skip
    return path


def fetching(server: Web, name: str = "in.txt") -> str:
    return f'&(executable="/bin/cat")(arguments="a")(inputfiles=("a" "{server.url(name)}"))(stdout="out.txt")'


def sending(server: Web, name: str, seconds: int) -> str:
    return (
        f'&(executable="/bin/sh")(arguments="-c" "sleep {seconds}; echo sent >b")'
        f'(outputfiles=("b" "{server.url(name)}"))'
    )


def rows(here: Site, table: str) -> list[tuple[str, ...]]:
    [path] = here.control.glob("delegations*/list")
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


# --- proxies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", ["ours", "arc"])
def test_both_programs_tell_the_same_of_a_proxy(here: Site, maker: str) -> None:
    path = make_proxy(here)
    if maker == "arc":
        here.arc("arcproxy", "-C", PLACE / "ca/usercert.pem", "-K", PLACE / "ca/userkey.pem", "-P", path).good()

    told = [
        [line for line in program("arcproxy", "-I", "-P", path).good().out.splitlines() if "Time left" not in line]
        for program in (here.arc, here.arex)
    ]
    items = [
        program("arcproxy", "-P", path, *(word for item in ITEMS for word in ("-i", item))).good().out.splitlines()
        for program in (here.arc, here.arex)
    ]

    assert told[0] == told[1]
    assert items[0] == items[1]
    assert "No problems found" in here.arex("arcproxy", "--check", "-P", path).good().out


@pytest.mark.parametrize("constraint", ["curve=256", "policyLanguage=independent", "pathLength=1", "keybits=inherit"])
def test_openssl_believes_a_proxy(here: Site, constraint: str) -> None:
    path = make_proxy(here, 3600, "-c", constraint)
    authorities = PLACE / "ca/certificates"

    here.call("openssl", "verify", "-allow_proxy_certs", "-CApath", authorities, "-untrusted", path, path).good()


def test_an_organisation_reads_as_in_voms_proxy_info(here: Site) -> None:
    """A proxy of Debian's voms-proxy-fake, kept with the project."""
    source = Path(__file__).parents[1] / "data" / "credentials" / "voms.pem"
    path = here.write("voms.pem", source.read_bytes(), mode=0o600)

    theirs = here.arc("arcproxy", "-P", path, "-i", "vomsVO", "-i", "vomsACvalidityPeriod").out.splitlines()
    ours = here.arex("arcproxy", "-P", path, "-i", "vomsVO", "-i", "vomsACvalidityPeriod").good().out.splitlines()

    assert ["testers", "324000"] == ours
    assert theirs == ours


# --- our service ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["ours", "arc"])
def test_a_server_sees_the_person_behind_the_proxy(here: Site, server: Web, program: str) -> None:
    make_proxy(here)
    server.clients.clear()
    submit = here.submit if program == "ours" else here.arc_submit
    [job] = submit(fetching(server))

    here.wait(job, "FINISHED", within=LONG)
    assert ("", "fetched\n") == (here.text(job, "failed"), here.output(job, "out.txt"))
    assert any("/Test User/" in client for client in server.clients), server.clients


def test_jobs_held_for_an_ended_proxy_go_on_when_one_of_them_is_renewed(here: Site, server: Web) -> None:
    make_proxy(here, 1)
    time.sleep(1.5)
    jobs = here.submit(*[fetching(server)] * 3)
    here.wait(jobs, "PENDING:PREPARING")
    shown = here.arex("arcstat", "-l", jobs[1].url).good().out
    assert "The credential of the job expired at " in shown
    assert f"renew it: arcrenew {jobs[1].id}" in shown

    make_proxy(here)
    said = here.arex("arcrenew", jobs[0].url).good().out

    assert "renewed: 1" in said
    assert "have the new one, too: 2" in said
    here.wait(jobs, "FINISHED", within=LONG)
    assert ["", "", ""] == [here.text(job, "failed") for job in jobs]
    assert 1 == len({here.local(job)["delegationid"] for job in jobs})
    assert 1 == len({here.local(job)["delegexpiretime"] for job in jobs})


def test_outputs_of_a_job_that_outlived_its_proxy_are_sent_after_a_renewal(here: Site, server: Web) -> None:
    make_proxy(here, 3)
    [job] = here.submit(sending(server, "late.txt", 4))
    here.wait(job, "PENDING:FINISHING")
    assert "late.txt" not in server.given

    make_proxy(here)
    here.arex("arcrenew", job.url).good()

    here.wait(job, "FINISHED", within=LONG)
    assert ("", b"sent\n") == (here.text(job, "failed"), server.given.get("late.txt"))


def test_what_arcs_client_has_delegated_is_renewed_by_ours(here: Site, server: Web) -> None:
    """Its proxy is one level further from the person; ours takes its place."""
    make_proxy(here, 20)
    [job] = here.arc_submit(sending(server, "delegated.txt", 21))
    here.wait(job, "PENDING:FINISHING")

    make_proxy(here)
    here.arex("arcrenew", job.url).good()

    here.wait(job, "FINISHED", within=LONG)
    assert b"sent\n" == server.given.get("delegated.txt")


def test_a_job_that_needs_no_credential_runs_with_an_ended_one(here: Site) -> None:
    make_proxy(here, 1)
    time.sleep(1.5)
    [job] = here.submit('&(executable="/bin/true")')

    here.wait(job, "FINISHED")
    assert "PENDING" not in here.text(job, "errors")


def test_an_owner_is_warned_before_the_end(here: Site, server: Web) -> None:
    """Two hours before, unless the configuration says otherwise; the service looks twice a minute."""
    make_proxy(here, 3600)
    [job] = here.submit(sending(server, "warned.txt", 300))
    here.wait(job, "INLRMS")

    warning = f"; renew it with arcrenew {job.id}\n"
    until(lambda: warning in here.text(job, "errors"), LONG, lambda: here.tell(job))

    assert 1 == here.text(job, "errors").count(warning)
    here.arex("arckill", job.url).good()


# --- the service of ARC ---------------------------------------------------------------------------------------------


def test_a_real_service_takes_jobs_that_share_one_credential_of_ours(real: Site, server: Web) -> None:
    """It fetches with it, and gives our locks back as its own."""
    server.clients.clear()
    jobs = real.submit(*[fetching(server)] * 3)
    real.wait(jobs, "FINISHED", within=LONG)

    assert ["", "", ""] == [real.text(job, "failed") for job in jobs]
    assert ["fetched\n"] * 3 == [real.output(job, "out.txt") for job in jobs]
    [id_] = {real.local(job)["delegationid"] for job in jobs}
    assert {job.id for job in jobs} == {lock for lock, uid in rows(real, "lock") if uid == id_}

    for job in jobs:
        real.arc("arcclean", job.url).good()
    until(lambda: not [uid for _, uid in rows(real, "lock") if uid == id_], LONG, lambda: str(rows(real, "lock")))


def test_arcs_client_finds_our_store_and_we_find_its(here: Site, server: Web) -> None:
    """Records of both in one list: a job of each, and each has its own."""
    make_proxy(here)
    jobs: list[Job] = [*here.submit(fetching(server)), *here.arc_submit(fetching(server))]
    here.wait(jobs, "FINISHED", within=LONG)

    ids = [here.local(job)["delegationid"] for job in jobs]
    owners = {id_: owner for id_, owner, _, _ in rows(here, "rec")}
    assert 2 == len(set(ids))
    assert 1 == len({owners[id_] for id_ in ids})
    document = json.loads(here.arex("arcstat", "--json", jobs[1].id).good().out)
    assert "Finished" == document["jobs"][0]["state"]
