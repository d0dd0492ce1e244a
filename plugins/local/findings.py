"""
What a description asks for and this service does not have: found at submission, before a job waits or fails.

Findings are remarks like those of the parsers: some can only be mistakes, which a strict submission refuses.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from arex.config.model import Configuration, QueueBlock
from arex.errors import JobDescriptionError
from arex.jobdesc import line_of
from arex.jobdesc.model import Creation, JobDescription, Remark, Resources, Software, Target
from arex.suggest import closest

#: Schemes that every installation transfers.
ALWAYS: Final = frozenset({"file", "http", "https", "dav", "davs"})
#: Schemes that need a package which may be missing: the extra of arex, and the module.
EXTRAS: Final = {
    **dict.fromkeys(("s3", "s3+https"), ("s3", "botocore")),
    "sftp": ("sftp", "asyncssh"),
    **dict.fromkeys(("root", "roots", "xroot", "xroots"), ("xrootd", "XRootD")),
}
#: Entry points of transfer methods in other packages.
_MOVERS: Final = "arex.movers"
_FORK: Final = "fork"
_MB: Final = 1 << 20


class Mistakes(JobDescriptionError):
    """What a strict submission refuses: all mistakes of one description. The message is the first one."""

    def __init__(self, found: Iterable[Remark]) -> None:
        self.errors = tuple(remark.as_mistake() for remark in found)
        first = self.errors[0]
        super().__init__(
            first.what, first.line, first.column, first.source, excerpt=first.excerpt, suggestion=first.suggestion
        )

    def explained(self) -> str:
        """All mistakes, each with its place."""
        return "\n".join(error.explained() for error in self.errors)


def refuse(remarks: Iterable[Remark]) -> None:
    """
    Refuse a description for which there are remarks on mistakes.

    Raises:
        Mistakes: there are some.
    """
    found = [remark for remark in remarks if remark.error]
    if found:
        raise Mistakes(found)


class Checks:
    """Compares descriptions with one configuration; each fact about the host is looked up once."""

    def __init__(self, config: Configuration) -> None:
        self._config = config

    def findings(self, job: JobDescription) -> tuple[Remark, ...]:
        """All findings on one job, without those on its alternatives, in the order of its text where that is known."""
        return tuple(self._found(job))

    def _found(self, job: JobDescription) -> Iterator[Remark]:
        yield from _executable(job)
        yield from _amounts(job)
        yield from self._queue(job)
        yield from self._limits(job)
        for runtime in job.resources.runtimes:
            yield from self._runtime(job, runtime)
        yield from self._transfers(job)
        yield from self._paths(job)
        yield from self._disk(job)
        yield from notification(job, sends_mail=self._config.service.sendmail is not None)

    # --- queue and limits ---

    def _queue(self, job: JobDescription) -> Iterator[Remark]:
        names = [queue.name for queue in self._config.queues]
        wanted = job.resources.queue
        if wanted and wanted not in names:
            yield _mistake(job, "queue", f"there is no queue {wanted} here: {', '.join(names) or 'none'}")

    def _limits(self, job: JobDescription) -> Iterator[Remark]:
        config, resources = self._config, job.resources
        queue = _queue_of(config, resources)
        if queue is None:
            return
        wall = queue.maxwalltime or config.cluster.maxwalltime
        cpu = queue.maxcputime or config.cluster.maxcputime
        where = f"of the queue {queue.name}"
        yield from _too_long(job, "walltime", resources.walltime_s, wall, where)
        yield from _too_long(job, "cputime", resources.cputime_s, cpu, where)
        memory, most = resources.memory_mb, config.cluster.nodememory
        if memory is not None and most is not None and memory > most:
            yield _mistake(job, "memory", f"memory: {memory} MB is more than the {most} MB of a node")
        slots = resources.slots
        if slots is not None and queue.maxslotsperjob is not None and slots > queue.maxslotsperjob:
            yield _mistake(job, "count", f"count: {slots} is more than the {_slots(queue.maxslotsperjob)} {where}")
        elif slots is not None and config.lrms.lrms.name == _FORK and slots > self._slots:
            yield _mistake(job, "count", f"count: {slots} is more than the {_slots(self._slots)} of this machine")

    @cached_property
    def _slots(self) -> int:
        return self._config.service.fork_slots or len(os.sched_getaffinity(0))

    # --- runtime environments ---

    @cached_property
    def _installed(self) -> frozenset[str]:
        from arex.rte import installed  # noqa: PLC0415 - few descriptions need it

        return installed(self._config.arex.controldir)

    def _runtime(self, job: JobDescription, wanted: Software) -> Iterator[Remark]:
        name = wanted.full_name
        if wanted.relation != "=" or name in self._installed:
            return  # the choice of a version has its own message
        yield _mistake(job, "runtimeenvironment", f"there is no runtime environment {name}{self._instead(name)}", name)

    def _instead(self, name: str) -> str:
        from arex.rte import Catalog, nearest  # noqa: PLC0415 - needed only after a mistake

        arex = self._config.arex
        available = Catalog(arex.controldir, _system_runtimes(), arex.runtimedir).available()
        if name in available:
            return f" enabled here: enable it with 'arexctl rte enable {name}'"
        if near := nearest(name, self._installed):
            return f" here; did you mean {near}?"
        if near := nearest(name, sorted(available)):
            return f" here; did you mean {near}? It exists, but is not enabled: 'arexctl rte enable {near}'"
        known = sorted(self._installed)
        return f" here; enabled are {', '.join(known[:10])}" if known else " here: none is enabled"

    # --- files ---

    def _transfers(self, job: JobDescription) -> Iterator[Remark]:
        for file in job.inputs:
            if file.sources and (why := self._no_mover(file.sources[0].url)):
                yield _mistake(job, "inputfiles", f"input {file.name}: {why}", file.name)
        for output in job.outputs:
            for target in output.targets:
                if why := self._no_mover(target.url):
                    yield _mistake(job, "outputfiles", f"output {output.name}: {why}", output.name)

    def _no_mover(self, url: str) -> str:
        """Why nothing here transfers this URL; empty if something does, or if it is a path."""
        scheme, colon, _ = url.partition(":")
        scheme = scheme.lower()
        if not colon or "/" in scheme or scheme in ALWAYS or scheme in self._granted:
            return ""
        if (needed := EXTRAS.get(scheme)) is not None:
            extra, module = needed
            missing = f"{scheme}: needs a package that is not installed: pip install 'arex[{extra}]'"
            return "" if find_spec(module) else missing
        if scheme in self._movers:
            return ""
        served = sorted({*ALWAYS, *EXTRAS, *self._movers, *self._granted})
        near = closest(scheme, served)
        return f"no transfer method for {scheme}: here; {f'did you mean {near}?' if near else f'use {_listed(served)}'}"

    @cached_property
    def _granted(self) -> frozenset[str]:
        return frozenset(one.scheme for one in self._config.staging.fsspec)

    @cached_property
    def _movers(self) -> frozenset[str]:
        """Schemes of other packages."""
        from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and few URLs need it

        return frozenset(point.name for point in entry_points(group=_MOVERS))

    def _paths(self, job: JobDescription) -> Iterator[Remark]:
        for output in job.outputs:
            if output.local is not None and not output.local.url.startswith("/") and output.local.url != output.name:
                what = f"the relative target {output.local.url[:80]} has no effect: arcget copies the file"
                yield _placed(job, "outputfiles", output.name, Remark(what=f"output {output.name}: {what}"))
            for target in output.targets:
                if target.url.startswith("file:") and (why := self._no_target(target)):
                    yield _mistake(job, "outputfiles", f"output {output.name}: {why}", output.name)

    def _no_target(self, target: Target) -> str:
        """Why a file cannot be written to a path of this host; empty if it can."""
        path = Path(os.path.realpath(target.url.removeprefix("file:").removeprefix("//")))
        own = (self._config.arex.controldir, *(entry.path for entry in self._config.arex.sessiondir))
        if any(path.is_relative_to(os.path.realpath(place)) for place in own):
            return f"{path} is in a directory of the service"
        if os.path.isdir(path):
            return f"{path} is a directory: name the file in it"
        overwrites = target.option("overwrite") == "yes" or target.creation is Creation.OVERWRITE
        if os.path.lexists(path) and not overwrites:
            return f"{path} already exists: remove it, or add the option overwrite=yes"
        return ""

    def _disk(self, job: JobDescription) -> Iterator[Remark]:
        wanted = job.resources.disk_mb
        if wanted is None:
            return
        sizes = [size for entry in self._config.arex.sessiondir if (size := _size_mb(entry.path)) is not None]
        if sizes and wanted > max(sizes):
            what = f"disk: {wanted} MB is more than the {max(sizes)} MB of the file system of session directories"
            yield _warning(job, "disk", what)


#: The number of addresses in ``.local``, as in ARC.
_MOST_ADDRESSES: Final = 3


def notification(job: JobDescription, *, sends_mail: bool) -> Iterator[Remark]:
    """The job asks for mail that is not sent."""
    if not job.notifications:
        return
    from arex.model.notify import LETTERS, is_address  # noqa: PLC0415 - few descriptions need it

    wanted = [one for one in job.notifications if one.states.strip() and one.recipient]
    for one in wanted:
        if not is_address(one.recipient):
            yield _mistake(job, "notify", f"notify: {one.recipient[:80]!r} is not a mail address: write user@host")
        elif set(one.states).isdisjoint(LETTERS.values()):
            yield _warning(job, "notify", f"notify: no mail is sent to {one.recipient} when a job is ACCEPTED")
    if not sends_mail:
        what = "notify: no mail is sent from here: the site has not set the option sendmail in [arex/service]"
        yield _warning(job, "notify", what)
    elif left := ", ".join(one.recipient[:80] for one in wanted[_MOST_ADDRESSES:]):
        yield _warning(job, "notify", f"notify: only {_MOST_ADDRESSES} addresses get mail, and not {left}")


def _executable(job: JobDescription) -> Iterator[Remark]:
    if job.executable or job.before or job.after:
        return
    if not (job.inputs or job.outputs):
        yield Remark(what="the description names no executable", error="the description names no executable")
    elif not any("no Executable" in one.what for one in job.warnings):  # of the JDL parser
        yield Remark(what="there is no executable: the job only moves files")


def _amounts(job: JobDescription) -> Iterator[Remark]:
    """Values that are impossible in every language; the parser of xRSL has found some already."""
    resources = job.resources
    known = {one.error.partition(":")[0] for one in job.warnings}
    for attribute, value, unit in (
        ("walltime", resources.walltime_s, "s"),
        ("cputime", resources.cputime_s, "s"),
        ("cputime", resources.single_cputime_s, "s"),
        ("memory", resources.memory_mb, "MB"),
        ("memory", resources.virtualmemory_mb, "MB"),
    ):
        if value is not None and value <= 0 and attribute not in known:
            yield _mistake(
                job, attribute, f"{attribute}: {value} {unit} is not possible: leave it out, or ask for more"
            )


def _queue_of(config: Configuration, resources: Resources) -> QueueBlock | None:
    if not config.queues:
        return None
    return config.queue(resources.queue) if resources.queue else config.default_queue


def _too_long(
    job: JobDescription, attribute: str, wanted_s: int | None, limit: timedelta | None, where: str
) -> Iterator[Remark]:
    if wanted_s is not None and limit is not None and wanted_s > limit.total_seconds():
        most = _duration(int(limit.total_seconds()))
        yield _mistake(job, attribute, f"{attribute}: {_duration(wanted_s)} is more than the {most} {where}")


def _slots(number: int) -> str:
    return "1 slot" if number == 1 else f"{number} slots"


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    parts = ((hours, "h"), (rest // 60, "min"), (rest % 60, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _system_runtimes() -> Path:
    """The scripts that come with arex; a batch system's package must not be imported here."""
    found = find_spec("lrms")
    return Path(*(found.submodule_search_locations or ())[:1], "rte") if found else Path(os.devnull)


def _size_mb(directory: Path) -> int | None:
    """Of the file system of a directory that may not exist yet."""
    for place in (directory, *directory.parents):
        try:
            facts = os.statvfs(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return facts.f_blocks * facts.f_frsize // _MB
    return None


def _mistake(job: JobDescription, attribute: str, what: str, item: str = "") -> Remark:
    return _placed(job, attribute, item, Remark(what=what, error=what))


def _warning(job: JobDescription, attribute: str, what: str) -> Remark:
    return _placed(job, attribute, "", Remark(what=what))


def _placed(job: JobDescription, attribute: str, item: str, remark: Remark) -> Remark:
    place = next((one for one in job.places if (one.attribute, one.item) == (attribute, item)), None)
    if place is None:
        return remark
    return replace(remark, line=place.line, column=place.column, excerpt=line_of(job.text, place.line))
