"""Commands on many jobs: options and selection, one operation for each job, and the summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import wraps
from pathlib import Path

from arex.cli import options
from arex.cli.output import document, failure, say
from arex.cli.select import Chosen, JobSelection, choose
from arex.cli.site import Site
from arex.errors import ArexError, NoSuchJob
from plugins.local.status import JobStatus


def on_jobs(function: Callable[..., int]) -> Callable[..., int]:
    """
    Add the options that select jobs, and those of all commands.

    The function gets the site, the list of selected jobs, ``as_json``, and the options that only this command has.
    """

    @options.selection
    @options.common
    @wraps(function)
    def command(
        *,
        config: Path | None,
        timeout: int | None,
        debug: int,
        joblist: Path | None,
        **own: object,
    ) -> int:
        del timeout
        site = Site(config, joblist, debug)
        wanted = JobSelection(**{each.name: own.pop(each.name) for each in fields(JobSelection)})  # type: ignore[arg-type]
        return function(site, choose(site, wanted), **own)

    return command


@dataclass(slots=True)
class Tally:
    """The results of a command for its jobs."""

    done: list[Chosen] = field(default_factory=list)
    failed: list[tuple[Chosen, str]] = field(default_factory=list)

    @property
    def processed(self) -> int:
        return len(self.done) + len(self.failed)

    @property
    def exit_code(self) -> int:
        """0 if there was at least one job and none failed."""
        return 0 if self.done and not self.failed else 1


def each(site: Site, jobs: Sequence[Chosen], act: Callable[[Chosen], None], *, gone_is_fine: bool = False) -> Tally:
    """
    Call ``act`` for each job, and continue after failures. With ``gone_is_fine``, a job that no longer exists is a
    success.
    """
    tally = Tally()
    for job in jobs:
        try:
            if isinstance(job.status, ArexError) and not (gone_is_fine and isinstance(job.status, NoSuchJob)):
                raise job.status
            act(job)
        except (ArexError, OSError) as exc:
            tally.failed.append((job, str(exc)))
            site.error(f"{job.url}: {exc}")
        else:
            tally.done.append(job)
    return tally


def request(site: Site, jobs: Sequence[Chosen], ask: Callable[[str], None], result: str, *, as_json: bool) -> int:
    """
    Ask the service something for every job, and report for how many this succeeded.

    Args:
        site: where the jobs are.
        jobs: the selected jobs.
        ask: takes the id of a job.
        result: what the summary says about jobs for which this succeeded.
        as_json: whether the report is a JSON document.
    """
    tally = each(site, jobs, lambda job: ask(job.id))
    if tally.done:
        site.mention_daemon()
    report(tally, f"Jobs processed: {tally.processed}, {result}: {len(tally.done)}", as_json=as_json)
    return tally.exit_code


def report(
    tally: Tally,
    summary: str,
    *,
    as_json: bool,
    each: Mapping[str, Mapping[str, object]] | None = None,
    **more: object,
) -> None:
    """
    Print the summary line of a command, or its complete result as JSON: ``each`` are facts about single jobs by their
    ids, ``more`` are facts about all of them.
    """
    if not as_json:
        say(summary)
        return
    document(
        jobs=[chosen_value(job, **(each or {}).get(job.id, {})) for job in tally.done],
        errors=[failure(why, job=job.id, name=job.name) for job, why in tally.failed],
        **more,
    )


def chosen_value(job: Chosen, **more: object) -> dict[str, object]:
    """A selected job in JSON documents, with its status when it was selected."""
    from arex.cli.jobvalue import job_value, unknown_value  # noqa: PLC0415 - only with --json

    if not isinstance(job.status, JobStatus):
        return {**unknown_value(job.id, job.url, job.name), **more}
    return job_value(job.status, url=job.url, name=job.name, **more)
