"""How SLURM's commands are called: their options, and what options and scripts mean."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Final

from tests.fakes.cluster.front import Refusal, Request

SBATCH: Final = {
    "-J": "name=", "--job-name": "name=", "-o": "output=", "--output": "output=", "-e": "error=", "--error": "error=",
    "-p": "partition=", "--partition": "partition=", "-t": "time=", "--time": "time=", "-n": "ntasks=",
    "--ntasks": "ntasks=", "-c": "cpus-per-task=", "--cpus-per-task": "cpus-per-task=", "-N": "nodes=",
    "--nodes": "nodes=", "--ntasks-per-node": "ntasks-per-node=", "--mem": "mem=", "--mem-per-cpu": "mem-per-cpu=",
    "-a": "array=", "--array": "array=", "--comment": "comment=", "-H": "hold", "--hold": "hold", "-D": "chdir=",
    "--chdir": "chdir=", "-M": "clusters=", "--clusters": "clusters=", "--parsable": "parsable", "-A": "account=",
    "--account": "account=", "-q": "qos=", "--qos": "qos=", "--exclusive": "exclusive?", "-C": "constraint=",
    "--constraint": "constraint=", "--nice": "nice?", "--export": "export=", "--no-requeue": "no-requeue",
    "--requeue": "requeue", "--get-user-env": "get-user-env?", "--open-mode": "open-mode=", "-b": "begin=",
    "--begin": "begin=", "--priority": "priority=", "--reservation": "reservation=", "--signal": "signal=",
    "-Q": "quiet", "--quiet": "quiet", "--mail-type": "mail-type=", "-x": "exclude=", "-w": "nodelist=", "-L":
    "licenses=", "--licenses": "licenses=", "--gres": "gres=", "--wckey": "wckey=", "-V": "version",
    "--version": "version", "--tmp": "tmp=", "--threads-per-core": "threads-per-core=", "--hint": "hint=",
}  # fmt: skip


SQUEUE: Final = {
    "-h": "noheader", "--noheader": "noheader", "-a": "all", "--all": "all", "-r": "array", "--array": "array",
    "-t": "states=", "--states": "states=", "-u": "user=", "--user": "user=", "--me": "me", "-j": "jobs?",
    "--jobs": "jobs?", "-o": "format=", "--format": "format=", "-p": "partition=", "--partition": "partition=",
    "-M": "clusters=", "--clusters": "clusters=", "-n": "name=", "--name": "name=", "-V": "version",
    "--version": "version", "-S": "sort=", "--sort": "sort=", "--local": "local", "-O": "Format=",
    "--Format": "Format=",
}  # fmt: skip


SACCT: Final = {
    "-P": "parsable2", "--parsable2": "parsable2", "-p": "parsable", "--parsable": "parsable", "-n": "noheader",
    "--noheader": "noheader", "-j": "jobs=", "--jobs": "jobs=", "-o": "format=", "--format": "format=",
    "-X": "allocations", "--allocations": "allocations", "-S": "starttime=", "--starttime": "starttime=",
    "-E": "endtime=", "--endtime": "endtime=", "-u": "user=", "--user": "user=", "-M": "clusters=",
    "--clusters": "clusters=", "-D": "duplicates", "--duplicates": "duplicates", "-a": "allusers", "-s": "state=",
    "--state": "state=", "-V": "version", "--version": "version", "--units": "units=", "--name": "name=",
}  # fmt: skip


def minutes(text: str) -> float | None:
    """A time limit; SLURM rounds seconds up to minutes."""
    if text.upper() in {"UNLIMITED", "INFINITE", "-1", "0"}:
        return None
    if (match := re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)) is None:
        raise Refusal("sbatch: error: Invalid --time specification")
    days, first, second, third = (int(each or 0) for each in match.groups())
    if match[1] is not None:
        seconds = ((days * 24 + first) * 60 + second) * 60 + third
    elif match[4] is not None:
        seconds = (first * 60 + second) * 60 + third
    else:
        seconds = first * 60 + second
    return -(-seconds // 60)


def script(request: Request, operands: list[str]) -> str:
    if operands:
        path = request.cwd / operands[0]
        if not path.is_file():
            raise Refusal(f"sbatch: error: Unable to open file {operands[0]}")
        text = path.read_text(errors="surrogateescape")
    else:
        text = request.stdin
    if not text.strip():
        raise Refusal("sbatch: error: Batch script is empty!")
    if not text.startswith("#!"):
        raise Refusal(
            "sbatch: error: This does not look like a batch script.  The first\nsbatch: error: line must start with #! "
            "followed by the path to an interpreter.\nsbatch: error: For instance: #!/bin/sh"
        )
    return text


def exported(environment: Mapping[str, str], export: str) -> Mapping[str, str]:
    if export.upper().startswith("ALL"):
        base = dict(environment)
    elif export.upper().startswith("NIL"):
        base = {}
    else:
        base = {each: environment[each] for each in ("HOME", "USER", "PATH", "SHELL") if each in environment}
    for pair in export.split(",")[1:] if export.upper().startswith(("ALL", "NONE", "NIL")) else export.split(","):
        name, equals, value = pair.partition("=")
        base |= {name: value} if equals else {name: environment[name]} if name in environment else {}
    return base


def begin(text: str) -> float:
    if not text or text == "now":
        return 0.0
    if match := re.fullmatch(r"now\+(\d+)(minutes|hours|days)?", text):
        return time.time() + int(match[1]) * {"": 1, "minutes": 60, "hours": 3600, "days": 86400}[match[2] or ""]
    if match := re.fullmatch(r"uts(\d+)", text):
        return float(match[1])
    try:
        return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
    except ValueError as exc:
        raise Refusal(f"sbatch: error: Invalid --begin specification: {text}") from exc


def with_jobs(argv: tuple[str, ...]) -> list[str]:
    """``-j`` takes the next word if that does not look like an option."""
    words = list(argv)
    for position, each in enumerate(words[:-1]):
        if each in {"-j", "--jobs"} and not words[position + 1].startswith("-"):
            words[position : position + 2] = [f"--jobs={words[position + 1]}"]
            break
    return words
