"""What the processes of a job have used, as wait4 tells it. Standard library only."""

from __future__ import annotations

import os
import resource  # noqa: F401 - wait4 needs it, and would look for it in each supervisor
from typing import Any


class ProcessUsage:
    """Sums over all processes that have ended."""

    def __init__(self) -> None:
        self.total = [0.0] * 16

    def add(self, used: Any) -> None:  # noqa: ANN401 - resource.struct_rusage, a tuple of 16 numbers
        rss = max(self.total[2], used[2])
        self.total = [a + b for a, b in zip(self.total, used, strict=True)]
        self.total[2] = rss

    @property
    def cpu_s(self) -> float:
        return self.total[0] + self.total[1]

    def lines(self, wall_s: float) -> str:
        """In the order and spelling of ARC. Source: ``docs/developers/control-directory.md``."""
        user, system, rss, *_, minor, major, swaps, ins, outs, sent, received, signals, waits, forced = self.total
        return (
            f"WallTime={wall_s:.2f}s\nKernelTime={system:.2f}s\nUserTime={user:.2f}s\n"
            f"CPUUsage={int(100 * self.cpu_s / max(wall_s, 0.01))}%\nMaxResidentMemory={int(rss)}kB\n"
            "AverageResidentMemory=0kB\nAverageTotalMemory=0kB\nAverageUnsharedMemory=0kB\nAverageUnsharedStack=0kB\n"
            f"AverageSharedMemory=0kB\nPageSize={os.sysconf('SC_PAGE_SIZE')}B\n"
            f"MajorPageFaults={int(major)}\nMinorPageFaults={int(minor)}\nSwaps={int(swaps)}\n"
            f"ForcedSwitches={int(forced)}\nWaitSwitches={int(waits)}\nInputs={int(ins)}\nOutputs={int(outs)}\n"
            f"SocketReceived={int(received)}\nSocketSent={int(sent)}\nSignals={int(signals)}\n"
        )
