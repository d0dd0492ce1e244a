"""``arcstat``: the status of jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from arex.cli import options
from arex.cli.bulk import chosen_value
from arex.cli.output import document, failure, moment, printable, remark, say, shown_reason, zoned_time
from arex.cli.select import Chosen, JobSelection, NoJobs, choose, matches, past_job
from arex.cli.site import Site
from arex.errors import NoSuchJob
from arex.model.ids import JobId
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
_LOOK_S: Final = 2.0
#: Moves the cursor of a terminal to the corner, and clears everything below it. Source: ECMA-48.
_HOME: Final = "\x1b[H\x1b[J"


@click.command(context_settings=options.CONTEXT)
@click.option("-l", "--long", is_flag=True, help="Print more information about each job.")
@click.option(
    "--table/--plain",
    "as_table",
    default=None,
    help="Print one line for each job, or several lines as ARC "
    "does (default: a table on a terminal; otherwise, and with -l, as ARC does).",
)
@click.option(
    "--watch", is_flag=True, help="Show the table again and again until all jobs have ended, or until Ctrl-C."
)
@click.option(
    "--history", is_flag=True, help="Also show jobs that were fetched or removed; named ones are always shown."
)
@click.option(
    "-S", "--sort", type=ORDERS, default="", show_default=False, help="Sort by jobid, submissiontime or jobname."
)
@click.option("-R", "--rsort", type=ORDERS, default="", show_default=False, help="Same as -S, in reverse order.")
@click.option("-u", "--show-unavailable", is_flag=True, help="Also show jobs without any information.")
@click.option("-p", "--print-jobids", is_flag=True, help="Print only the job ids.")
@click.option("-J", "as_json_too", is_flag=True, is_eager=True, callback=options.wants_document, help="Same as --json.")
@click.option(
    "--evidence", is_flag=True, help="Print what the batch system and the job script reported about each job."
)
@click.option(
    "-w",
    "--wait",
    is_flag=True,
    help="Wait until the jobs have ended. The exit code is then 0 only if all of them finished successfully.",
)
@options.selection
@options.common
def command(
    *,
    long: bool,
    as_table: bool | None,
    watch: bool,
    history: bool,
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
    """
    Show the status of jobs: on a terminal, of all your jobs if you select none.

    The exit code is 0 if at least one job was found, or if you have none and asked for all.
    """
    as_json = as_json or as_json_too
    site = Site(config, joblist, debug)
    selected = JobSelection(**wanted)  # type: ignore[arg-type]
    tabular = as_table if as_table is not None else sys.stdout.isatty() and not long and not evidence
    look = _Look(site, selected, by_default=tabular and not as_json, past=history, order=(sort or rsort, bool(rsort)))
    if watch:
        return _watch(look)
    jobs = look.jobs()
    ended_well = True
    if wait:
        from arex.cli.progress import wait_for  # noqa: PLC0415 - needed only with this option

        here = [job.id for job in jobs if isinstance(job.status, JobStatus) and job.left is None]
        ended_well = wait_for(site, here, timeout)
        jobs = _again(site, jobs)
    told = [job for job in jobs if isinstance(job.status, JobStatus)]
    if as_json:
        _document(site, jobs if show_unavailable else told, jobs, evidence=evidence)
    elif print_jobids:
        for job in jobs if show_unavailable else told:
            say(job.url)
    elif tabular:
        _table(jobs if show_unavailable else told)
    else:
        _show(site, jobs, long=long, unavailable=show_unavailable, evidence=evidence)
    if any(isinstance(job.status, JobStatus) and not job.status.state.final for job in told):
        site.mention_daemon()
    return 0 if ended_well and (told or (look.everything and not jobs)) else 1


class _Look:
    """Selects the jobs, each time anew."""

    def __init__(
        self, site: Site, wanted: JobSelection, *, by_default: bool, past: bool, order: tuple[str, bool]
    ) -> None:
        """
        With ``by_default``, all jobs are selected if the options select none. ``order`` is the key to sort by, and
        whether the order is reversed.
        """
        named = bool(wanted.jobs or wanted.id_files)
        self.everything = wanted.everything or (by_default and not named)
        self.site, self._order = site, order
        self._wanted = replace(wanted, everything=self.everything)
        self._all_past = past and not named

    def jobs(self) -> list[Chosen]:
        try:
            jobs = choose(self.site, self._wanted, past=True)
        except NoJobs as exc:
            if not self.site.joblist.find(self._wanted.jobs):
                raise
            self.site.error(str(exc))
            jobs = []
        if self._all_past:
            known = {job.id for job in jobs}
            past = (job for job in all_past(self.site) if job.id not in known)
            jobs = [job for job in past if matches(job, self._wanted)] + jobs
        key, back = self._order
        return ordered(jobs, key, reverse=back)


def _again(site: Site, jobs: list[Chosen]) -> list[Chosen]:
    answers = site.plugin.status([job.id for job in jobs])
    return [
        job if job.left is not None else replace(job, status=answer) for job, answer in zip(jobs, answers, strict=True)
    ]


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a command for people, the service is not involved


def ordered(jobs: list[Chosen], key: str, *, reverse: bool) -> list[Chosen]:
    keys: dict[str, Callable[[Chosen], str]] = {
        "jobid": lambda job: job.url,
        "jobname": lambda job: job.name,
        "submissiontime": lambda job: str(job.status.submitted or "") if isinstance(job.status, JobStatus) else "",
    }
    return sorted(jobs, key=keys[key], reverse=reverse) if key else jobs


# --- the table -------------------------------------------------------------------------------------------------------


def _table(jobs: list[Chosen]) -> None:
    from arex.cli.jobtable import TableStyle, table  # noqa: PLC0415 - not needed for ARC's form

    if not jobs:
        say("no jobs")
        return
    for line in table(jobs, _now(), TableStyle.of_terminal()):
        say(line)


def _watch(look: _Look) -> int:
    """Show the table until all jobs have ended; on a terminal in place, otherwise whenever it has changed."""
    from arex.cli.jobtable import TableStyle, table  # noqa: PLC0415 - needed only with this option
    from plugins.local.follow import sleep  # noqa: PLC0415 - the same

    before = ""
    while True:
        jobs = look.jobs()
        style = TableStyle.of_terminal()
        lines = [*table(jobs, _now(), style)] if jobs else ["no jobs"]
        text = "\n".join(lines)
        if style.width is not None:
            sys.stdout.write(f"{_HOME}{datetime.now().astimezone():%H:%M:%S}\n{text}\n")  # noqa: TID251 - for people
            sys.stdout.flush()
        elif text != before:
            say(text)
            sys.stdout.flush()
        before = text
        if all(not isinstance(job.status, JobStatus) or job.status.state.final for job in jobs):
            return 0
        try:
            sleep(_LOOK_S)
        except KeyboardInterrupt:
            remark("\nthe jobs go on")
            raise


# --- ARC's form, and JSON --------------------------------------------------------------------------------------------


def _document(site: Site, shown: list[Chosen], jobs: list[Chosen], *, evidence: bool) -> None:
    document(
        jobs=[chosen_value(job, **_extra(site, job, evidence=evidence)) for job in shown],
        errors=[
            failure(job.status, job=job.id, name=job.name) for job in jobs if not isinstance(job.status, JobStatus)
        ],
    )


def _extra(site: Site, job: Chosen, *, evidence: bool) -> dict[str, object]:
    extra: dict[str, object] = {}
    if job.left is not None:
        extra |= {"left": moment(job.left), "results": job.results or None}
    elif evidence and isinstance(job.status, JobStatus):
        extra["evidence"] = dict(site.plugin.evidence(job.id))
    return extra


def _show(site: Site, jobs: list[Chosen], *, long: bool, unavailable: bool, evidence: bool = False) -> None:
    told = 0
    for job in jobs:
        if isinstance(job.status, JobStatus):
            told += 1
            say(f"Job: {printable(job.url)}")
            for label, value in facts(job.name, job.status, long=long):
                say(f" {label}: {printable(value)}")
            for label, value in _memory(site, job) if long and job.left is None else ():
                say(f" {label}: {value}")
            for label, value in _past(job):
                say(f" {label}: {printable(value)}")
            for source, text in site.plugin.evidence(job.id) if evidence and job.left is None else ():
                say(f" {_EVIDENCE.get(source, source)}: {printable(text)}")
            say()
        elif unavailable:
            say(f"Job: {printable(job.url)}")
            say(" State: Undefined")
            say()
        else:
            _warn_unknown(site, job)
    say(f"Status of {len(jobs)} jobs was queried, {told} jobs returned information")


def _warn_unknown(site: Site, job: Chosen) -> None:
    """A job that is gone is not reported in ARC's words: scripts take those for a job that is not shown yet."""
    if isinstance(job.status, NoSuchJob):
        site.warn(f"Job information not found: {job.url}: {job.status}")
    else:
        site.warn(f"Job information not found in the information system: {job.url}", f"  {job.status}")


