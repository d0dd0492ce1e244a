"""What ``arex status`` shows about a running daemon, and what ``arex status --check`` complains about."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from arex import daemon
from arex.config.model import Configuration

#: The daemon writes its status once a minute; a younger one is not old.
_STALE: Final = timedelta(minutes=2)


def shown(config: Configuration, pid: int, snapshot: daemon.Snapshot | None, problems: list[str]) -> str:
    """The status as text, with the problems at the end."""
    lines = [f"arex runs (pid {pid or 'unknown'}) on {config.arex.controldir}, log {config.arex.logfile}"]
    if snapshot is not None and pid in {snapshot.pid, daemon.UNKNOWN_PID}:
        lines += _figures(snapshot)
    lines += [f"  problem   {each}" for each in problems]
    return "\n".join(lines)


def _figures(snapshot: daemon.Snapshot) -> list[str]:
    jobs = ", ".join(f"{count} {state}" for state, count in snapshot.states.items()) or "none"
    if not snapshot.complete:
        jobs = "being read from the control directory"
    lines = [f"  since     {snapshot.started}, version {snapshot.version}", f"  as of     {snapshot.updated}"]
    lines += [f"  wake-ups  {snapshot.wakeups}"]
    lines += [f"  jobs      {jobs}"]
    if snapshot.waiting:
        lines.append(f"  waiting   {snapshot.waiting} new jobs, waiting because of maxjobs")
    for name, health in snapshot.lrms.items():
        lines.append(f"  {name:<9} {health}")
        if unsure := snapshot.unsure.get(name):
            lines.append(f"  unsure    {unsure} submissions without an answer; arex is looking them up")
        if calls := snapshot.calls.get(name):
            lines.append(f"  commands  {', '.join(f'{count} {command}' for command, count in calls.items())}")
    if moved := [f"{count} {what.replace('_', ' ')}" for what, count in snapshot.staging.items() if count]:
        lines.append(f"  staging   {', '.join(moved)}")
    if snapshot.strays:
        lines.append(
            f"  orphans   {snapshot.strays} jobs in the batch system that belong to no job in the control directory"
        )
    if count := sum(int(each["count"]) for each in snapshot.faults.values()):
        lines.append(f"  errors    {count} errors since the start, see the log")
    return lines


def problems(pid: int, snapshot: daemon.Snapshot | None, now: datetime) -> list[str]:
    """What is wrong with a running daemon, a sentence for each problem."""
    if snapshot is None or pid not in {snapshot.pid, daemon.UNKNOWN_PID}:
        return ["the daemon has not written its status yet"]
    found = []
    age = now - datetime.fromisoformat(snapshot.updated)
    if age > _STALE:
        found.append(f"the daemon has not written its status since {snapshot.updated}: it hangs, or its disk is full")
    found += [f"{name}: {health}" for name, health in snapshot.lrms.items() if health != "ok"]
    found += [
        f"{name}: {each['count']} errors, the last at {each['at']}: {each['message']}"
        for name, each in snapshot.faults.items()
        if each["recent"]
    ]
    if snapshot.troubled_count:
        examples = "; ".join(f"{job}: {why}" for job, why in list(snapshot.troubled.items())[:3])
        found.append(f"{snapshot.troubled_count} jobs cannot be processed: {examples}")
    if snapshot.log_trouble:
        found.append(f"the log cannot be written: {snapshot.log_trouble}")
    return found
