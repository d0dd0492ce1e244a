"""A site's own three scripts, here of a few lines each: what they leave behind is what is known."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from arex.config.load import load
from arex.controldir.layout import FlatLayout
from arex.errors import BatchUnavailable, ConfigError, SubmitRejected
from arex.jobdesc.control.grami import dump_grami
from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, new_tag
from arex.model.report import EndCause, Phase
from arex.ports import LocalJob, NotSubmitted, Submission
from lrms import processes
from lrms.arcscripts.backend import ArcScriptsBackend
from lrms.arcscripts.site import ArcScripts

TAKE = "echo joboption_jobid=4711 >>$3"


@dataclass(frozen=True)
class Site:
    root: Path
    scripts: ArcScripts

    def script(self, verb: str, body: str) -> None:
        path = self.root / "scripts" / f"{verb}-mine-job"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def backend(self, **changes: Any) -> ArcScriptsBackend:
        return ArcScriptsBackend(replace(self.scripts, **changes))

    def submission(self, name: str = "job1", **grami: Any) -> Submission:
        job = JobId(name)
        session = self.root / "session" / name
        base = Grami(gridid=job, directory=session, controldir=self.scripts.root, args=("/bin/true",))
        tag = new_tag(job)
        rundir = Path(f"{session}.lrms/{tag}")
        submission = Submission(job=job, tag=tag, grami=replace(base, **grami), rundir=rundir)
        self.scripts.grami(job).write_bytes(dump_grami(submission.grami))
        return submission

    def file(self, name: str) -> str:
        return (self.scripts.root / name).read_text()

    def put(self, name: str, text: str) -> None:
        (self.scripts.root / name).write_text(text)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    for name in ("ctl", "scripts", "session"):
        (tmp_path / name).mkdir()
    scripts = ArcScripts(
        name="mine",
        directory=tmp_path / "scripts",
        layout=FlatLayout(tmp_path / "ctl"),
        cfg="[common]\n",
        tmpdir=tmp_path,
        scan_apart_s=0.01,
        look_s=0.01,
        patience_s=0.05,
    )
    site = Site(tmp_path, scripts)
    site.script("submit", TAKE)
    site.script("cancel", "exit 0")
    site.script("scan", "exit 0")
    yield site
    for pid in processes.having_environment(f"TMPDIR={tmp_path}".encode()):
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, 9)


def local_job(name: str = "job1", localid: str = "4711") -> LocalJob:
    return LocalJob(job=JobId(name), localid=LocalId(localid), tag=None, session=Path("/s"), rundir=None)


async def test_the_id_that_the_script_appends_is_the_local_id(site: Site) -> None:
    submission = site.submission()

    assert {submission.tag: LocalId("4711")} == await site.backend().submit([submission])


async def test_the_script_is_called_as_arc_calls_it(site: Site) -> None:
    site.script("submit", f'echo "$*"; pwd; umask; echo "$X509_USER_PROXY $ARC_CONFIG $TMPDIR"; {TAKE}')

    backend = site.backend()
    await backend.start()
    await backend.submit([site.submission()])

    ctl = site.scripts.root
    assert (
        f"--config {ctl}/arc-scripts.cfg {ctl}/job.job1.grami\n/\n0077\n"
        f"{ctl}/job.job1.proxy {ctl}/arc-scripts.cfg {site.root}\n"
    ) == site.file("job.job1.errors")
    assert "[common]\n" == site.file("arc-scripts.cfg")


async def test_what_the_script_says_comes_after_what_the_log_has(site: Site) -> None:
    site.put("job.job1.errors", "before\n")
    site.script("submit", f"echo 'from the script' >&2; {TAKE}")

    await site.backend().submit([site.submission()])

    assert "before\nfrom the script\n" == site.file("job.job1.errors")


async def test_a_log_that_is_a_link_is_not_written_to(site: Site) -> None:
    submission = site.submission()
    (site.scripts.root / "job.job1.errors").symlink_to(site.root / "elsewhere")

    answer = await site.backend().submit([submission])

    assert isinstance(answer[submission.tag], NotSubmitted)
    assert not (site.root / "elsewhere").exists()


async def test_a_fault_in_cancelling_one_job_does_not_matter_to_the_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = site.backend()
    cancel = backend._cancel

    async def faulty(job: LocalJob) -> str:
        if job.localid == "1":
            raise ValueError("strange")
        return await cancel(job)

    site.script("cancel", "exit 3")
    monkeypatch.setattr(backend, "_cancel", faulty)
    submission = site.submission()
    jobs = [
        LocalJob(job=submission.job, localid=LocalId(each), tag=None, session=submission.grami.directory, rundir=None)
        for each in ("1", "2")
    ]

    refused = await backend.cancel(jobs)

    assert "strange" in refused[jobs[0].localid]
    assert "exit code 3" in refused[jobs[1].localid]


async def test_a_script_that_cannot_be_started_has_submitted_nothing(site: Site) -> None:
    (site.scripts.script("submit")).unlink()
    submission = site.submission()

    answer = await site.backend().submit([submission])

    assert isinstance(answer[submission.tag], NotSubmitted)


async def test_an_exit_code_is_a_refusal_whatever_the_grami_says(site: Site) -> None:
    site.script("submit", f"{TAKE}; exit 3")
    submission = site.submission()

    answer = await site.backend().submit([submission])

    assert isinstance(answer[submission.tag], SubmitRejected)
    assert "submit-mine-job ended with exit code 3" in str(answer[submission.tag])


async def test_a_script_that_succeeds_without_an_id_fails_the_job(site: Site) -> None:
    site.script("submit", "exit 0")
    submission = site.submission()

    answer = await site.backend().submit([submission])

    assert "Failed extracting LRMS ID" == str(answer[submission.tag])


async def test_an_id_inside_a_value_of_the_job_is_not_one(site: Site) -> None:
    site.script("submit", "exit 0")
    submission = site.submission(environment=(("A", "\njoboption_jobid=666\n"),))

    answer = await site.backend().submit([submission])

    assert isinstance(answer[submission.tag], SubmitRejected)
    assert {} == await site.backend().find([submission])


async def test_a_killed_script_leaves_its_attempt_unsure(site: Site) -> None:
    site.script("submit", "kill -9 $$")

    assert {} == await site.backend().submit([site.submission()])


async def test_a_killed_script_that_has_left_an_id_has_succeeded(site: Site) -> None:
    site.script("submit", f"{TAKE}; kill -9 $$")
    submission = site.submission()

    assert {submission.tag: "4711"} == await site.backend().submit([submission])


async def test_a_script_without_an_end_is_killed_and_its_attempt_unsure(site: Site) -> None:
    site.script("submit", "exec sleep 600")
    submission = site.submission()

    assert {} == await site.backend(suspicious_s=0.05, fatal_s=0.1).submit([submission])
    assert {} == await site.backend().find([submission])


async def test_a_job_that_has_an_id_is_not_submitted_again(site: Site) -> None:
    site.script("submit", "echo again >>$3; exit 1")
    submission = site.submission(localid=LocalId("17"))
    with site.scripts.grami(submission.job).open("a") as file:
        file.write("joboption_jobid=17\n")

    assert {submission.tag: "17"} == await site.backend().submit([submission])
    assert {submission.tag: "17"} == await site.backend().find([submission])


async def test_a_script_is_not_held_up_by_what_it_leaves_behind(site: Site) -> None:
    """ARC's fork script leaves the job itself, which keeps what the script had open."""
    site.script("submit", f"{TAKE}; sleep 600 & exit 0")
    submission = site.submission()

    async with asyncio.timeout(60):
        assert {submission.tag: "4711"} == await site.backend().submit([submission])


