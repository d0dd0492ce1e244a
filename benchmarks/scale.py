"""
Twenty thousand live jobs and a hundred thousand finished ones in one control directory.

Reports, for a small and a large directory: seconds from start until every live job is watched, memory, processor
time while nothing happens, and processor time of the daemon for one more job. The last is the figure to compare.

    python benchmarks/scale.py [--live 20000] [--finished 100000] [--idle 60]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from arex.config.load import load
from arex.controldir import codec
from arex.model.ids import JobId, LocalId, new_job_id
from arex.model.local import JobLocal
from benchmarks.common import Daemon, Site, spread, temporary, wait_for
from plugins.local import LocalPlugin
from plugins.local.submission import Submitted

XRSL = '&(executable="/bin/true")(stdout="out")(stderr="err")(jobname="bench")'
FAKE = [sys.executable, str(Path(__file__).with_name("fake_service.py"))]
#: ext4 allows 65000 names of one file.
LINKS = 60_000


def populate(site: Site, live: int, finished: int) -> None:
    """
    Jobs as a daemon leaves them, made from one that really ran.

    Files that nothing rewrites are hard links to the first job's, so that a hundred thousand jobs are a matter of
    minutes; status and ``.local`` are separate files.
    """
    template = run_one(site)
    for count, state, place, localid in (
        (finished, "FINISHED", "finished", "4711"),
        (live, "INLRMS", "processing", None),
    ):
        sources: dict[str, Path] = {}
        for number in range(count):
            job = new_job_id()
            if number % LINKS == 0:
                sources = copies(site, template, f"{state}{number}")
            for suffix, source in sources.items():
                if state == "FINISHED" or suffix not in {"failed", "output_status"}:
                    os.link(source, site.ctl / f"job.{job}.{suffix}")
            facts(site, job, LocalId(localid or f"live{number}"), finished=state == "FINISHED")
            if state == "INLRMS":
                (site.root / "session" / job).mkdir()
            (site.ctl / place / f"job.{job}.status").write_text(state)


def run_one(site: Site) -> JobId:
    config, _ = load(site.config, os.environ)
    with Daemon([*FAKE, str(site.config)], site):
        [job] = LocalPlugin(config).submit([XRSL])
        assert isinstance(job, Submitted), job
        wait_for(lambda: site.finished() == 1, 30)
    return job.id


def copies(site: Site, template: JobId, name: str) -> dict[str, Path]:
    made = {}
    keep = site.root / "templates" / name
    keep.mkdir(parents=True)
    for path in site.ctl.glob(f"job.{template}.*"):
        suffix = path.name.rpartition(".")[2]
        if suffix != "local":
            made[suffix] = keep / suffix
            data = path.read_bytes()
            if name.startswith("INLRMS"):
                data = data.replace(b"nordugrid:FINISHED", b"nordugrid:INLRMS:R")
            made[suffix].write_bytes(data)
    return made


def facts(site: Site, job: JobId, localid: LocalId, *, finished: bool) -> None:
    now = datetime.now(UTC)
    local = JobLocal(
        globalid=job,
        interface="org.nordugrid.internal",
        lrms="fork",
        queue="fork",
        localid=localid,
        args=("/bin/true",),
        argscode=0,
        subject="/O=local/CN=bench",
        starttime=now,
        lifetime=timedelta(days=7),
        rerun=0,
        jobname="bench",
        sessiondir=site.root / "session" / job,
        transfershare="_default",
        priority=50,
        cleanuptime=now + timedelta(days=7) if finished else None,
    )
    (site.ctl / f"job.{job}.local").write_bytes(codec.dump_local(local))


def cost_ms(site: Site, daemon: Daemon, jobs: int, rounds: int) -> list[float]:
    """Processor milliseconds of the daemon for one more job, several rounds of ``jobs`` each."""
    config, _ = load(site.config, os.environ)
    plugin = LocalPlugin(config)
    costs = []
    for _round in range(rounds):
        before, done = daemon.cpu_s(), site.finished()
        plugin.submit([XRSL] * jobs)
        wait_for(lambda: site.finished() >= done + jobs, 120, 0.05)  # noqa: B023 - used at once
        costs.append((daemon.cpu_s() - before) * 1000 / jobs)
    return costs


def measure(name: str, live: int, finished: int, idle_s: float) -> float:
    site = Site(temporary(f"scale-{name}"))
    try:
        start = time.monotonic()
        populate(site, live, finished)
        print(f"{name}: {live} live, {finished} finished, made in {time.monotonic() - start:.0f} s", flush=True)
        begun = time.monotonic()
        (site.ctl / "arex.status").unlink(missing_ok=True)
        with Daemon([*FAKE, str(site.config)], site) as daemon:
            wait_for(lambda: site.states().get("INLRMS", 0) >= live, 300)
            print(
                f"  restart to watching all: {time.monotonic() - begun:.1f} s, {daemon.cpu_s():.1f} s of processor",
                flush=True,
            )
            costs = cost_ms(site, daemon, 300, 5)
            print(f"  one more job, 300 in a round: {spread(costs, 'ms of processor', 2)}", flush=True)
            time.sleep(5)
            before = daemon.cpu_s()
            time.sleep(idle_s)
            print(f"  idle: {(daemon.cpu_s() - before) / idle_s * 100:.2f} % of a core over {idle_s:.0f} s", flush=True)
            print(f"  memory: {daemon.rss_mb():.0f} MB", flush=True)
        return statistics.median(costs)
    finally:
        site.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--live", type=int, default=20_000)
    parser.add_argument("--finished", type=int, default=100_000)
    parser.add_argument("--idle", type=float, default=60.0)
    options = parser.parse_args()
    small = measure("small", 1_000, 0, min(options.idle, 20.0))
    large = measure("large", options.live, options.finished, options.idle)
    print(f"cost of one more job, large to small: {large / small:.2f}")


if __name__ == "__main__":
    main()
