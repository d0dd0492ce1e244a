"""Select the jobs of a command from names, files and filters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from arex.cli.options import is_here
from arex.cli.site import Site
from arex.controldir.store import ControlDir
from arex.errors import ArexError, NoSuchJob
from arex.model import labels
from arex.model.arc import LOCAL_NAMES
from arex.model.ids import JobId, is_job_id
from arex.model.local import JobLocal
from arex.suggest import closest
from plugins.local.reading import read_local
from plugins.local.status import ClientState, JobStatus

if TYPE_CHECKING:
    from arex.userjobs.history import PastJob

#: Shortest beginning of an id that selects a job.
SHORTEST: Final = 4
#: How many jobs an error names.
_MOST_SHOWN: Final = 3


class NoJobs(ArexError):
    """No job to process: no job is named, or all named jobs are unknown."""


@dataclass(frozen=True, slots=True)
class JobSelection:
    """The options of a command that select jobs."""

    jobs: Sequence[str] = ()
    everything: bool = False
    cluster: Sequence[str] = ()
    states: Sequence[str] = ()
    rejected: Sequence[str] = ()
    id_files: Sequence[Path] = ()
    names: Sequence[str] = ()  #: patterns
    queues: Sequence[str] = ()
    labels: Sequence[str] = ()  #: ``KEY=VALUE``
    older_s: int | None = None
    newer_s: int | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A selected job with its status, or the reason why its status is unknown."""

    id: str
    url: str
    name: str
    listed: bool  #: the job is in the list of jobs
    status: JobStatus | ArexError
    results: str = ""  #: where its results are, for a job of the past
    left: datetime | None = None  #: when it was fetched or removed; None: it is at the service
    action: str = ""  #: what became of a job of the past


@dataclass(slots=True)
class _Search:
    """Jobs that have been found so far, and those of the past."""

    rows: dict[str, Mapping[str, str]] = field(default_factory=dict)
    past: list[PastJob] = field(default_factory=list)


def choose(site: Site, wanted: JobSelection, *, past: bool = False) -> list[Chosen]:
    """
    The selected jobs, in the order of the list or of the arguments. Missing jobs are reported as warnings on stderr.

    With ``past``, named jobs are also looked for among those that were fetched or removed.

    Raises:
        NoJobs: no job is named, or all named jobs are unknown or ambiguous.
    """
    _check_states(wanted.states)
    names = [*wanted.jobs, *_from_files(wanted.id_files)]
    if not names and not wanted.everything and not wanted.cluster and not _filters(wanted):
        raise NoJobs("No jobs given: name some, or use -a for all")
    if not names and site.joblist_is_missing:
        raise NoJobs(f"Job list file ({site.joblist.path}) doesn't exist")
    found = _known(site, names, past=past) if names else _Search(_all(site))
    if any(not is_here(one, site) for one in wanted.cluster) or any(is_here(one, site) for one in wanted.rejected):
        found = _Search()
    answers = site.plugin.status(found.rows)
    chosen = [
        Chosen(job, row.get("id") or _url(status, job), row.get("name") or _name(status), bool(row), status)
        for (job, row), status in zip(found.rows.items(), answers, strict=True)
    ]
    if past:
        chosen = [_with_past(site, one) for one in chosen] + [past_job(each) for each in found.past]
    selected = [one for one in chosen if matches(one, wanted)]
    if not chosen and names:
        raise NoJobs("none of these jobs exists here" if len(names) > 1 else f"there is no job {names[0]} here")
    return selected


# --- filters ---------------------------------------------------------------------------------------------------------


def _filters(wanted: JobSelection) -> bool:
    return bool(
        wanted.states
        or wanted.names
        or wanted.queues
        or wanted.labels
        or wanted.older_s is not None
        or wanted.newer_s is not None
    )


def _check_states(states: Sequence[str]) -> None:
    """
    Raises:
        click.UsageError: a word is no state.
    """
    known = [str(state) for state in ClientState] + ["Undefined"]
    for word in states:
        if word.lower() not in {state.lower() for state in known} and not _is_specific(word):
            near = closest(word, known, 0.6)
            hint = f" (did you mean {near}?)" if near else ""
            raise click.UsageError(f"{word!r} is not a state{hint}; the states are {', '.join(known)}")


def _is_specific(word: str) -> bool:
    """Whether it is a state as the service names it, such as ``INLRMS:R``."""
    return word.isupper() and word.replace(":", "").isalpha()


def matches(one: Chosen, wanted: JobSelection) -> bool:
    """Whether the filters select the job."""
    status = one.status if isinstance(one.status, JobStatus) else None
    states = {state.lower() for state in wanted.states}
    own = {"undefined"} if status is None else {status.state.lower(), status.specific.lower()}
    if states and not states & own:
        return False
    if wanted.names and not any(fnmatchcase(one.name, pattern) for pattern in wanted.names):
        return False
    if wanted.queues and (status is None or status.queue not in wanted.queues):
        return False
    if wanted.labels and (status is None or not _has_labels(status, wanted.labels)):
        return False
    return _is_of_age(status, wanted)


def _has_labels(status: JobStatus, wanted: Sequence[str]) -> bool:
    for text in wanted:
        key, equals, value = text.partition("=")
        if key not in status.labels or (equals and status.labels[key] != value):
            return False
    return True


def _is_of_age(status: JobStatus | None, wanted: JobSelection) -> bool:
    if wanted.older_s is None and wanted.newer_s is None:
        return True
    if status is None or status.submitted is None:
        return False
    age = (datetime.now(UTC) - status.submitted).total_seconds()  # noqa: TID251 - a command for people
    return (wanted.older_s is None or age >= wanted.older_s) and (wanted.newer_s is None or age <= wanted.newer_s)


