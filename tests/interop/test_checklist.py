"""
The rest of the list that an independent A-REX is to be held against.

Items 1, 4, 6 and 8 are in the tests of submission, descriptions and clients, 7 in those of the clients, 12 in that of
the handover.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from tests.interop.grid import PARTS, Account, Job, Site, site, until
from tests.interop.jobs import FIXTURES, HELLO, LATER, PUSH, shell
from tests.recorded import moved

pytestmark = pytest.mark.timeout(600)

SCRIPTS: Final = Path("/usr/share/arc")


# --- 2: noticed with and without a pipe -------------------------------------------------------------------------


def test_a_job_is_noticed_where_neither_events_nor_pipe_work(empty: Site) -> None:
    empty.start_ours("[arex/service]\nwatch = poll\nscan_period = 1\n")
    (empty.control / "gm.fifo").unlink()

    [job] = empty.arc_submit(HELLO)
    empty.wait(job, "FINISHED")

    theirs = re.findall(r"change (\S+ -> \S+) ", (FIXTURES / "hello/ctl").glob("*.errors").__next__().read_text())
    assert theirs == empty.moves(job)


# --- 3: clients look while the daemon writes --------------------------------------------------------------------


def test_their_arcstat_finds_every_job_at_every_moment(ours: Site) -> None:
    jobs = ours.arc_submit(*[shell("sleep 2")] * 40, name="stream")
    urls = [job.url for job in jobs]

    looks = 0
    while not all(ours.status(job) == "FINISHED" for job in jobs):
        out = ours.arc("arcstat", *urls).good().out
        looks += 1
        assert "Status of 40 jobs was queried, 40 jobs returned information" in out, out
        assert looks < 200

    assert looks > 0


# --- 5: the scripts of ARC's own fork backend -------------------------------------------------------------------


def prepared(here: Site, text: str) -> Job:
    """As a daemon leaves a job that it is about to submit."""
    [job] = here.arc_submit(text, name="scripted")
    for suffix in ("diag", "comment"):
        path = here.session / f"{job.id}.{suffix}"
        path.touch(mode=0o600)
        here.account.own(path)
    move(here, job, "SUBMIT")
    return job


def move(here: Site, job: Job, word: str) -> None:
    """Write a status file as a daemon does that is not there."""
    for part in PARTS:
        (here.control / part / f"job.{job.id}.status").unlink(missing_ok=True)
    path = here.control / "processing" / f"job.{job.id}.status"
    path.write_text(word)
    path.chmod(0o600)
    here.account.own(path)


def script(here: Site, name: str, what: Path) -> None:
    # what it leaves running keeps its output open
    quiet = ("/bin/sh", "-c", f'exec "$@" >{here.home}/script.log 2>&1 </dev/null', "sh")
    done = here.call(*quiet, SCRIPTS / f"{name}-fork-job", "--config", here.run / "arex.cfg", what)
    assert done.code == 0, (here.home / "script.log").read_text()


def localid(here: Site, job: Job) -> int:
    [found] = re.findall(r"joboption_jobid=(\d+)", here.text(job, "grami"))
    return int(found)


def handed_over(here: Site, job: Job) -> None:
    """The daemon's part after ``submit-fork-job``."""
    with here.file(job, "local").open("a") as stream:
        stream.write(f"localid={localid(here, job)}\n")
    move(here, job, "INLRMS")


@pytest.fixture
def stopped(empty: Site) -> Site:
    """With all that a daemon of ours leaves, and no daemon."""
    empty.start_ours()
    empty.stop_ours()
    empty.pidfile.touch()
    empty.account.own(empty.pidfile)
    return empty


def test_their_scripts_submit_and_scan_and_our_daemon_understands(stopped: Site) -> None:
    tally = stopped.home / "tally"
    good = prepared(stopped, shell(f"echo good >>{tally}"))
    bad = prepared(stopped, shell(f"echo bad >>{tally}; exit 7"))

    for job in (good, bad):
        script(stopped, "submit", stopped.file(job, "grami"))
        handed_over(stopped, job)
    until(lambda: all("exitcode=" in diag(stopped, job) for job in (good, bad)), 120, lambda: diag(stopped, bad))
    script(stopped, "scan", stopped.control)

    assert "0 \n" == stopped.text(good, "lrms_done")
    assert "7 Job finished with wrong exit code - 7 != 0\n" == stopped.text(bad, "lrms_done")
    stopped.start_ours()
    stopped.wait([good, bad], "FINISHED")
    assert "" == stopped.text(good, "failed")
    assert "LRMS error: (7) Job finished with wrong exit code - 7 != 0\n" == stopped.text(bad, "failed")
    assert "Output of the job wrapper script" in stopped.text(good, "errors")
    assert ["bad", "good"] == sorted(tally.read_text().split())


