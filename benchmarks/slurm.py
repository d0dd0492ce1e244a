"""
A thousand null jobs through us into a real SLURM, beside bare sbatch and beside A-REX 6.17 with its SLURM scripts.

All in one run and on one machine; only ratios mean something. SLURM has to be up (tools/clusters/slurm.sh up, with
SLURM_MEMORY=free) and empty.

Handing over is from the moment the service is up, with all jobs waiting in ACCEPTED, to the moment the last one has
its local id (the time of the last line of its ``.grami``). The end is when the last one is FINISHED, and for bare
sbatch when squeue is empty.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from arex.config.load import load
from benchmarks.common import CHECKOUT, Daemon, Site, real_daemon, temporary, wait_for
from plugins.local import LocalPlugin
from plugins.local.submission import Submitted
from tests.interop import grid
from tests.interop.preparation import prepare

TRUE: Final = '&(executable="/bin/true")(stdout="out")(jobname="null")'
SBATCH: Final = ("sbatch", "--parsable", "--output=/dev/null")
LIMIT_S: Final = 900.0


def drained() -> bool:
    done = subprocess.run(["squeue", "-h", "-o", "%i"], capture_output=True, text=True, check=True)
    return not done.stdout.strip()


def loop(jobs: int) -> None:
    for _ in range(jobs):
        subprocess.run([*SBATCH, "--wrap", "true"], check=True, stdout=subprocess.DEVNULL)


def four_loops(jobs: int) -> None:
    threads = [threading.Thread(target=loop, args=(jobs // 4,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def array(jobs: int) -> None:
    subprocess.run([*SBATCH, f"--array=1-{jobs}", "--wrap", "true"], check=True, stdout=subprocess.DEVNULL)


def bare(jobs: int, submit: Callable[[int], None]) -> tuple[float, float]:
    """Seconds until all are submitted, and until all have ended."""
    wait_for(drained, LIMIT_S, 0.2)
    start = time.monotonic()
    submit(jobs)
    submitted = time.monotonic() - start
    wait_for(drained, LIMIT_S, 0.2)
    return submitted, time.monotonic() - start


def ours(jobs: int, *, arrays: bool, checkout: Path = CHECKOUT) -> tuple[float, float, float, dict[str, int]]:
    """Seconds until all are handed over and until all are FINISHED; CPU seconds; commands run."""
    wait_for(drained, LIMIT_S, 0.2)
    root = temporary("slurm")
    site = Site(root, extra=f"array={'yes' if arrays else 'no'}\n", lrms="lrms=slurm\n[queue:main]")
    plugin = LocalPlugin(load(site.config, {})[0], subject="/CN=bench")
    outcomes = plugin.submit([TRUE] * jobs)
    assert all(isinstance(each, Submitted) for each in outcomes)
    with Daemon(real_daemon(site, checkout), site) as daemon:
        start, began = time.monotonic(), time.time()
        wait_for(lambda: site.finished() >= jobs, LIMIT_S, 0.1)
        ended = time.monotonic() - start
        time.sleep(2.5)  # the status file follows in two seconds
        cpu = daemon.cpu_s()
        calls = plugin_calls(site)
    handed = max(path.stat().st_mtime for path in site.ctl.glob("job.*.grami")) - began
    failed = [path for path in site.ctl.glob("job.*.failed") if path.stat().st_size]
    assert not failed, failed[0].read_text()
    site.remove()
    return handed, ended, cpu, calls


def theirs(jobs: int) -> float:
    """Seconds from A-REX's arcsub for all to the last FINISHED, through its submit-SLURM-job and scan-SLURM-job."""
    wait_for(drained, LIMIT_S, 0.2)
    with grid.site(prepare(), "bench-slurm", lambda: False, wakeup=10) as here:
        text = here.conf.read_text().replace("[queue:fork]", "[queue:main]")
        slurm = "lrms = slurm\nslurm_wakeupperiod = 10\nslurm_use_sacct = no"
        here.conf.write_text(text.replace("lrms = fork", slurm).partition("[arex/service]")[0])
        here.environ["SLURM_CONF"] = os.environ["SLURM_CONF"]
        here.start_real()
        files = [here.write(f"many/{number}.xrsl", TRUE) for number in range(jobs)]
        start = time.monotonic()
        argv: list[str | Path] = ["-T", "internal", "-C", "localhost", "-Q", "NONE", *files]
        here.arc("arcsub", *argv, within=300).good()
        done = here.control / "finished"
        wait_for(lambda: done.exists() and len(os.listdir(done)) >= jobs, LIMIT_S, 0.2)
        ended = time.monotonic() - start
        failed = [path for path in here.control.glob("job.*.failed") if path.stat().st_size]
        assert not failed, failed[0].read_text()
        here.stop_real()
    return ended


def plugin_calls(site: Site) -> dict[str, int]:
    return dict(json.loads((site.ctl / "arex.status").read_bytes())["calls"]["slurm"])


def report(name: str, jobs: int, handed: float, ended: float, more: str = "") -> None:
    rate = f"{jobs / handed:8.1f} jobs/s ({handed:6.2f} s)"
    print(f"{name:<20} handed over {rate}  all ended {ended:6.2f} s  {more}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--theirs", type=int, default=60, help="jobs for A-REX, once; 0 leaves it out")
    asked = parser.parse_args()
    jobs = asked.jobs
    results: dict[str, list[tuple[float, float]]] = {}
    for _ in range(asked.rounds):
        for name, submit in (("bare, one loop", loop), ("bare, four loops", four_loops), ("bare, one array", array)):
            handed, ended = bare(jobs, submit)
            results.setdefault(name, []).append((handed, ended))
            report(name, jobs, handed, ended)
        for name, arrays in (("arex, singly", False), ("arex, arrays", True)):
            handed, ended, cpu, calls = ours(jobs, arrays=arrays)
            results.setdefault(name, []).append((handed, ended))
            report(name, jobs, handed, ended, f"{cpu:.1f} s of CPU, {calls}")
    print(f"--- medians of {asked.rounds}")
    base_handed = statistics.median(handed for handed, _ in results["bare, one loop"])
    base_ended = statistics.median(ended for _, ended in results["bare, one loop"])
    for name, pairs in results.items():
        handed = statistics.median(each for each, _ in pairs)
        ended = statistics.median(each for _, each in pairs)
        report(name, jobs, handed, ended, f"x {base_handed / handed:.2f} and x {ended / base_ended:.2f} of one loop")

    if asked.theirs:
        seconds = theirs(asked.theirs)
        rate, our_rate = asked.theirs / seconds, jobs / statistics.median(each for _, each in results["arex, arrays"])
        print(f"A-REX 6.17: {asked.theirs} jobs in {seconds:.1f} s, {rate:.2f} jobs/s to FINISHED, once")
        print(f"arex, arrays: {our_rate:.1f} jobs/s to FINISHED, x {our_rate / rate:.1f}")


if __name__ == "__main__":
    os.environ.pop("ARC_CONFIG", None)
    main()
