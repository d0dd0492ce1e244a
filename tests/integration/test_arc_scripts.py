"""Jobs through the fork scripts of ARC itself, as its packages install them, under our service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from arex.app import Service
from arex.config.load import load
from arex.controldir import fifo
from arex.controldir.layout import FlatLayout, Mark
from arex.controldir.store import ControlDir
from arex.model.ids import JobId, new_job_id
from arex.model.local import JobLocal
from arex.model.state import State, Status
from lrms.arcscripts.backend import ArcScriptsBackend

SCRIPTS: Final = Path("/usr/share/arc")
PATIENCE_S: Final = 200


pytestmark = pytest.mark.timeout(4 * PATIENCE_S)


@dataclass(frozen=True)
class Site:
    root: Path
    store: ControlDir

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        ready = asyncio.Event()
        config = (await asyncio.to_thread(load, self.root / "arc.conf", {}))[0]
        backend = ArcScriptsBackend.from_config(config)
        service = Service(config, backends={"fork": backend}, ready=ready.set)
        task = asyncio.create_task(service.run())
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        try:
            if not task.done():
                yield
        finally:
            service.stop()
            await task

    async def submit(self, description: str) -> JobId:
        return await asyncio.to_thread(self._submit, description)

    def _submit(self, description: str) -> JobId:
        job = new_job_id()
        session = self.root / "session" / job
        session.mkdir(parents=True)
        self.store.reserve(job, description.encode())
        self.store.put_local(job, JobLocal(globalid=job, subject="/CN=me", sessiondir=session))
        self.store.put_status(job, Status(State.ACCEPTED), None)
        fifo.ring(self.store.root, job)
        return job

    async def reaches(self, job: JobId, state: State) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while await asyncio.to_thread(self._state, job) is not state:
                await asyncio.sleep(0.05)

    def _state(self, job: JobId) -> State | None:
        found = self.store.read_status(job)
        return None if found is None or found.status is None else found.status.state

    def out(self, job: JobId) -> str:
        return (self.root / "session" / job / "out").read_text()

    def text(self, job: JobId, suffix: str) -> str:
        return (self.store.read(job, suffix) or b"").decode()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "arc.conf").write_text(
        f"[common]\n[arex]\ncontroldir={tmp_path}/ctl\nsessiondir={tmp_path}/session\n"
        f"pidfile={tmp_path}/run/arex.pid\nlogfile={tmp_path}/arex.log\njoblog={tmp_path}/jobs.log\n"
        f"tmpdir={tmp_path}\nwakeupperiod=1\n[arex/service]\nscan_period=1\narc_scripts={SCRIPTS}\n"
        "[lrms]\nlrms=arc-fork\n[queue:q]\n"
    )
    return Site(tmp_path, ControlDir(FlatLayout(tmp_path / "ctl")))


async def test_jobs_run_through_arc_s_own_scripts(site: Site) -> None:
    """All at once, for a scan sleeps 10 s."""
    async with site.serving():
        good = await site.submit(
            '&(executable=/bin/sh)(arguments="-c" "echo $GREETING")(environment=(GREETING hi))'
            '(stdout=out)(outputfiles=(out ""))'
        )
        bad = await site.submit('&(executable=/bin/sh)(arguments="-c" "exit 3")')
        endless = await site.submit("&(executable=/bin/sleep)(arguments=600)")
        await site.reaches(endless, State.INLRMS)
        await asyncio.to_thread(site.store.set_mark, endless, Mark.CANCEL)
        await asyncio.to_thread(fifo.ring, site.store.root, endless)
        for job in (good, bad, endless):
            await site.reaches(job, State.FINISHED)
        # the job may end before the script that ended it does
        while "exiting cancel_fork_job" not in site.text(endless, "errors"):
            await asyncio.sleep(0.05)

    assert ("hi\n", "") == (site.out(good), site.text(good, "failed"))
    assert "exitcode=0" in site.text(good, "diag")
    assert "job submitted successfully!" in site.text(good, "errors")
    assert "LRMS error: (3) Job finished with wrong exit code - 3 != 0" in site.text(bad, "failed")
    assert "Job is canceled by external request" in site.text(endless, "failed")


async def test_a_job_goes_on_while_the_service_does_not_and_its_end_is_seen_later(site: Site) -> None:
    gate = site.root / "gate"
    async with site.serving():
        job = await site.submit(
            f'&(executable=/bin/sh)(arguments="-c" "until [ -e {gate} ]; do sleep 0.1; done; echo on")'
            '(stdout=out)(outputfiles=(out ""))'
        )
        await site.reaches(job, State.INLRMS)
    await asyncio.to_thread(gate.touch)

    async with site.serving():
        await site.reaches(job, State.FINISHED)

    assert ("on\n", "") == (site.out(job), site.text(job, "failed"))