def diag(here: Site, job: Job) -> str:
    return (here.session / f"{job.id}.diag").read_text()


def test_their_script_cancels_what_theirs_has_submitted(stopped: Site) -> None:
    job = prepared(stopped, shell("sleep 300"))
    script(stopped, "submit", stopped.file(job, "grami"))
    handed_over(stopped, job)

    script(stopped, "cancel", stopped.file(job, "grami"))

    until(lambda: localid(stopped, job) not in stopped.processes(), 120, lambda: str(stopped.processes()))


def test_their_scan_reports_a_job_of_our_backend(empty: Site) -> None:
    """It ran under our daemon, which was stopped before the end."""
    gate = empty.write("gate", "")
    empty.start_ours()
    [job] = empty.arc_submit(shell(f"while test -e {gate}; do sleep 0.2; done; exit 5"))
    empty.wait(job, "INLRMS")
    empty.stop_ours()
    gate.unlink()
    until(lambda: "exitcode=5" in diag(empty, job), 120, lambda: diag(empty, job))
    process = Path(f"/proc/{localid(empty, job)}")
    until(lambda: not process.exists(), 120, lambda: f"{process} goes on, or waits for its parent")

    script(empty, "scan", empty.control)

    assert "5 Job finished with wrong exit code - 5 != 0\n" == empty.text(job, "lrms_done")


def test_their_script_cancels_a_job_of_our_backend(empty: Site) -> None:
    empty.start_ours()
    [job] = empty.arc_submit(shell("exec sleep 300"))
    empty.wait(job, "INLRMS")
    empty.stop_ours()

    script(empty, "cancel", empty.file(job, "grami"))

    session = str(empty.session / job.id)
    until(lambda: session not in [cwd(pid) for pid in empty.processes()], 120, lambda: str(empty.processes()))


def cwd(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


# --- 9: files that the service brings out -----------------------------------------------------------------------


DELIVERING: Final = """\
<?xml version="1.0"?>
<ActivityDescription xmlns="http://www.eu-emi.eu/es/2010/12/adl">
  <Application>
    <Executable>
      <Path>/bin/sh</Path><Argument>-c</Argument><Argument>echo result; echo kept >kept</Argument>
    </Executable>
    <Output>out.txt</Output>
  </Application>
  <DataStaging>
    <OutputFile>
      <Name>out.txt</Name>
      <Target><URI>file:TARGET</URI></Target>
    </OutputFile>
    <OutputFile><Name>kept</Name></OutputFile>
  </DataStaging>
</ActivityDescription>
"""


def test_an_output_is_delivered_and_the_lists_say_so(ours: Site) -> None:
    target = ours.home / "delivered.txt"
    [job] = ours.arc_submit(DELIVERING.replace("TARGET", str(target)))

    ours.wait(job, "FINISHED")

    assert "" == ours.text(job, "failed")
    assert "result\n" == target.read_text()
    assert ["/kept"] == ours.text(job, "output").split()
    assert ["/out.txt", f"file:{target}"] == ours.text(job, "output_status").split()[:2]


# --- 10: the daemon dies in every state -------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_restart_loses_nothing_and_runs_nothing_twice(
    account: Account, how: signal.Signals, request: pytest.FixtureRequest
) -> None:
    with site(account, "again", lambda: bool(request.session.testsfailed), maxjobs="-1 2 -1 -1 -1") as here:
        here.start_ours()
        tally, gate, last = here.home / "tally", here.write("gate", ""), here.write("last", "")
        payload = f"while test -e {gate}; do sleep 0.1; done"
        names = ("long", "ends", "pending", "done")
        texts = {name: shell(f"echo {name} >>{tally}; {payload if name != 'done' else ':'}") for name in names}
        texts["ends"] = shell(f"echo ends >>{tally}; while test -e {last}; do sleep 0.1; done")
        [done] = here.arc_submit(texts["done"], name="done")
        here.wait(done, "FINISHED")
        running = here.arc_submit(texts["long"], texts["ends"], name="running")
        here.wait(running, "INLRMS")
        [pending, later, push] = here.arc_submit(texts["pending"], LATER, PUSH, name="waiting")
        here.wait(pending, "PENDING:PREPARING", "SUBMIT", "INLRMS")
        here.wait(later, "ACCEPTED")
        here.wait(push, "PREPARING")

        pid = int(here.pidfile.read_text())
        os.kill(pid, how)
        until(lambda: pid not in here.processes(), 120, lambda: f"{pid} goes on")
        last.unlink()
        here.start_ours()

        here.wait(running[1], "FINISHED")
        here.wait(running[0], "INLRMS")
        here.wait(later, "ACCEPTED")
        here.wait(push, "PREPARING")
        assert "FINISHED" == here.status(done)
        gate.unlink()
        here.wait([*running, pending], "FINISHED")
        assert sorted(names) == sorted(tally.read_text().split())
        assert [""] * 3 == [here.text(job, "failed") for job in (*running, pending)]


