"""
Prepares jobs for a batch system: reads their runtime environments from ``CONTROLDIR/rte`` and runs stage 0.

Source: ``docs/developers/control-directory.md``, runtime environments.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from arex.config.model import Configuration
from arex.controldir import atomic
from arex.controldir.layout import LAYOUTS, FlatLayout, Layout
from arex.errors import BatchUnavailable, CorruptFile, SubmitRejected
from arex.model.grami import Grami, RunTime
from arex.model.ids import Tag
from arex.ports import NotSubmitted, Submission
from arex.rte import DEFAULT, ENABLED, PARAMS, is_name, names_below
from lrms.environment import outside
from lrms.jobscript.scratch import scratch_of
from lrms.jobscript.settings import NOTHING_SETTLED, RuntimeScript, Scratch, Settled
from lrms.jobscript.stage0 import Outcome, Shell, run_stage0

log = logging.getLogger(__name__)

#: Limit on shells of stage 0 at the same time, which mostly wait for disks.
_AT_ONCE: Final = 8
_PASSED_ON: Final = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ")
_BASH: Final = "/bin/bash"
#: Permanent errors: the file is missing or cannot be accessed.
_HOPELESS: Final = frozenset({
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO,
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared(Submission):
    """A submission after stage 0; the batch system gets its ``grami``."""

    runtimes: tuple[RuntimeScript, ...] = ()
    settled: Settled = NOTHING_SETTLED


def settled(submission: Submission) -> Settled:
    """What stage 0 has settled for a submission, for the dialect of a batch system."""
    return submission.settled if isinstance(submission, Prepared) else NOTHING_SETTLED


def properties(submission: Submission) -> tuple[str, ...]:
    """``joboption_nodeproperty_N`` as stage 0 has set them, one line each."""
    return tuple(" ".join(each.split()) for each in settled(submission).properties if each.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """What stage 0 needs to know about the site."""

    layout: Callable[[Path], Layout] = FlatLayout
    tmpdir: Path = Path("/tmp")  # noqa: S108 - ARC's default
    certificates: Path = Path("/etc/grid-security/certificates")
    cfg: Path | None = None  #: the configuration as ARC's own tools read it
    scratch: Scratch | None = None
    shared: bool = True  #: nodes see the session directories
    timeout_s: float = 60.0
    at_once: int = _AT_ONCE
    options: Mapping[str, str] = field(default_factory=dict)  #: ``CONFIG_NAME`` variables, as ARC's scripts have them

    @classmethod
    def of(cls, config: Configuration) -> Self:
        """
        Raises:
            ConfigError: see ``scratch_of``.
        """
        arex = config.arex
        known = {
            "sessiondir": arex.sessiondir[0].path if arex.sessiondir else "",
            "scratchdir": arex.scratchdir or "",
            "shared_scratch": arex.shared_scratch or "",
            "hostname": config.common.hostname,
        }
        return cls(
            layout=LAYOUTS[config.service.layout],
            tmpdir=arex.tmpdir,
            certificates=config.common.x509_cert_dir,
            cfg=arex.pidfile.with_suffix(".cfg"),
            scratch=scratch_of(config),
            shared=arex.shared_filesystem,
            options={f"CONFIG_{name}": str(value) for name, value in known.items()},
        )


class Runtimes:
    """The runtime environments of all jobs of a backend; stage 0 starts a process only if there is a script."""

    def __init__(self, settings: RuntimeSettings | None = None) -> None:
        self._settings = settings or RuntimeSettings()
        self._room = asyncio.Semaphore(self._settings.at_once)
        self._sh = ""

    async def prepare(
        self, batch: Sequence[Submission]
    ) -> tuple[list[Prepared], dict[Tag, SubmitRejected | NotSubmitted]]:
        """
        Read the environments of the jobs and run stage 0, for many jobs in parallel; can be repeated.

        Returns:
            the jobs that are ready, and the answers about the others.
        """
        first = await asyncio.to_thread(self._read_all, batch)
        # each coroutine has an answer, whatever happens to the others
        outcomes = await asyncio.gather(*(self._stage0(found) for found in first), return_exceptions=True)
        ready: list[Prepared] = []
        others: dict[Tag, SubmitRejected | NotSubmitted] = {}
        for each, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Prepared):
                ready.append(outcome)
            elif isinstance(outcome, SubmitRejected | NotSubmitted):
                others[each.tag] = outcome
            elif isinstance(outcome, Exception):
                facts = {"event": "job.bug", "job": each.job}
                log.error("internal error in stage 0 of runtime environments", exc_info=outcome, extra=facts)
                others[each.tag] = NotSubmitted(f"internal error in stage 0 of runtime environments: {outcome!r}")
            else:
                raise outcome
        return ready, others

    def _read_all(self, batch: Sequence[Submission]) -> list[Prepared | SubmitRejected | NotSubmitted]:
        # ARC runs stage 0 in bash, and the scripts of many sites need it
        self._sh = self._sh or (_BASH if os.access(_BASH, os.X_OK) else "/bin/sh")
        return [self._read(each) for each in batch]

    def _read(self, submission: Submission) -> Prepared | SubmitRejected | NotSubmitted:
        try:
            grami = with_defaults(submission.grami)
            return _prepared(submission, grami, NOTHING_SETTLED, _load_all(grami))
        except SubmitRejected as exc:
            return exc
        except OSError as exc:
            return NotSubmitted(f"cannot read the runtime environments: {exc}")

    async def _stage0(
        self, found: Prepared | SubmitRejected | NotSubmitted
    ) -> Prepared | SubmitRejected | NotSubmitted:
        if not isinstance(found, Prepared) or not any(each.body for each in found.runtimes):
            return found
        try:
            async with self._room:
                outcome = await run_stage0(found.grami, self._shell(found))
            return await asyncio.to_thread(self._after, found, outcome)
        except (BatchUnavailable, OSError, CorruptFile) as exc:
            return NotSubmitted(f"stage 0 of runtime environments cannot run: {exc}")

    def _after(self, found: Prepared, outcome: Outcome) -> Prepared | SubmitRejected:
        if outcome.log:
            errors = self._settings.layout(found.grami.controldir).job_file(found.job, "errors")
            atomic.append(errors, outcome.log.removesuffix("\n").encode() + b"\n")
        if outcome.rejected is not None:
            return outcome.rejected
        try:
            return _prepared(found, outcome.grami, outcome.settled, load_runtimes(outcome.grami))
        except SubmitRejected as exc:
            return exc

    def _shell(self, submission: Submission) -> Shell:
        settings = self._settings
        layout = settings.layout(submission.grami.controldir)
        scratch = settings.scratch
        arc = {} if settings.cfg is None else {"ARC_CONFIG": str(settings.cfg)}
        return Shell(
            path=self._sh,
            timeout_s=settings.timeout_s,
            environment={
                **{name: value for name, value in outside().items() if name in _PASSED_ON},
                **arc,
                "TMPDIR": str(settings.tmpdir),
                "X509_USER_PROXY": layout.job_file(submission.job, "proxy"),
                "X509_CERT_DIR": str(settings.certificates),
                "AREX_JOB_LOCAL": layout.job_file(submission.job, "local"),
            },
            variables={
                **settings.options,
                "CONFIG_controldir": str(submission.grami.controldir),
                "RUNTIME_NODE_SEES_FRONTEND": "yes" if settings.shared else "",
                "RUNTIME_LOCAL_SCRATCH_DIR": "" if scratch is None else scratch.text,
                "RUNTIME_LOCAL_SCRATCH_MOVE_TOOL": "mv" if scratch is None else scratch.movetool,
                "RUNTIME_FRONTEND_SEES_NODE": "" if scratch is None else scratch.shared,
            },
        )


def with_defaults(grami: Grami) -> Grami:
    """The job with its own environments, then the site's default environments, sorted by name."""
    asked = {each.name for each in grami.runtimes}
    names = sorted(names_below(grami.controldir / "rte" / DEFAULT))
    added = tuple(RunTime(name=name) for name in names if name not in asked and is_name(name))
    return replace(grami, runtimes=(*grami.runtimes, *added)) if added else grami


