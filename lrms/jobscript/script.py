"""
The job script that all batch systems share: environment, runtime environments, payload, accounting lines.

Built from values; nothing is run here. Under a batch system the script itself writes the last accounting lines and
the completion record; under a supervisor it becomes the payload where it can, and the supervisor writes both.
The shell code is in ``shell/``; each kind of script is the list of its parts.

Files in RUNDIR: ``started`` is the exclusive start marker, its text says how far the script came (empty,
``payload PATH``, ``failed before``, ``failed after``); ``why`` says why a script under a supervisor failed; ``done``
is the completion record, see ``lrms.attempt.record``.
Source: ``docs/developers/control-directory.md``, runtime environments and accounting lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from arex.ports import Submission
from lrms.jobscript import parts, sandbox, scratch
from lrms.jobscript.quoting import quoted, with_returns
from lrms.jobscript.settings import NOTHING_SETTLED, RuntimeScript, ScriptMode, ScriptSettings, Settled
from lrms.jobscript.template import part

#: Directory below a session root: a job that ends leaves a file there that is named by its tag.
END_NOTICES: Final = ".arex/ended"


@dataclass(frozen=True, slots=True)
class _Job:
    """Everything that a script depends on."""

    submission: Submission
    settings: ScriptSettings
    runtimes: tuple[RuntimeScript, ...]
    settled: Settled


def job_script(
    submission: Submission,
    settings: ScriptSettings,
    runtimes: tuple[RuntimeScript, ...] = (),
    settled: Settled = NOTHING_SETTLED,
) -> str:
    """
    The POSIX shell script of one attempt.

    The job's texts are only data, whatever they contain: the script is always valid, and passes shellcheck except for
    the bodies of runtime environments.
    """
    job = _Job(submission, settings, runtimes, settled)
    return with_returns(list(_KINDS[settings.mode](job)))


def _batch(job: _Job) -> Iterator[str]:
    grami, settings = job.submission.grami, job.settings
    where = scratch.chosen(settings.scratch, job.settled) if _fits(job) else None
    yield parts.start(settings)
    yield parts.account(settings)
    yield parts.paths(job.submission)
    yield part(
        "shared_paths",
        ROOT=quoted(str(grami.directory.parent)),
        NOTICES=END_NOTICES,
        LOCALID=settings.localid_words,
    )
    yield from _own_record(job)
    if where is not None:
        yield scratch.begin(where, grami)
    yield from _prologue(job)
    yield _run(job, END="" if where is None else scratch.END)


def _sandbox(job: _Job) -> Iterator[str]:
    """The directory of the batch system is on the node's own disk: there is no scratch directory."""
    grami, settings = job.submission.grami, job.settings
    yield parts.start(settings)
    yield parts.account(settings)
    yield parts.paths(job.submission)
    yield sandbox.paths(grami, settings.localid_words)
    yield from _own_record(job)
    yield sandbox.begin(grami)
    yield from _prologue(job)
    yield _run(job, WATCH=sandbox.watch(), WATCH_END=sandbox.watch_end())


def _supervised(job: _Job) -> Iterator[str]:
    grami = job.submission.grami
    where = scratch.chosen(job.settings.scratch, job.settled)
    yield parts.start(job.settings)
    yield parts.paths(job.submission)
    yield "RUNTIME_NODE_SEES_FRONTEND=yes"
    yield part("failures")
    yield part("supervised_note")
    yield part("mark")
    if where is not None:
        yield scratch.begin(where, grami, traps=part("scratch_traps"))
    yield from _prologue(job)
    if where is None and not job.runtimes:
        yield part("supervised_exec", ERRORS=parts.errors(grami))
        return
    yield part(
        "supervised_run",
        BEGIN="" if where is None else "arex_running=yes",
        ERRORS=parts.errors(grami),
        RUNTIMES="\n".join(parts.runtime_calls(job.runtimes, 2)),
        END="" if where is None else scratch.END,
    )


_KINDS: Final[Mapping[ScriptMode, Callable[[_Job], Iterator[str]]]] = {
    ScriptMode.BATCH: _batch,
    ScriptMode.SANDBOX: _sandbox,
    ScriptMode.SUPERVISED: _supervised,
}


def _fits(job: _Job) -> bool:
    """Whether all processes of the job would see a scratch directory."""
    return job.settled.multicore or scratch.is_on_one_node(job.submission.grami)


def _own_record(job: _Job) -> Iterator[str]:
    """Without a supervisor: the EXIT trap writes the record, TERM is passed to the payload; start marker, CPU time."""
    cputime_s = job.submission.grami.cputime_s
    yield part("failures")
    yield part("end", NODES=quoted(" ".join(job.settings.nodes)))
    yield part("mark")
    yield "arex_xcpu="
    if cputime_s is not None:
        yield part("cputime", SECONDS=str(cputime_s))


def _prologue(job: _Job) -> Iterator[str]:
    """Everything between the start marker and the payload."""
    grami = job.submission.grami
    yield parts.environment(grami)
    yield from parts.runtime_functions(job.runtimes)
    yield from parts.runtime_calls(job.runtimes, 1)
    yield parts.facts(grami, job.settings, job.runtimes, job.settled)
    yield parts.payload(grami, job.settled, job.runtimes)


def _run(job: _Job, **slots: str) -> str:
    common = {"ERRORS": parts.errors(job.submission.grami), "WATCH": "", "WATCH_END": "", "END": ""}
    calls = "\n".join(parts.runtime_calls(job.runtimes, 2))
    return part("run", **(common | {"RUNTIMES": calls} | slots))
