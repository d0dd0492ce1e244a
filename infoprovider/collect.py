"""Creates an ``Element`` from the configuration, this host and the numbers of jobs."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from arex.config.model import Configuration, QueueBlock
from infoprovider.model import Element, Nodes, Share

_ASK_HOST = "adotf"


def collect(config: Configuration, states: Mapping[str, int], now: datetime) -> Element:
    """Collect the facts of this host; blocks on the file system."""
    nodes = _nodes(config)
    slots = config.service.fork_slots or nodes.cores
    return Element(
        hostname=config.common.hostname,
        domain=config.glue2.admindomain_name,
        lrms=config.lrms.lrms.name,
        created=now,
        shares=tuple(_share(config, queue, slots) for queue in config.queues),
        nodes=nodes,
        slots=slots,
        free_gb=_free_gb([entry.path for entry in config.arex.sessiondir]),
        lifetime_s=int(config.arex.defaultttl.ttl.total_seconds()),
        states=dict(states),
        runtimes=tuple(_runtimes(config.arex.controldir / "rte" / "enabled")),
        accepts=config.ws_jobs.allownew,
    )


def _share(config: Configuration, queue: QueueBlock, slots: int) -> Share:
    wall = queue.maxwalltime or config.cluster.maxwalltime
    cpu = queue.maxcputime or config.cluster.maxcputime
    return Share(
        name=queue.name,
        comment=queue.comment,
        max_walltime_s=None if wall is None else int(wall.total_seconds()),
        max_cputime_s=None if cpu is None else int(cpu.total_seconds()),
        max_slots=queue.maxslotsperjob or slots,
        max_memory_mb=config.cluster.nodememory,
    )


def _nodes(config: Configuration) -> Nodes:
    cluster = config.cluster
    family, name, version = _system(cluster.opsys)
    return Nodes(
        architecture=platform.machine() if cluster.architecture == _ASK_HOST else cluster.architecture,
        cpu_model=_cpu_model() if cluster.nodecpu == _ASK_HOST else cluster.nodecpu,
        cores=len(os.sched_getaffinity(0)),
        memory_mb=cluster.nodememory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20),
        os_family=family,
        os_name=name,
        os_version=version,
    )


def _system(wanted: tuple[str, ...]) -> tuple[str, str, str]:
    named = next((text for text in wanted if text != _ASK_HOST), None)
    if named is not None:
        name, _, version = named.partition("-")
        return "linux", name, version
    try:
        facts = platform.freedesktop_os_release()
    except OSError:
        return "linux", "linux", platform.release()
    return "linux", facts.get("ID", "linux"), facts.get("VERSION_ID", "")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"model name", "Model", "cpu model"}:
            return value.strip()
    return platform.processor() or "unknown"


def _free_gb(roots: list[Path]) -> int | None:
    # Path.is_dir raises PermissionError below a directory of another user
    free = [shutil.disk_usage(root).free for root in roots if os.path.isdir(root)]  # noqa: PTH112
    return min(free) // 10**9 if free else None


def _runtimes(enabled: Path) -> list[tuple[str, str]]:
    found = []
    for folder, _, names in os.walk(enabled):
        for name in names:
            full = (Path(folder) / name).relative_to(enabled).as_posix()
            stem, dash, version = full.rpartition("-")
            found.append((stem, version) if dash and version[:1].isdigit() else (full, ""))
    return sorted(found)
