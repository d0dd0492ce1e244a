"""
Run a sweep or a random campaign in a new directory::

    python -m tests.faults.campaign sweep|random fork|slurm DIRECTORY [mounts]

Prints the figures, and exits with 1 if there are problems. With ``mounts``, below ``unshare --mount`` as root, file
systems become full and read-only. AREX_CAMPAIGN_S is how long the random campaign takes, in seconds;
AREX_CAMPAIGN_SEED repeats one; AREX_SWEEP_CALLS is how many calls of the sweep are made to fail, 0 for all.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.clusters.wrappers import Wrappers
from tests.faults.campaign import mounts
from tests.faults.campaign.payloads import Payloads
from tests.faults.campaign.random_faults import Campaign
from tests.faults.campaign.shim import Shim
from tests.faults.campaign.site import Site
from tests.faults.campaign.slurm import PROGRAMS, SlurmTroubles
from tests.faults.campaign.start import SECONDS
from tests.faults.campaign.sweep import Sweep, check
from tests.faults.campaign.troubles import ForkTroubles, Troubles

SEED: Final = int(os.environ.get("AREX_CAMPAIGN_SEED") or time.time_ns() % 1_000_000)
SWEEP_CALLS: Final = int(os.environ.get("AREX_SWEEP_CALLS", "0"))
_SLOTS: Final = 8


def main(what: str, backend: str, place: Path, *options: str) -> int:
    print(f"AREX_CAMPAIGN_SEED={SEED}", flush=True)
    can_mount = "mounts" in options
    with serving(place, backend, can_mount=can_mount) as (site, wrappers):
        if what == "sweep":
            result = Sweep(site, SWEEP_CALLS, SEED).run(120 if backend == "fork" else 180)
            check(site, result.problems)
            print(f"{backend} {result}")
            return int(bool(result.problems))
        dice = random.Random(SEED)
        campaign = Campaign(site, SEED)
        if wrappers is None:
            troubles: Troubles = ForkTroubles(site, dice, campaign.jobs, can_mount=can_mount)
        else:
            troubles = SlurmTroubles(site, dice, campaign.jobs, wrappers)
        figures = campaign.run(troubles, Payloads(str(site.runs), dice, fork=wrappers is None), dice, SECONDS)
        print(f"{backend} {figures}")
        if not can_mount:
            print("  no file system was made full or read-only: that needs root, and a batch system does not see it")
        return int(bool(figures.problems))


@contextmanager
def serving(place: Path, backend: str, *, can_mount: bool) -> Iterator[tuple[Site, Wrappers | None]]:
    root = place / "site"
    root.mkdir(parents=True)
    shim = Shim(place, root, SEED)
    wrappers = None
    if backend == "fork":
        site = Site(root, shim, _SLOTS)
    else:
        wrappers = Wrappers(place / "bin", {name: Path(shutil.which(name) or name) for name in PROGRAMS})
        site = Site(
            root,
            shim,
            _SLOTS,
            "lrms_timeout=5\narray_most=12\nrecord_wait=15\n",
            f"lrms=slurm\nslurm_bin_path={wrappers.bin}\n[queue:main]\n",
        )
    if can_mount:
        mounts.mount_tmpfs(site.ctl, 512)
        mounts.mount_tmpfs(site.sessions, 1024)
    site.begin()
    try:
        yield site, wrappers
    finally:
        if site.alive:
            site.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), *sys.argv[4:]))