async def test_nothing_is_known_of_an_attempt_whose_script_is_still_at_work(site: Site) -> None:
    site.script("submit", "mkfifo $TMPDIR/gate; read x <$TMPDIR/gate")
    first, submission = site.backend(), site.submission()
    asking = asyncio.create_task(first.submit([submission]))
    gate = site.root / "gate"
    while not gate.exists():
        await asyncio.sleep(0.01)

    with pytest.raises(BatchUnavailable, match=f"still running for {submission.tag}"):
        await site.backend().find([submission])

    await asyncio.to_thread(gate.write_text, "go\n")
    await asking


async def test_a_service_that_stops_leaves_the_script_at_work(site: Site) -> None:
    """Killed, it might have handed the job over and not said so."""
    site.script("submit", f"mkfifo $TMPDIR/gate; read x <$TMPDIR/gate; {TAKE}")
    backend, submission = site.backend(), site.submission()
    asking = asyncio.create_task(backend.submit([submission]))
    gate = site.root / "gate"
    while not gate.exists():
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await backend.close()

    await asyncio.to_thread(gate.write_text, "go\n")

    assert {submission.tag: "4711"} == await site.backend(patience_s=60.0).find([submission])


async def test_a_stop_that_is_cancelled_leaves_no_submission_behind(site: Site) -> None:
    site.script("submit", f"mkfifo $TMPDIR/gate; read x <$TMPDIR/gate; {TAKE}")
    backend, submission = site.backend(patience_s=60.0), site.submission()
    asking = asyncio.create_task(backend.submit([submission]))
    gate = site.root / "gate"
    while not gate.exists():
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    closing = asyncio.create_task(backend.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert [] == [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    await asyncio.to_thread(gate.write_text, "go\n")

    assert {submission.tag: "4711"} == await site.backend(patience_s=60.0).find([submission])


async def test_so_many_scripts_run_at_one_time(site: Site) -> None:
    site.script(
        "submit",
        "mkdir $TMPDIR/one || { mkdir $TMPDIR/two || echo three >&2; }; sleep 0.02\n"
        f"rmdir $TMPDIR/two 2>/dev/null || rmdir $TMPDIR/one; {TAKE}",
    )
    batch = [site.submission(f"job{number}") for number in range(6)]

    await site.backend(at_once=1).submit(batch)

    assert [""] * 6 == [site.file(f"job.{each.job}.errors") for each in batch]


async def test_a_job_without_an_end_on_record_is_there_and_no_more_is_known(site: Site) -> None:
    job = local_job()

    reports = await site.backend().status([job])

    assert Phase.OTHER is reports[job.localid].phase


@pytest.mark.parametrize(
    ("text", "code", "cause", "message"),
    [
        ("0 \n", 0, EndCause.EXIT_CODE, ""),
        ("271 job killed: wall\n", 271, EndCause.EXIT_CODE, "job killed: wall"),
        ("-1 Job died unexpectedly\n", None, EndCause.LOST, "Job died unexpectedly"),
        ("nonsense\n", None, EndCause.LOST, "nonsense"),
    ],
)
async def test_what_the_scan_wrote_is_the_end(
    site: Site, text: str, code: int | None, cause: EndCause, message: str
) -> None:
    site.put("job.job1.lrms_done", text)
    job = local_job()

    reports = await site.backend().recorded([job])

    report = reports[job.localid]
    assert (Phase.ENDED, code, cause, message) == (report.phase, report.exit_code, report.cause, report.message)


async def test_no_job_shows_its_tag(site: Site) -> None:
    assert {} == await site.backend().tagged()


async def test_a_file_that_the_scan_has_not_filled_yet_is_no_end(site: Site) -> None:
    """Read as ARC reads it, an empty one would be a success."""
    site.put("job.job1.lrms_done", "")

    assert {} == await site.backend().recorded([local_job()])


async def test_an_end_that_the_scan_writes_is_reported_at_once(site: Site) -> None:
    site.script("scan", 'cd "$3" && echo "0 " >job.job1.lrms_done; sleep 600')
    site.submission()
    backend, job = site.backend(), local_job()
    told: asyncio.Queue[LocalId] = asyncio.Queue()
    await backend.status([job])

    watching = asyncio.create_task(backend.watch(told.put_nowait))
    async with asyncio.timeout(60):
        assert job.localid == await told.get()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_scan_that_fails_is_started_again(site: Site) -> None:
    site.script("scan", 'cd "$3"; echo x >>scans; [ $(wc -l <scans) -lt 3 ] && exit 1; echo "0 " >job.job1.lrms_done')
    site.submission()
    backend = site.backend()
    await backend.status([local_job()])
    told: asyncio.Queue[LocalId] = asyncio.Queue()

    watching = asyncio.create_task(backend.watch(told.put_nowait))
    async with asyncio.timeout(60):
        await told.get()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)

    assert backend.figures()["scan"] >= 3


async def test_a_taken_cancellation_is_no_refusal(site: Site) -> None:
    site.submission()

    assert {} == await site.backend().cancel([local_job()])


async def test_an_exit_code_refuses_a_cancellation(site: Site) -> None:
    site.script("cancel", "echo 'no such job' >&2; exit 1")
    site.submission()

    assert {"4711": "cancel-mine-job ended with exit code 1"} == await site.backend().cancel([local_job()])
    assert "no such job\n" == site.file("job.job1.errors")


async def test_nothing_can_be_held(site: Site) -> None:
    assert {"4711": "the scripts of mine can't hold a job"} == await site.backend().hold([local_job()])
    assert {"4711": "the scripts of mine can't release a job"} == await site.backend().release([local_job()])


@pytest.mark.parametrize(("lrms", "name"), [("mine", "mine"), ("arc-mine", "mine"), ("arc-MINE", "mine")])
async def test_the_configuration_names_the_scripts(site: Site, lrms: str, name: str) -> None:
    conf = site.root / "arc.conf"
    conf.write_text(
        f"[common]\n[lrms]\nlrms={lrms}\n[arex]\ncontroldir={site.root}/ctl\nmaxjobs=-1 -1 -1 -1 3\n"
        f"[arex/service]\narc_scripts={site.root}/scripts\n[queue:q]\n"
    )
    config = (await asyncio.to_thread(load, conf, {}))[0]

    backend = ArcScriptsBackend.from_config(config)
    await backend.start()

    assert name == backend.name
    assert "lrms=mine\n" in site.file("arc-scripts.cfg").lower()


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("", "arc_scripts is not set"),
        ("arc_scripts=/nonexistent\n", "No such file"),
        ("arc_scripts={}\n", "has no scan"),
    ],
)
async def test_scripts_that_are_not_there_are_a_fault_of_the_configuration(site: Site, option: str, why: str) -> None:
    (site.root / "scripts" / "scan-mine-job").unlink()
    conf = site.root / "arc.conf"
    conf.write_text(
        f"[common]\n[lrms]\nlrms=arc-mine\n[arex]\ncontroldir={site.root}/ctl\n"
        f"[arex/service]\n{option.format(site.root / 'scripts')}[queue:q]\n"
    )
    config = (await asyncio.to_thread(load, conf, {}))[0]

    with pytest.raises(ConfigError, match=why):
        await ArcScriptsBackend.from_config(config).start()
