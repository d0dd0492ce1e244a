"""What the benchmarks share: a directory, a configuration, a daemon as its own process, and its cost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
#: Where the benchmark's directories go; the file system decides much of the figures.
ROOT = Path(os.environ.get("AREX_BENCH_DIR", "/var/tmp"))
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Site:
    """A separate control directory, with its configuration."""

    root: Path
    maxjobs: str = "-1 -1 -1 -1 -1"
    extra: str = ""
    lrms: str = "lrms=fork\n[queue:fork]"
    config: Path = field(init=False)

    def __post_init__(self) -> None:
        self.config = self.root / "arc.conf"
        self.root.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            "[common]\nhostname=localhost\n"
            f"[arex]\ncontroldir={self.root}/ctl\nsessiondir={self.root}/session\npidfile={self.root}/arex.pid\n"
            f"logfile={self.root}/arex.log\njoblog={self.root}/jobs.log\nloglevel=2\nmaxjobs={self.maxjobs}\n"
            f"[arex/service]\nallow_root=yes\n{self.extra}[lrms]\n{self.lrms}\n",
            encoding="utf-8",
        )

    @property
    def ctl(self) -> Path:
        return self.root / "ctl"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "ARC_CONFIG": str(self.config), "HOME": str(self.root)}

    def finished(self) -> int:
        return len(os.listdir(self.ctl / "finished"))

    def states(self) -> dict[str, int]:
        try:
            return dict(json.loads((self.ctl / "arex.status").read_bytes())["states"])
        except (FileNotFoundError, ValueError):
            return {}

    def remove(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


class Daemon:
    """A service process; ``cpu`` counts it and the children it waited for."""

    def __init__(self, argv: Sequence[str], site: Site) -> None:
        self.site = site
        with (site.root / "daemon.out").open("ab") as log:
            self.process = subprocess.Popen(argv, env=site.environment, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        wait_for(lambda: (self.site.root / "arex.pid").exists() or self.process.poll() is not None, 60)
        assert self.process.poll() is None, (self.site.root / "daemon.out").read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGTERM)

    def stop(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(60)

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def real_daemon(site: Site, checkout: Path = CHECKOUT) -> list[str]:
    return [sys.executable, "-I", str(checkout / "arex" / "__main__.py"), "run", "--config", str(site.config)]


def wait_for(condition: Callable[[], bool], limit_s: float, pause_s: float = 0.005) -> float:
    """Seconds until the condition holds; raises TimeoutError."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > limit_s:
            raise TimeoutError(f"not within {limit_s} s")
        time.sleep(pause_s)
    return time.monotonic() - start


def temporary(name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"arex-bench-{name}-", dir=ROOT))


def spread(values: Sequence[float], unit: str, digits: int = 3) -> str:
    middle = statistics.median(values)
    return f"{middle:.{digits}f} {unit} (median of {len(values)}; {min(values):.{digits}f} to {max(values):.{digits}f})"
