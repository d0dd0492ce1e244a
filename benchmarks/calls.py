"""
How often the batch system is asked, from ten jobs to five thousand: the figure should not grow.

Real daemon, fake SLURM programs (the server of the tests, in memory), jobs that stay queued for the whole minute.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from arex.config.load import load
from benchmarks.common import Daemon, Site, real_daemon, temporary, wait_for
from plugins.local import LocalPlugin
from tests.fakes.cluster.control import FakePrograms

SLEEP = '&(executable="/bin/sleep")(arguments="600")(jobname="queued")'


def calls_a_minute(jobs: int, seconds: float) -> tuple[dict[str, float], dict[str, int]]:
    """Commands a minute while all jobs wait in the queue, and those that it took to get them there."""
    root = temporary("calls")
    programs = FakePrograms(root / "cluster", "slurm", FAKE_SLOTS="1", FAKE_QUEUES="main")
    site = Site(root, lrms=f"lrms=slurm\nslurm_bin_path={programs.bin}\n[queue:main]")
    plugin = LocalPlugin(load(site.config, {})[0], subject="/CN=bench")
    plugin.submit([SLEEP] * jobs)
    with Daemon(real_daemon(site), site):
        wait_for(lambda: site.states() == {"INLRMS": jobs}, 300, 0.5)
        before = dict(programs.calls())
        time.sleep(seconds)
        after = dict(programs.calls())
    programs.stop()
    site.remove()
    rates = {name: (count - before.get(name, 0)) * 60 / seconds for name, count in after.items()}
    return {name: rate for name, rate in rates.items() if rate}, before


def main(seconds: float = 60) -> None:
    for jobs in (10, 100, 1000, 5000):
        rates, before = calls_a_minute(jobs, seconds)
        told = ", ".join(f"{rate:.0f} {name}" for name, rate in rates.items())
        print(f"{jobs:5} jobs: {told} a minute; to submit them: {before}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    main(parser.parse_args().seconds)
