"""One wrapped program: ``wrapper.py DIRECTORY NAME REAL ARGUMENTS...``. Standard library only, and quick to start."""

from __future__ import annotations

import fcntl
import os
import random
import subprocess
import sys
import time

_SLURM = {
    "down": "{name}: error: Unable to contact slurm controller (connect failure)",
    "limit": (
        "{name}: error: QOSMaxSubmitJobPerUserLimit\n{name}: error: Batch job submission failed: Job violates "
        "accounting/QOS policy (job submit limit, user's size and/or time limits)"
    ),
    "fail-before": "{name}: error: Batch job submission failed: Socket timed out on send/recv operation",
    "fail-after": "{name}: error: Batch job submission failed: Socket timed out on send/recv operation",
}
_SGE = {
    "down": (
        "error: commlib error: got select error (Connection refused)\n"
        'error: unable to send message to qmaster using port 6444 on host "node1": got send error'
    ),
    "limit": "Unable to run job: job rejected: only 3 jobs are allowed per user (current job count: 10)\nExiting.",
    "fail-before": "error: commlib error: got select error (Connection timed out)\nExiting.",
    "fail-after": (
        "error: failed receiving gdi request response for mid=1 (got syncron message receive timeout error).\nExiting."
    ),
}
_CONDOR = {
    "down": "\nERROR: Can't find address of local schedd",
    "limit": "\nERROR: Failed to create proc\nNumber of submitted jobs would exceed MAX_JOBS_PER_OWNER",
    "fail-before": "\nERROR: Failed to connect to local queue manager\nSECMAN:2007:Failed to end classad message.",
    "fail-after": "\nERROR: Failed to commit job submission into the queue.",
}
_HANG_S = 3600.0
_LATE_S = 2.0


def main() -> None:
    directory, name, real, *arguments = sys.argv[1:]
    note(f"{directory}/calls", name)
    kind = fault(f"{directory}/faults", name)
    if kind:
        note(f"{directory}/came-true", f"{name}:{kind}")
    if kind in {"", "late"}:
        time.sleep(_LATE_S if kind else 0.0)
        os.execv(real, [name, *arguments])
    if kind == "hang":
        time.sleep(_HANG_S)
    out = after(real, name, arguments) if kind in {"fail-after", "hang-after", "garbage", "truncate"} else ""
    if kind == "hang-after":
        time.sleep(_HANG_S)
    elif kind == "garbage":
        print("\x00\x1b[31m#$ this is no answer |||")
    elif kind == "truncate":
        print(out[: max(1, len(out) * 2 // 3)], end="")
    else:
        print(sentences(name)[kind].format(name=name), file=sys.stderr)
        sys.exit(1)


def sentences(name: str) -> dict[str, str]:
    """Those of the batch system that a program of this name belongs to."""
    if name.startswith("condor_"):
        return _CONDOR
    return _SGE if name.startswith("q") else _SLURM


def after(real: str, name: str, arguments: list[str]) -> str:
    """What the real program says; the fault comes when it has done its work."""
    done = subprocess.run([name, *arguments], executable=real, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout


def note(path: str, word: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{word}\n")


def fault(path: str, name: str) -> str:
    """The first that is meant for this call; one with a number of times is used up."""
    if not os.path.exists(path):
        return ""
    with open(path, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = [line.split() for line in file if line.strip()]
        for index, (command, kind, times) in enumerate(lines):
            if command not in {"*", name}:
                continue
            if times.endswith("%"):
                if random.random() * 100 < float(times[:-1]):
                    return kind
                continue
            if times != "always":
                lines[index : index + 1] = [[command, kind, str(int(times) - 1)]] if int(times) > 1 else []
                file.seek(0)
                file.truncate()
                file.writelines(" ".join(line) + "\n" for line in lines)
            return kind
    return ""


main()
