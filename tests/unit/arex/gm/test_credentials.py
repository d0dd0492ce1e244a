"""Credentials of jobs in the service: held, never failed; renewed, warned and tidied."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from arex import credentials
from arex.controldir import codec
from arex.controldir.layout import Mark, Place
from arex.credentials.store import Store
from arex.gm.credentials import Credentials
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status
from arex.ports import Staged, Staging
from tests import environments
from tests.fakes.staging import UnusedStager
from tests.unit.arex.gm.service import GridService, grid_service

VOMS = environments.DATA / "credentials" / "voms.pem"
PEM = VOMS.read_bytes()
IN = '&(executable="/bin/true")(inputfiles=("x" "https://host/x"))'
OUT = '&(executable="/bin/true")(outputfiles=("x" "https://host/x"))'
WITH_PROXY = '&(executable="/bin/true")(runtimeenvironment="ENV/PROXY")'
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def detector() -> None:
    """These tests look into control files themselves, on the loop, through our own functions: that blocks."""


def token(expires: datetime) -> bytes:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(expires.timestamp())}).encode()).rstrip(b"=")
    return b"e30." + claims + b".c2ln\n"


class Prompt(UnusedStager):
    """Whatever is asked for is done."""

    def __init__(self) -> None:
        self.asked: list[JobId] = []

    async def stage_in(self, staging: Staging) -> Staged:
        self.asked.append(staging.job)
        return Staged(done=True)

    async def stage_out(self, staging: Staging) -> Staged:
        return await self.stage_in(staging)

    async def cancel(self, job: JobId) -> None:
        del job

    async def release(self, job: JobId) -> None:
        del job


class Home:
    """A house with a store of credentials."""

    def __init__(self, service: GridService, stager: Prompt) -> None:
        self.service, self.stager = service, stager
        self.store = Store(service.store.root / "delegations.me")
        service.services.settings = replace(service.services.settings, delegations=self.store.directory)
        self.watch = Credentials(service.services, 2 * HOUR)

    def ends(self, after: timedelta) -> bytes:
        return token(self.service.clock.now() + after)

    def submit(self, text: str, credential: bytes, state: State = State.ACCEPTED) -> JobId:
        made = self.service.make(text, state=state)
        id_ = self.store.keep("/CN=me", credential, made)
        local = JobLocal(globalid=made, subject="/CN=me", delegationid=id_, sessiondir=self.service.sessions / made)
        self.service.store.put_local(made, local)
        self.service.manager.look(made)
        return made

    def renew(self, job: JobId, credential: bytes) -> None:
        self.store.renew(self.service.local(job).delegationid or "", "/CN=me", credential, job)
        path = self.store.path(self.service.local(job).delegationid or "")
        later = path.stat().st_mtime_ns + 1_000_000
        os.utime(path, ns=(later, later))

    async def round(self) -> list[JobId]:
        woken: list[JobId] = []
        await self.watch.round(self.service.manager.jobs, woken.append)
        return woken

    def log(self, job: JobId) -> str:
        return (self.service.store.read(job, "errors") or b"").decode()

    def waits(self, job: JobId) -> str:
        return next((line.partition("Reason: ")[2] for line in reversed(self.log(job).splitlines())), "")


@contextlib.asynccontextmanager
async def home(root: Path) -> AsyncIterator[Home]:
    stager = Prompt()
    async with grid_service(root, stager=stager) as service:
        yield Home(service, stager)


# --- held -----------------------------------------------------------------------------------------------------------


async def test_inputs_wait_for_a_credential_that_has_ended_and_come_when_it_is_renewed(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        job = here.submit(IN, here.ends(-HOUR))
        await here.service.reaches(job, "PENDING:PREPARING")

        when = codec.iso_time(here.service.clock.now() - HOUR)
        assert f"The credential of the job expired at {when}; renew it: arcrenew {job}" == here.waits(job)
        assert [] == here.stager.asked

        here.renew(job, here.ends(HOUR))
        here.service.manager.look(job)
        await here.service.runs(job)
        assert ([job], "") == (here.stager.asked, here.service.store.failure(job))


async def test_outputs_wait_likewise(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        job = here.submit(OUT, here.ends(HOUR))
        await here.service.runs(job)
        here.service.clock.advance(2 * HOUR)
        here.service.end(job)
        await here.service.reaches(job, "PENDING:FINISHING")

        here.renew(job, here.ends(HOUR))
        here.service.manager.look(job)
        await here.service.reaches(job, "FINISHED")
        assert ([job], "") == (here.stager.asked, here.service.store.failure(job))


async def test_a_job_that_shall_have_the_proxy_is_not_started_with_an_ended_one(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        job = here.submit(WITH_PROXY, here.ends(-HOUR))
        await here.service.reaches(job, "PENDING:PREPARING")
        assert "renew it: arcrenew" in here.waits(job)

        here.renew(job, here.ends(HOUR))
        here.service.manager.look(job)
        await here.service.runs(job)


@pytest.mark.parametrize("text", ['&(executable="/bin/true")', IN.replace("https", "http")])
async def test_a_job_that_needs_none_is_not_touched(tmp_path: Path, text: str) -> None:
    """No certificate is shown over plain HTTP."""
    async with home(tmp_path) as here:
        here.service.clock.advance(timedelta(days=30))
        job = here.submit(text, PEM)

        await here.service.runs(job)
        assert "PENDING" not in here.log(job)


async def test_a_job_without_any_credential_is_not_touched(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        await here.service.runs(here.service.submit(IN))


async def test_a_held_job_can_be_cancelled(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        job = here.submit(IN, here.ends(-HOUR))
        await here.service.reaches(job, "PENDING:PREPARING")

        here.service.mark(job, Mark.CANCEL)

        await here.service.reaches(job, "FINISHED")


# --- renewed --------------------------------------------------------------------------------------------------------


async def test_what_the_job_says_follows_the_store(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        job = here.submit(OUT, PEM)
        await here.service.runs(job)

        assert PEM == here.service.store.read(job, "proxy")
        assert credentials.read(VOMS).expires == here.service.local(job).delegexpiretime


async def test_a_running_job_gets_the_new_one_where_env_proxy_put_the_old_one(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        job, other = here.submit(OUT, PEM), here.submit(OUT, PEM)
        for each, content in ((job, PEM), (other, b"the job's own")):
            await here.service.runs(each)
            (here.service.sessions / each / "user.proxy").write_bytes(content)
        await here.round()

        here.renew(job, PEM + b"\n")
        await here.round()

        assert [PEM + b"\n"] * 2 == [here.service.store.read(each, "proxy") for each in (job, other)]
        assert PEM + b"\n" == (here.service.sessions / job / "user.proxy").read_bytes()
        assert 0o600 == (here.service.sessions / job / "user.proxy").stat().st_mode & 0o777
        assert b"the job's own" == (here.service.sessions / other / "user.proxy").read_bytes()


async def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        job = here.submit(OUT, PEM)
        await here.service.runs(job)
        (tmp_path / "elsewhere").write_bytes(PEM)
        (here.service.sessions / job / "user.proxy").symlink_to(tmp_path / "elsewhere")

        here.renew(job, PEM + b"\n")
        await here.round()

        assert PEM == (tmp_path / "elsewhere").read_bytes()


async def test_a_token_is_not_copied(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        job = here.submit(OUT, here.ends(HOUR))
        await here.service.runs(job)
        await here.service.shown(job, "R")
        await here.round()

        assert not here.service.store.exists(job, "proxy")
        secret = here.ends(HOUR).strip()
        assert [] == [path for path in tmp_path.rglob("job.*") if path.is_file() and secret in path.read_bytes()]


async def test_a_renewal_without_an_announcement_wakes_waiting_jobs(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        job = here.submit(IN, here.ends(-HOUR))
        await here.service.reaches(job, "PENDING:PREPARING")
        await here.round()

        here.renew(job, here.ends(HOUR))

        assert [job] == await here.round()
        assert [] == await here.round()


# --- warned ---------------------------------------------------------------------------------------------------------


async def test_an_owner_is_warned_once(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        job = here.submit(OUT, here.ends(3 * HOUR))
        await here.service.runs(job)
        await here.round()
        assert "ends at" not in here.log(job)
        here.service.clock.advance(1.5 * HOUR)

        for _ in range(3):
            await here.round()
            here.watch = Credentials(here.service.services, 2 * HOUR)  # as after a restart

        when = codec.iso_time(here.service.clock.now() + 1.5 * HOUR)
        assert 1 == here.log(job).count(f"The credential of this job expires at {when}; renew it with arcrenew {job}\n")


async def test_after_a_renewal_the_next_end_is_told_too(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        job = here.submit(OUT, here.ends(HOUR))
        await here.service.runs(job)
        await here.round()
        here.renew(job, here.ends(1.5 * HOUR))
        await here.round()

        assert 2 == here.log(job).count("The credential of this job expires at")


async def test_who_needs_it_no_more_is_not_warned(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        fetched, with_proxy = here.submit(IN, here.ends(HOUR)), here.submit(WITH_PROXY, here.ends(HOUR))
        for job in (fetched, with_proxy):
            await here.service.runs(job)

        await here.round()

        assert ["expires at" in here.log(job) for job in (fetched, with_proxy)] == [False, True]


# --- tidied ---------------------------------------------------------------------------------------------------------


async def test_locks_go_with_their_jobs(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        running = here.submit(OUT, here.ends(HOUR))
        await here.service.runs(running)
        done, deleted, cleaned, coming = (here.service.make() for _ in range(4))
        for job in (done, deleted, cleaned, coming, JobId("../../x")):
            here.store.keep("/CN=me", b"opaque-token", job)
        for job, state in ((done, State.FINISHED), (deleted, State.DELETED)):
            here.service.store.put_status(job, Status(state), Place.ACCEPTING)
        here.service.store.forget(cleaned)
        (here.service.store.root / "accepting" / f"job.{coming}.status").unlink()

        await here.round()
        assert {running, done, coming} == set(here.store.held())
        here.service.clock.advance(timedelta(minutes=3))
        await here.round()

        assert {running, done} == set(here.store.held())


async def test_an_unusable_store_affects_no_job(tmp_path: Path) -> None:
    async with home(tmp_path) as here:
        here.store.directory.mkdir(exist_ok=True)
        (here.store.directory / "list").write_bytes(b"not a database" * 100)

        assert [] == await here.round()