# --- 11: jobs that A-REX 6.17 left ------------------------------------------------------------------------------

#: Snapshots, and what becomes of them under our daemon.
ADOPTED: Final = {
    "hello": "FINISHED",
    "fail3": "FINISHED",
    "cancel_inlrms": "FINISHED",
    "client_hello": "FINISHED",
    "a2": "PREPARING",
    "sleep_inlrms": "FINISHED",
    "pending_preparing": "INLRMS",
    "slowin_preparing": "FINISHED",
    "slowout_finishing": "FINISHED",
    "handA": "FINISHED",
    "handB": "FINISHED",
    "hand.I.dots": "FINISHED",
    "handG": "FINISHED",
}
FETCHED: Final = "mc"


def laid_out(here: Site, name: str) -> Job:
    """A snapshot's files, with this place's paths and the present time in them."""
    job = ""
    now = datetime.now(UTC)
    for source in sorted((FIXTURES / name).rglob("*")):
        kind, *rest = source.relative_to(FIXTURES / name).parts
        if kind not in {"ctl", "session"} or not source.is_file():
            continue
        target = (here.control if kind == "ctl" else here.session).joinpath(*rest)
        for parent in reversed([each for each in target.parents if here.root in each.parents]):
            if not parent.exists():
                parent.mkdir(mode=0o700)
                here.account.own(parent)
        data = source.read_bytes()
        for path, own in ((b"/CONTROLDIR", here.control), (b"/SESSIONDIR", here.session)):
            data = data.replace(path, str(own).encode())
        target.write_bytes(moved(data, now))
        target.chmod(0o600)
        here.account.own(target)
        if target.name.endswith(".status"):
            job = target.name.removeprefix("job.").removesuffix(".status")
    session = here.session / job
    session.mkdir(mode=0o700, exist_ok=True)
    here.account.own(session)
    return Job(f"file://{session}")


@pytest.fixture(scope="module")
def adopted(account: Account, request: pytest.FixtureRequest) -> Iterator[tuple[Site, dict[str, Job]]]:
    with site(account, "adopted", lambda: bool(request.session.testsfailed)) as here:
        here.start_ours()
        here.stop_ours()
        jobs = {name: laid_out(here, name) for name in (*ADOPTED, FETCHED)}
        here.start_ours()
        yield here, jobs


@pytest.mark.parametrize("name", ADOPTED)
def test_a_job_of_6_17_is_taken_up(adopted: tuple[Site, dict[str, Job]], name: str) -> None:
    here, jobs = adopted

    here.wait(jobs[name], ADOPTED[name])


def test_a_finished_job_of_6_17_can_be_fetched_by_their_client(adopted: tuple[Site, dict[str, Job]]) -> None:
    """After ``arcsync`` of ours, for theirs can't find jobs here."""
    here, jobs = adopted
    here.wait(jobs[FETCHED], "FINISHED")
    here.arex("arcsync", "-f", "-c", "localhost").good()

    done = here.arc("arcget", "-D", here.home / "old", jobs[FETCHED].url).good()

    assert "successfully retrieved: 1, successfully cleaned: 1" in done.out
    assert "out.txt" in os.listdir(here.home / "old" / jobs[FETCHED].id)
    here.gone(jobs[FETCHED])
    shutil.rmtree(here.home / "old")