def _memory(site: Site, job: Chosen) -> Iterator[tuple[str, str]]:
    from arex.diagnosis.failed import requested  # noqa: PLC0415 - only for the long form

    wanted = requested(site.plugin.store, JobId(job.id))
    if wanted is not None and wanted.memory_mb is not None:
        yield "Requested Memory", f"{wanted.memory_mb} MB for each slot"


def _past(job: Chosen) -> Iterator[tuple[str, str]]:
    if job.left is not None:
        yield "Left the service", f"{zoned_time(job.left)} ({job.action})"
        if job.results:
            yield "Results stored at", job.results


def facts(name: str, status: JobStatus, *, long: bool) -> Iterator[tuple[str, str]]:
    """Lines about one job, with the labels of ARC."""
    if name:
        yield "Name", name
    yield "State", str(status.state)
    if status.staging:
        yield "Data staging", status.staging
    if status.position is not None:
        yield "Waiting Position", str(status.position)
    if status.exit_code is not None:
        yield "Exit Code", str(status.exit_code)
    for line in status.failure.splitlines():
        if line:
            yield "Job Error", line
    if status.reason is not None:
        yield "Reason" if status.reason.kind.is_end else "Waiting", shown_reason(status.reason)
    if long:
        yield from _long(status)


def _long(status: JobStatus) -> Iterator[tuple[str, str]]:
    yield "Specific state", status.specific
    texts = (
        ("Owner", status.owner), ("Queue", status.queue), ("ID in batch system", status.localid),
        ("Execution node", ", ".join(status.nodes)), ("Session directory", str(status.sessiondir or "")),
        ("Labels", ", ".join(f"{key}={value}" for key, value in status.labels.items())),
    )  # fmt: skip
    yield from ((label, text) for label, text in texts if text)
    times = (
        ("Submitted", status.submitted), ("Started", status.started), ("End Time", status.ended),
        ("Results must be retrieved before", status.erased),
    )  # fmt: skip
    yield from ((label, zoned_time(moment)) for label, moment in times if moment is not None)
    if status.started is not None and not status.state.final:
        yield "Elapsed Wall Time", f"{(_now() - status.started).total_seconds():.0f} seconds"
    amounts = (
        ("Requested Slots", status.slots, ""), ("Requested Wall Time", status.wall_limit_s, " seconds"),
        ("Used CPU Time", status.cpu_s, " seconds"), ("Used Wall Time", status.wall_s, " seconds"),
        ("Used Memory", status.memory_kb, " kB"),
    )  # fmt: skip
    yield from ((label, f"{amount}{unit}") for label, amount, unit in amounts if amount is not None)
    if status.reruns:
        yield "Restarts left", str(status.reruns)
    yield "ID on service", status.id


def all_past(site: Site) -> list[Chosen]:
    """All jobs of the history."""
    return [past_job(each) for each in site.history.all()]