def load_runtimes(grami: Grami) -> tuple[RuntimeScript, ...]:
    """
    The environments that the job requested, in its order, then the site's defaults.

    Raises:
        SubmitRejected: one of them is not installed here.
        OSError: one exists and cannot be read now.
    """
    return _load_all(with_defaults(grami))


def _load_all(grami: Grami) -> tuple[RuntimeScript, ...]:
    return tuple(_load(grami.controldir / "rte", each) for each in grami.runtimes)


def _prepared(submission: Submission, grami: Grami, wishes: Settled, runtimes: tuple[RuntimeScript, ...]) -> Prepared:
    return Prepared(
        job=submission.job,
        tag=submission.tag,
        grami=grami,
        rundir=submission.rundir,
        runtimes=runtimes,
        settled=wishes,
    )


def _load(root: Path, runtime: RunTime) -> RuntimeScript:
    body = None
    if is_name(runtime.name):
        body = _text(root / ENABLED / runtime.name)
        body = _text(root / DEFAULT / runtime.name) if body is None else body
    if body is None:
        raise SubmitRejected(f"Requested RunTimeEnvironment {runtime.name} is missing, broken or not enabled.")
    params = _text(root / PARAMS / runtime.name) or ""
    return RuntimeScript(name=runtime.name, options=runtime.options, params=params, body=body)


def _text(path: Path) -> str | None:
    """The text of a file; empty for /dev/null, an environment that does nothing; None: the file does not exist."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        if exc.errno in _HOPELESS:
            return None
        raise
    try:
        info = os.fstat(fd)
        if stat.S_ISREG(info.st_mode):
            with open(fd, "rb", closefd=False) as file:
                return file.read().decode(errors="surrogateescape")
        return "" if os.path.samestat(info, os.stat(os.devnull)) else None  # noqa: PTH116 - beside a descriptor's
    finally:
        os.close(fd)
