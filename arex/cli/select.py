"""Select the jobs of a command from names, files and filters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from arex.cli.options import is_here
from arex.cli.site import Site
from arex.controldir.store import ControlDir
from arex.errors import ArexError
from arex.model.arc import LOCAL_NAMES
from arex.model.ids import JobId, is_job_id
from plugins.local.status import JobStatus, read_local


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


@dataclass(frozen=True, slots=True)
class Chosen:
    """A selected job with its status, or the reason why its status is unknown."""

    id: str
    url: str
    name: str
    listed: bool  #: the job is in the list of jobs
    status: JobStatus | ArexError


def choose(site: Site, wanted: JobSelection) -> list[Chosen]:
    """
    The selected jobs, in the order of the list or of the arguments. Missing jobs are reported as warnings on stderr.

    Raises:
        NoJobs: no job is named, or all named jobs are unknown.
    """
    names = [*wanted.jobs, *_from_files(wanted.id_files)]
    if not names and not wanted.everything and not wanted.cluster:
        raise NoJobs("No jobs given")
    if not names and not site.joblist.path.exists():
        raise NoJobs(f"Job list file ({site.joblist.path}) doesn't exist")
    found = _known(site, names) if names else _all(site)
    if any(not is_here(one, site) for one in wanted.cluster) or any(is_here(one, site) for one in wanted.rejected):
        found = {}
    answers = site.plugin.status(found)
    chosen = [
        Chosen(job, row.get("id") or _url(status, job), row.get("name") or _name(status), bool(row), status)
        for (job, row), status in zip(found.items(), answers, strict=True)
    ]
    states = {state.lower() for state in wanted.states}
    chosen = [one for one in chosen if not states or _state(one) in states]
    if not chosen and names and not states:
        raise NoJobs("No jobs found, try later")
    return chosen


def _from_files(files: Sequence[Path]) -> Iterator[str]:
    for file in files:
        for line in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            if text := line.strip():
                yield text


def _all(site: Site) -> dict[str, Mapping[str, str]]:
    rows = site.joblist.all()
    ours = {row["idfromendpoint"]: row for row in rows if _is_local(row)}
    if len(ours) < len(rows):
        site.warn(f"{len(rows) - len(ours)} jobs of other services are ignored: use ARC's own clients for them")
    return ours


def _is_local(row: Mapping[str, str]) -> bool:
    return row["managementinterfacename"] in LOCAL_NAMES and is_job_id(row["idfromendpoint"])


def _known(site: Site, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """Entries of the list of jobs, and existing jobs that are missing from the list."""
    rows = site.joblist.find(names)
    found: dict[str, Mapping[str, str]] = {}
    for name in dict.fromkeys(names):
        listed = [row for row in rows if name in {row["id"], row["idfromendpoint"], row["name"]}]
        ours = {row["idfromendpoint"]: row for row in listed if _is_local(row)}
        bare = name.rstrip("/").rpartition("/")[2]
        if ours:
            found |= ours
        elif listed:
            site.warn(f"Job {name} is not on this host: use ARC's own clients for it")
        elif (name == bare or name.startswith("file:")) and is_job_id(bare) and _exists(site, bare):
            found.setdefault(bare, {})
        elif same := _named(site, name):
            found |= {job: {} for job in same if job not in found}
        else:
            site.warn(f"Job not found in job list: {name}")
    return found


def _exists(site: Site, job: str) -> bool:
    return isinstance(site.plugin.status([job])[0], JobStatus)


def _named(site: Site, name: str) -> list[str]:
    """Jobs in the control directory with this name, in case the list of jobs does not contain them."""
    store = site.plugin.store
    return [job for job in site.plugin.jobs() if _job_name(site, store, job) == name]


def _job_name(site: Site, store: ControlDir, job: JobId) -> str:
    """The name of a job; if its files cannot be read, a warning, since that must not stop commands for other jobs."""
    try:
        return read_local(store, job).jobname or ""
    except ArexError as exc:
        site.warn(f"can't read job {job}: {exc}")
    except OSError as exc:
        site.warn(f"can't read job {job}: {exc.filename}: {exc.strerror}")
    return ""


def _url(status: JobStatus | ArexError, job: str) -> str:
    return status.url if isinstance(status, JobStatus) else job


def _name(status: JobStatus | ArexError) -> str:
    return status.name if isinstance(status, JobStatus) else ""


def _state(one: Chosen) -> str:
    return one.status.state.lower() if isinstance(one.status, JobStatus) else ""
