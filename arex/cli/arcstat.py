"""``arcstat``: the status of jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from arex.cli import options
from arex.cli.output import document, local_time, plain, printable, say
from arex.cli.select import Chosen, JobSelection, choose
from arex.cli.site import Site
from plugins.local.status import JobStatus

#: Labels for the keys of the evidence.
_EVIDENCE: Final = {
    "seen": "Evidence of",
    "phase": "In the batch system",
    "cause": "End cause",
    "doubt": "Doubt",
    "message": "Message",
    "record": "Job script at its end",
    "mark": "Job script at its start",
    "scan": "Batch system",
    "accounting": "Accounting",
    "session": "Session directory",
}
ORDERS: Final = click.Choice(["jobid", "submissiontime", "jobname", ""])


@click.command(context_settings=options.CONTEXT)
@click.option("-l", "--long", is_flag=True, help="Print more information about each job.")
@click.option(
    "-S", "--sort", type=ORDERS, default="", show_default=False, help="Sort by jobid, submissiontime or jobname."
)
@click.option("-R", "--rsort", type=ORDERS, default="", show_default=False, help="Same as -S, in reverse order.")
@click.option("-u", "--show-unavailable", is_flag=True, help="Also show jobs without any information.")
@click.option("-p", "--print-jobids", is_flag=True, help="Print only the job ids.")
@click.option("-J", "as_json_too", is_flag=True, help="Same as --json.")
@click.option(
    "--evidence", is_flag=True, help="Print what the batch system and the job script reported about each job."
)
@click.option("-w", "--wait", is_flag=True, help="Wait until the jobs have ended.")
@options.selection
@options.common
def command(
    *,
    long: bool,
    sort: str,
    rsort: str,
    show_unavailable: bool,
    print_jobids: bool,
    as_json_too: bool,
    wait: bool,
    evidence: bool,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
    joblist: Path | None,
    **wanted: object,
) -> int:
    """Show the status of jobs."""
    as_json = as_json or as_json_too
    site = Site(config, joblist, debug)
    jobs = choose(site, JobSelection(**wanted))  # type: ignore[arg-type]
    jobs = ordered(jobs, sort or rsort, reverse=bool(rsort))
    if wait:
        from arex.cli.progress import wait_for  # noqa: PLC0415 - needed only with this option

        wait_for(site, [job.id for job in jobs if isinstance(job.status, JobStatus)], timeout)
        answers = site.plugin.status([job.id for job in jobs])
        jobs = [replace(job, status=answer) for job, answer in zip(jobs, answers, strict=True)]
    told = [job for job in jobs if isinstance(job.status, JobStatus)]
    if as_json:
        shown = jobs if show_unavailable else told
        document({"jobs": [as_value(job) | _evidence(site, job, wanted=evidence) for job in shown]})
    elif print_jobids:
        for job in jobs if show_unavailable else told:
            say(job.url)
    else:
        show(site, jobs, long=long, unavailable=show_unavailable, evidence=evidence)
    if any(isinstance(job.status, JobStatus) and not job.status.state.final for job in told):
        site.mention_daemon()
    return 0 if told else 1


def ordered(jobs: list[Chosen], key: str, *, reverse: bool) -> list[Chosen]:
    keys: dict[str, Callable[[Chosen], str]] = {
        "jobid": lambda job: job.url,
        "jobname": lambda job: job.name,
        "submissiontime": lambda job: str(job.status.submitted or "") if isinstance(job.status, JobStatus) else "",
    }
    return sorted(jobs, key=keys[key], reverse=reverse) if key else jobs


def _evidence(site: Site, job: Chosen, *, wanted: bool) -> dict[str, object]:
    return {"evidence": dict(site.plugin.evidence(job.id))} if wanted and isinstance(job.status, JobStatus) else {}


def as_value(job: Chosen) -> dict[str, object]:
    if isinstance(job.status, JobStatus):
        return {**_facts(job.status), "id": job.url, "idfromendpoint": job.id, "name": job.name}
    return {"id": job.url, "idfromendpoint": job.id, "name": job.name, "error": str(job.status)}


def _facts(status: JobStatus) -> dict[str, object]:
    value = plain(status)
    assert isinstance(value, dict)
    return value


def show(site: Site, jobs: list[Chosen], *, long: bool, unavailable: bool, evidence: bool = False) -> None:
    told = 0
    for job in jobs:
        if isinstance(job.status, JobStatus):
            told += 1
            say(f"Job: {printable(job.url)}")
            for label, value in facts(job.name, job.status, long=long):
                say(f" {label}: {printable(value)}")
            for source, text in site.plugin.evidence(job.id) if evidence else ():
                say(f" {_EVIDENCE.get(source, source)}: {printable(text)}")
            say()
        elif unavailable:
            say(f"Job: {printable(job.url)}")
            say(" State: Undefined")
            say()
        else:
            site.warn(f"Job information not found: {job.url}: {job.status}")
    say(f"Status of {len(jobs)} jobs was queried, {told} jobs returned information")


def facts(name: str, status: JobStatus, *, long: bool) -> Iterator[tuple[str, str]]:
    """Lines about one job, with the labels of ARC."""
    if name:
        yield "Name", name
    yield "State", str(status.state)
    if status.waiting:
        yield "Waiting for", status.waiting
    if status.staging:
        yield "Data staging", status.staging
    if status.position is not None:
        yield "Waiting Position", str(status.position)
    if status.exit_code is not None:
        yield "Exit Code", str(status.exit_code)
    for line in status.failure.splitlines():
        if line:
            yield "Job Error", line
    if long:
        yield from _long(status)


def _long(status: JobStatus) -> Iterator[tuple[str, str]]:
    yield "Specific state", status.specific
    texts = (
        ("Owner", status.owner), ("Queue", status.queue), ("ID in batch system", status.localid),
        ("Execution node", ", ".join(status.nodes)), ("Session directory", str(status.sessiondir or "")),
    )  # fmt: skip
    yield from ((label, text) for label, text in texts if text)
    times = (
        ("Submitted", status.submitted), ("Started", status.started), ("End Time", status.ended),
        ("Results must be retrieved before", status.erased),
    )  # fmt: skip
    yield from ((label, local_time(moment)) for label, moment in times if moment is not None)
    amounts = (
        ("Used CPU Time", status.cpu_s, "seconds"), ("Used Wall Time", status.wall_s, "seconds"),
        ("Used Memory", status.memory_kb, "kB"),
    )  # fmt: skip
    yield from ((label, f"{amount} {unit}") for label, amount, unit in amounts if amount is not None)
    if status.reruns:
        yield "Restarts left", str(status.reruns)
    yield "ID on service", status.id
