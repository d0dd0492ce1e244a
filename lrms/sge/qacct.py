"""What qacct of Grid Engine says about ended jobs. Source: accounting(5), sge_status(5), sge_types(1) of 8.1.9."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Final

from arex.errors import UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase, Usage
from arex.process import Completed
from lrms.command.dialect import Seen, no_answer
from lrms.command.listings import entries
from lrms.sge.qstat import DOWN, moment, tag_in

#: ``failed`` of qacct: how the job ended; None: it has not ended, it will run again. Source: sge_status(5).
_FAILED: Final[Mapping[int, EndCause | None]] = {
    0: EndCause.EXIT_CODE,
    12: EndCause.EXIT_CODE,  # 12 to 16 and 30: failures after the end of the job
    13: EndCause.EXIT_CODE,
    14: EndCause.EXIT_CODE,
    15: EndCause.EXIT_CODE,
    16: EndCause.EXIT_CODE,
    17: EndCause.SIGNAL,
    18: EndCause.NODE_FAILURE,
    19: EndCause.NODE_FAILURE,
    20: EndCause.NODE_FAILURE,
    21: EndCause.NODE_FAILURE,
    24: None,
    25: None,
    30: EndCause.EXIT_CODE,
    37: EndCause.WALLTIME,
    100: EndCause.SIGNAL,
}
_KILLED: Final = frozenset({17, 37, 100})
#: Exit codes of a shell whose child the kernel has ended at a limit: KILL and XCPU.
_BY_THE_KERNEL: Final = frozenset({128 + 9, 128 + 24})
#: Exit codes of a shell whose child was refused memory and crashed: ABRT, BUS, SEGV.
_OUT_OF_MEMORY: Final = frozenset({128 + 6, 128 + 7, 128 + 11})
#: This part of a limit counts as reaching it: it is checked only from time to time, and seconds are rounded.
_NEARLY: Final = 0.95
_ROUNDED: Final = 1.0
#: The possible limits: cause, name in the category of the job, and the field of the usage.
_LIMITS: Final = (
    ("h_rt", "ru_wallclock", EndCause.WALLTIME),
    ("s_rt", "ru_wallclock", EndCause.WALLTIME),
    ("h_cpu", "cpu", EndCause.CPUTIME),
    ("s_cpu", "cpu", EndCause.CPUTIME),
    ("h_vmem", "maxvmem", EndCause.MEMORY),
    ("s_vmem", "maxvmem", EndCause.MEMORY),
    ("h_vmem", "ru_maxrss", EndCause.MEMORY),  # for a short job, maxvmem is 0
)
_UNITS: Final[Mapping[str, float]] = {
    **{letter: 1000.0**power for power, letter in enumerate(("", "k", "m", "g", "t"))},
    **{letter: 1024.0**power for power, letter in enumerate("BKMGT")},
}
_NONE: Final = re.compile(r"job (id|name) \S+ not found|no jobs running since startup")


def accounted(done: Completed) -> Mapping[LocalId, Seen]:
    """
    The recorded ends. A job that will run again has none; slave tasks of a parallel job do not count.

    Raises:
        BatchUnavailable: there is no answer, or it is invalid.
    """
    if _NONE.search(done.err):
        return {}
    if done.code != 0:
        raise no_answer(done, DOWN)
    found: dict[LocalId, Seen] = {}
    records = list(_records(done))
    if done.out.strip() and not records:
        raise UnreadableOutput(done.argv, done.code, done.out[-1000:])
    for record in records:
        number, task = record["jobnumber"], record.get("taskid", "undefined")
        localid = LocalId(number if task == "undefined" else f"{number}.{task}")
        try:
            seen = _recorded(record)
        except Exception as exc:  # noqa: BLE001 - the other records count
            entries.complain("Grid Engine", localid, exc)
            continue
        if seen is not None and record.get("pe_taskid", "NONE") == "NONE":
            found[localid] = seen
    return found


def _records(done: Completed) -> Iterator[dict[str, str]]:
    """The blocks of qacct that are records; the first line with a name counts."""
    for block in re.split(r"^=+[ \t\r]*$", done.out, flags=re.MULTILINE):
        record: dict[str, str] = {}
        for line in block.split("\n"):
            key, _, value = line.partition(" ")
            record.setdefault(key, " ".join(value.split()))
        if {"jobnumber", "failed", "exit_status"} <= record.keys() and record["jobnumber"].isdecimal():
            yield record


def _recorded(record: Mapping[str, str]) -> Seen | None:
    """One end; None if the job runs again."""
    failed = int(_leading(record["failed"]) or 0)
    cause = _FAILED.get(failed, EndCause.NEVER_STARTED if failed <= 11 or failed in range(26, 40) else None)
    if cause is None and failed in _FAILED:
        return None
    status = int(_leading(record["exit_status"]) or 0)
    signal = status - 128 if failed in _KILLED and status > 128 else None
    if failed in _KILLED and signal is None and failed != 37:
        cause = EndCause.NODE_FAILURE
    elif failed in _KILLED or status in _BY_THE_KERNEL:
        cause = _limit(record) or cause
    elif status in _OUT_OF_MEMORY and _limit(record) is EndCause.MEMORY:
        cause = EndCause.MEMORY
    ran = cause is not EndCause.NEVER_STARTED
    return Seen(
        phase=Phase.ENDED,
        tag=tag_in(record.get("jobname", "")),
        word=f"failed {record['failed']}" if failed else f"exit_status {record['exit_status']}",
        cause=cause,
        exit_code=status if ran and signal is None else None,
        signal=signal,
        nodes=(record["hostname"],) if ran and record.get("hostname", "") not in {"", "unknown"} else (),
        started=moment(record.get("start_time", "")),
        ended=moment(record.get("end_time", "")),
        usage=_usage(record) if ran else Usage(),
    )


def _limit(record: Mapping[str, str]) -> EndCause | None:
    """The limit that the job had reached when it was killed, if any."""
    words = _words(record.get("category", ""))
    asked = [word for flag, word in itertools.pairwise(words) if flag == "-l"]
    limits = dict(pair.partition("=")[::2] for each in asked for pair in each.split(","))
    slots = _leading(record.get("slots", "")) or 1.0
    for name, used, cause in _LIMITS:
        limit, amount = _amount(limits.get(name, "")), _used(record, used)
        times = slots if cause is not EndCause.WALLTIME else 1.0
        if limit and amount is not None and amount + _ROUNDED >= limit * times * _NEARLY:
            return cause
    return None


def _used(record: Mapping[str, str], name: str) -> float | None:
    """Seconds or bytes."""
    if name != "ru_maxrss":
        return _amount(record.get(name, ""))
    peak_kb = _peak_kb(record)
    return None if peak_kb is None else peak_kb * 1024


def _peak_kb(record: Mapping[str, str]) -> float | None:
    """In kB. The kernel counts kB, and 8.1.9 prints the number as if it were bytes."""
    return _amount(record.get("ru_maxrss", ""))


def _words(text: str) -> list[str]:
    """Words of a line whose quotes may not be balanced."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _usage(record: Mapping[str, str]) -> Usage:
    rss = _peak_kb(record)
    return Usage(
        wall_s=_amount(record.get("ru_wallclock", "")),
        user_s=_amount(record.get("ru_utime", "")),
        system_s=_amount(record.get("ru_stime", "")),
        max_rss_kb=None if rss is None else round(rss),
    )


def _leading(text: str) -> float | None:
    found = re.match(r"-?\d+(?:\.\d+)?", text)
    return None if found is None else float(found[0])


def _amount(text: str) -> float | None:
    """Seconds or bytes: ``20s``, ``1:00:00``, ``::20``, ``3.457MB``, ``100M``."""
    if ":" in text:
        parts = [float(part or 0) for part in text.split(":") if re.fullmatch(r"\d*(\.\d+)?", part)]
        return sum(part * 60.0**power for power, part in enumerate(reversed(parts)))
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?)([BKMGTkmgts]?)B?s?", text)
    if found is None:
        return None
    return float(found[1]) * _UNITS.get(found[2], 1.0)