# --- names -----------------------------------------------------------------------------------------------------------


def _from_files(files: Sequence[Path]) -> Iterator[str]:
    for file in files:
        for line in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            if text := line.strip():
                yield text


def _all(site: Site) -> dict[str, Mapping[str, str]]:
    rows = site.joblist.brief()
    ours = {row["idfromendpoint"]: row for row in rows if _is_local(row)}
    if len(ours) < len(rows):
        site.warn(f"{len(rows) - len(ours)} jobs of other services are ignored: use ARC's own clients for them")
    return ours


def _is_local(row: Mapping[str, str]) -> bool:
    return row["managementinterfacename"] in LOCAL_NAMES and is_job_id(row["idfromendpoint"])


def _known(site: Site, names: Sequence[str], *, past: bool) -> _Search:
    """Entries of the list of jobs, existing jobs that are missing from the list, and jobs of the past."""
    rows = site.joblist.find(names)
    found = _Search()
    shortened: _Beginnings | None = None
    for name in dict.fromkeys(names):
        listed = [row for row in rows if name in {row["id"], row["idfromendpoint"], row["name"]}]
        ours = {row["idfromendpoint"]: row for row in listed if _is_local(row)}
        bare = name.rstrip("/").rpartition("/")[2]
        if ours:
            found.rows |= ours
        elif listed:
            site.warn(f"Job {name} is not on this host: use ARC's own clients for it")
        elif (name == bare or name.startswith("file:")) and is_job_id(bare) and _exists(site, bare):
            found.rows.setdefault(bare, {})
        else:
            shortened = shortened or _Beginnings(site)
            _otherwise(site, found, shortened, name, past=past)
    return found


class _Beginnings:
    """All jobs here, by beginnings of their ids, by name, and by the id of their array."""

    def __init__(self, site: Site) -> None:
        self._listed = {row["idfromendpoint"]: row for row in site.joblist.brief() if _is_local(row)}
        self._local = {job: _local(site, site.plugin.store, job) for job in site.plugin.jobs()}

    def find(self, name: str) -> dict[str, Mapping[str, str]]:
        """
        The jobs that a name selects.

        Raises:
            NoJobs: it is the beginning of more than one id.
        """
        array = [job for job, local in self._local.items() if labels.of(local).get(labels.PARENT) == name]
        same: list[str] = [*array] or [job for job, local in self._local.items() if local.jobname == name]
        if not same and len(name) >= SHORTEST and name.isalnum():
            same = self._beginning(name)
        return {job: self._listed.get(job, {}) for job in sorted(same, key=self._order)}

    def _beginning(self, name: str) -> list[str]:
        jobs = [job for job in dict.fromkeys((*self._local, *self._listed)) if job.startswith(name)]
        if len(jobs) > 1:
            shown = ", ".join(jobs[:_MOST_SHOWN]) + (", ..." if len(jobs) > _MOST_SHOWN else "")
            raise NoJobs(f"{name} is the beginning of {len(jobs)} job ids: {shown}; use more characters")
        parents = {labels.of(local).get(labels.PARENT, "") for local in self._local.values()}
        arrays = [parent for parent in parents if parent.startswith(name)]
        if jobs or len(arrays) != 1:
            return [*jobs]
        return [job for job, local in self._local.items() if labels.of(local).get(labels.PARENT) == arrays[0]]

    def _order(self, job: str) -> tuple[int, str]:
        index = labels.of(self._local[JobId(job)]).get(labels.INDEX, "") if job in self._local else ""
        return (int(index) if index.isdecimal() and len(index) < 19 else 0, job)


def _otherwise(site: Site, found: _Search, here: _Beginnings, name: str, *, past: bool) -> None:
    try:
        same = here.find(name)
    except NoJobs as exc:
        site.error(str(exc))
        return
    if same:
        found.rows |= {job: row for job, row in same.items() if job not in found.rows}
    elif past and (gone := site.history.find(name)):
        found.past += gone
    else:
        site.warn(f"Job not found in job list: {name}")


def _exists(site: Site, job: str) -> bool:
    return isinstance(site.plugin.status([job])[0], JobStatus)


def _local(site: Site, store: ControlDir, job: JobId) -> JobLocal:
    """The facts about a job; if its files cannot be read, a warning, since that must not stop commands for others."""
    try:
        return read_local(store, job, {"jobname"})
    except ArexError as exc:
        site.warn(f"can't read job {job}: {exc}")
    except OSError as exc:
        site.warn(f"can't read job {job}: {exc.filename}: {exc.strerror}")
    return JobLocal()


def _with_past(site: Site, one: Chosen) -> Chosen:
    """A job of the list that is gone may be one of the past."""
    if isinstance(one.status, NoSuchJob) and (gone := site.history.find(one.id)):
        return past_job(gone[-1])
    return one


def past_job(job: PastJob) -> Chosen:
    """A job of the history, as a selected job."""
    from arex.cli.jobvalue import status_of  # noqa: PLC0415 - few commands show jobs of the past

    try:
        status: JobStatus | ArexError = status_of(job.value)
    except (KeyError, TypeError, ValueError) as exc:
        status = NoSuchJob(f"its entry in the history cannot be parsed: {exc}")
    url = str(job.value.get("url") or job.id)
    return Chosen(
        job.id, url, job.name, listed=False, status=status, results=job.results, left=job.at, action=job.action
    )


def _url(status: JobStatus | ArexError, job: str) -> str:
    return status.url if isinstance(status, JobStatus) else job


def _name(status: JobStatus | ArexError) -> str:
    return status.name if isinstance(status, JobStatus) else ""
