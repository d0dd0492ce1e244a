"""
A batch system that is spoken to by commands: the port over any ``Dialect``.

Whatever happens to a command, its jobs run once: the tag of an attempt is on disk and in the batch system, the
script takes an exclusive mark before it runs the payload, and a mark names the local id that took it. Ends are
concluded from witnesses (``lrms.command.verdict``), never from silence.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from arex import process
from arex.clock import Clock, SystemClock
from arex.config.model import Configuration
from arex.errors import BatchUnavailable, SubmitLimited, SubmitRejected, UnreadableOutput
from arex.model.ids import JobId, LocalId, Tag, is_job_id
from arex.model.report import EndCause, Evidence, Phase, Report, Witness
from arex.ports import Backend, Capacity, LocalJob, Submission
from arex.process import Completed
from lrms.attempt import traces
from lrms.attempt.record import Done
from lrms.attempt.traces import Traces
from lrms.command import arrays
from lrms.command.dialect import Call, Dialect, Refusal, Seen, Work, judge
from lrms.command.end_notices import EndNotices
from lrms.command.ratelimit import RateLimit
from lrms.command.verdict import Facts, Said, is_clear, report_of
from lrms.jobscript.runtimes import Prepared, Runtimes, RuntimeSettings
from lrms.jobscript.scratch import scratch_of
from lrms.jobscript.script import job_script
from lrms.jobscript.settings import NODES_COMMAND, ScriptSettings

log = logging.getLogger(__name__)

#: Commands of one kind that run side by side.
_SIDE_BY_SIDE: Final = 4
#: Ids in one command.
_TOGETHER: Final = 500
#: What commands see of the daemon's environment, and with SLURM every job: the rest is none of theirs.
_KEPT: Final = "PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|TZ|TMPDIR|LD_LIBRARY_PATH"
#: What ``new_tag`` and arrays make; a job of somebody else may say anything.
_TAG: Final = re.compile(r"[A-Za-z0-9_.+=@-]{1,63}-[0-9a-f]{8}|arex-[0-9a-f]{16}")
_Answer = LocalId | SubmitRejected | SubmitLimited


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings:
    """What does not depend on the batch system; times in seconds."""

    roots: tuple[Path, ...]  #: session roots
    script: ScriptSettings = field(default_factory=ScriptSettings)
    timeout_s: float = 60.0  #: of one command
    questions: int = 30  #: in a minute, at most
    record_wait_s: float = 120.0
    array: bool = True
    array_most: int = 1000
    runtimes: RuntimeSettings = field(default_factory=RuntimeSettings)

    @classmethod
    def of(cls, config: Configuration) -> CommandSettings:
        """
        Raises:
            ConfigError: see ``lrms.jobscript.scratch.scratch_of``.
        """
        service = config.service
        script = ScriptSettings(
            login=service.login_shell,
            benchmark=config.lrms.benchmark.replace(" ", ":"),
            scratch=scratch_of(config),
        )
        if config.lrms.nodename:
            script = replace(script, nodes_command=config.lrms.nodename)
        return cls(
            roots=tuple(entry.path for entry in config.arex.sessiondir),
            script=script,
            timeout_s=service.lrms_timeout.total_seconds(),
            questions=service.lrms_calls,
            record_wait_s=service.record_wait.total_seconds(),
            array=service.array,
            array_most=service.array_most,
            runtimes=RuntimeSettings.of(config),
        )


class CommandBackend:
    """The port over a dialect; see ``arex.ports.Backend``."""

    def __init__(self, dialect: Dialect, settings: CommandSettings, clock: Clock | None = None) -> None:
        self.name = dialect.name
        self._dialect = dialect
        self._settings = settings
        self._clock = clock or SystemClock()
        self._script = replace(settings.script, interpreter=dialect.interpreter, localid_words=dialect.localid_words)
        if dialect.node_words and settings.script.nodes_command == NODES_COMMAND:
            self._script = replace(self._script, nodes_command=f"printf '%s' {dialect.node_words}")
        self._kept = re.compile(f"{_KEPT}|{dialect.kept_env}" if dialect.kept_env else _KEPT)
        self._runtimes = Runtimes(settings.runtimes)
        self._budget = RateLimit(settings.questions, self._clock)
        self._hands = asyncio.Semaphore(_SIDE_BY_SIDE)
        most = 1 if dialect.array is None and not dialect.clusters else settings.array_most
        self._most = min(most, dialect.array.most if dialect.array else most) if settings.array else 1
        self._left: dict[LocalId, float] = {}  #: when a job was first seen not to be alive, monotonic seconds
        self._localids: dict[str, LocalId] = {}  #: tag to id, of jobs whose end has not been told
        self._rung: dict[str, None] = {}  #: tags of ends that came before their local id
        self._ended: Callable[[LocalId], None] = lambda _: None
        self._bell = EndNotices(settings.roots, self._ring)

    # --- life ---

    async def start(self) -> None:
        await asyncio.to_thread(self._bell.prepare)
        for root in self._settings.roots:
            await asyncio.to_thread(arrays.sweep, root)

    async def close(self) -> None:
        """Nothing is held; jobs go on."""

    def capacity(self) -> Capacity:
        return Capacity(gather=self._most > 1, rings=True)

    def figures(self) -> Mapping[str, int]:
        return self._budget.figures()

    # --- submit ---

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, _Answer]:
        prepared, refused = await self._runtimes.prepare(batch)
        works, answers = await asyncio.to_thread(self._prepare, prepared)
        answers |= refused
        outcomes = await asyncio.gather(*map(self._hand_over, works), return_exceptions=True)
        silences = []
        for outcome in outcomes:
            if isinstance(outcome, BatchUnavailable):
                silences.append(outcome)
                log.warning("%s", outcome, extra={"event": "submit.no_answer"})
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                answers |= outcome
        if silences and not answers:
            raise silences[0]
        for tag, answer in answers.items():
            if isinstance(answer, str):
                self._note(tag, answer)
        return answers

    def _prepare(self, batch: Sequence[Prepared]) -> tuple[list[Work], dict[Tag, _Answer]]:
        """Everything on disk; what can't be is missing from both: a later look finds that it was not taken."""
        ready: list[Submission] = []
        answers: dict[Tag, _Answer] = {}
        for each in batch:
            try:
                self._lay_out(each)
                ready.append(each)
            except SubmitRejected as exc:
                answers[each.tag] = exc
            except OSError as exc:
                log.warning("attempt %s can't be prepared: %s", each.tag, exc, extra={"event": "submit.disk"})
        return self._works(ready), answers

    def _works(self, ready: Sequence[Submission]) -> list[Work]:
        works = []
        for group in arrays.groups(self._dialect, ready, self._most):
            if len(group) > 1 and self._dialect.array is not None:
                works.append(arrays.lay_out(self._dialect, group, self._script.shell))
                continue
            works.append(_work(group))
        return works

    def _lay_out(self, submission: Prepared) -> None:
        """Put the script into RUNDIR; a copy that runs already keeps reading what it has opened."""
        grami = submission.grami
        if not grami.directory.is_dir():
            raise SubmitRejected(f"The session directory {grami.directory} does not exist.")
        settings = replace(self._script, directives=self._dialect.directives(submission))
        data = os.fsencode(job_script(submission, settings, submission.runtimes, submission.settled))
        submission.rundir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = submission.rundir / "script"
        if path.exists() and path.read_bytes() == data:
            return
        beside = submission.rundir / f"script.{secrets.token_hex(4)}"
        beside.write_bytes(data)
        beside.replace(path)

    async def _hand_over(self, work: Work) -> dict[Tag, _Answer]:
        async with self._hands:
            done = await self._run(self._dialect.submit(work))
        if done.code == 0:
            root = self._dialect.submitted(done, work)
            return {each.tag: self._child(root, work, n) for n, each in enumerate(work.submissions, 1)}
        said = _sentence(done)
        match judge(self._dialect.rules, done):
            case Refusal.PERMANENT:
                return {each.tag: SubmitRejected(said) for each in work.submissions}
            case Refusal.ARRAY if work.size > 1:
                self._most = max(1, work.size // 2)
                log.warning("arrays are limited to %d jobs now: %s", self._most, said, extra={"event": "array.limit"})
                return await self._in_halves(work)
            case Refusal.LIMIT | Refusal.ARRAY if work.size > 1:
                return await self._in_halves(work)
            case Refusal.LIMIT | Refusal.ARRAY:
                return {work.first.tag: SubmitLimited(said)}
            case _:
                raise UnreadableOutput(done.argv, done.code, said)

    async def _in_halves(self, work: Work) -> dict[Tag, _Answer]:
        """A limit that is too small for all may have room for some."""
        half = work.size // 2
        answers: dict[Tag, _Answer] = {}
        for part in (work.submissions[:half], work.submissions[half:]):
            full = next((each for each in answers.values() if isinstance(each, SubmitLimited)), None)
            if full is not None:
                answers |= {each.tag: full for each in part}
                continue
            for smaller in await asyncio.to_thread(self._works, part):
                try:
                    answers |= await self._hand_over(smaller)
                except BatchUnavailable:
                    if not answers:
                        raise
                    return answers  # the rest is unsure
        return answers

    def _child(self, root: LocalId, work: Work, index: int) -> LocalId:
        return self._dialect.child(root, index) if work.is_array or self._dialect.clusters else root

    # --- find ---

    async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        left = await asyncio.to_thread(lambda: {each.tag: traces.traces(each.rundir) for each in batch})
        found = {tag: LocalId(trace.localid) for tag, trace in left.items() if trace.localid}
        if len(found) < len(batch):
            found |= await self._look_up([each for each in batch if each.tag not in found])
        for tag, localid in found.items():
            self._note(tag, localid)
        return found

    async def _look_up(self, hidden: Sequence[Submission]) -> dict[Tag, LocalId]:
        """
        By what the batch system shows of the tags; the twins of an attempt that was taken twice are cancelled.

        One that has ended without a mark never ran: to submit it again is safe, so it does not count.
        """
        listing = await self._list(())
        copies: dict[tuple[str, int | None], list[LocalId]] = {}
        for localid, seen in listing.items():
            if seen.tag and seen.phase is not Phase.ENDED:
                index = None if self._dialect.clusters else self._dialect.index(localid)
                copies.setdefault((seen.tag, index), []).append(localid)
        members = await asyncio.to_thread(arrays.memberships, self._dialect, hidden)
        found: dict[Tag, LocalId] = {}
        for each in hidden:
            children = [(member.tag, member.index) for member in members.get(each.tag, ())]
            keys: list[tuple[str, int | None]] = [(each.tag, None), *children]
            ids = [localid for key in keys for localid in copies.get(key, ())]
            # one that runs has the mark, whether we see it already or not; then the oldest
            ids.sort(key=lambda localid: (listing[localid].phase in {Phase.QUEUED, Phase.HELD}, _age(localid)))
            if ids:
                found[each.tag] = ids[0]
                await self._cancel_twins(each.tag, ids[1:])
        return found

    async def _cancel_twins(self, tag: Tag, twins: Sequence[LocalId]) -> None:
        if twins:
            log.warning("attempt %s was taken twice: %s is cancelled", tag, " ".join(twins), extra={"event": "twin"})
            await self._run(self._dialect.cancel(twins))

    async def tagged(self) -> Mapping[LocalId, JobId]:
        listing = await self._list(())
        alive = {localid: seen.tag for localid, seen in listing.items() if seen.tag and _alive(seen)}
        return await asyncio.to_thread(self._owners, alive)

    def _owners(self, tags: Mapping[LocalId, str]) -> dict[LocalId, JobId]:
        owners: dict[LocalId, JobId] = {}
        for localid, tag in tags.items():
            index = self._dialect.index(localid)
            job = arrays.owner(self._settings.roots, self._dialect.array, tag, index) or tag.rpartition("-")[0]
            if is_job_id(job) and _TAG.fullmatch(tag):
                owners[localid] = JobId(job)
        return owners

    # --- status ---

    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        records = await asyncio.to_thread(traces.records, jobs)
        ends = {
            job.localid: report
            for job in jobs
            if (done := records.get(job.localid)) is not None
            and is_clear(done)
            and (report := report_of(Facts(system=self.name, done=done))) is not None
        }
        self._remember(job for job in jobs if job.localid not in ends)
        for job in jobs:
            if job.localid in ends:
                self._forget(job)
        return ends

    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        self._remember(jobs)
        records = await asyncio.to_thread(traces.records, jobs)
        clear = {job.localid for job in jobs if (done := records.get(job.localid)) is not None and is_clear(done)}
        listing = await self._list([job.localid for job in jobs]) if len(clear) < len(jobs) else {}
        gone = [job for job in jobs if job.localid not in clear and not _alive(listing.get(job.localid))]
        left = await asyncio.to_thread(lambda: {job.localid: traces.traces_of(job) for job in gone})
        followed = {job.localid: LocalId(left[job.localid].localid or job.localid) for job in gone}
        accounts = await self._account(_unexplained(gone, followed, listing))
        reports: dict[LocalId, Report] = {}
        for job in jobs:
            trace = left.get(job.localid)
            localid = followed.get(job.localid, job.localid)
            facts = self._facts(job, records.get(job.localid), trace, listing.get(localid), accounts.get(localid))
            if (report := report_of(facts) or self._lost(facts)) is not None:
                reports[job.localid] = report
        over = [job for job in jobs if _over(reports.get(job.localid))]
        await self._settle(over, left)
        await self._take_away([job.localid for job in over if _lingers(listing.get(job.localid))])
        return reports

    def _facts(
        self, job: LocalJob, done: Done | None, trace: Traces | None, seen: Seen | None, account: Seen | None
    ) -> Facts:
        now = self._clock.monotonic()
        if _alive(seen) and done is None:
            self._left.pop(job.localid, None)
        else:
            self._left.setdefault(job.localid, now)
        return Facts(
            system=self.name,
            done=done,
            mark=None if trace is None else trace.mark,
            seen=seen,
            account=account,
            ours=job.rundir is not None,
            said=None if trace is None else self._said(trace.output),
            diag_code=None if trace is None else trace.diag_code,
            cancel_asked=trace is not None and trace.cancel_asked,
            waited_s=now - self._left.get(job.localid, now),
            record_wait_s=self._settings.record_wait_s,
        )

    def _said(self, output: str) -> Said | None:
        """The last line in which the batch system says why it ended the job."""
        for line in reversed(output.splitlines()):
            for pattern, cause in self._dialect.said:
                if re.search(pattern, line, re.IGNORECASE):
                    return Said(cause, line.strip())
        return None

    def _lost(self, facts: Facts) -> Report | None:
        """Nobody knows the job, in every answer for as long as a record may take to be seen."""
        if facts.waited_s < self._settings.record_wait_s:
            return None
        said = (Evidence(Witness.SCAN, f"not listed for {facts.waited_s:.0f} s"),)
        message = "the batch system no longer knows the job"
        return Report(phase=Phase.ENDED, cause=EndCause.LOST, message=message, evidence=said)

    async def _settle(self, over: Sequence[LocalJob], left: Mapping[LocalId, Traces]) -> None:
        """Nothing of an attempt that is over may start any more, should a copy of it still be queued somewhere."""
        unmarked = [job.rundir for job in over if job.rundir and job.localid in left and not left[job.localid].mark]
        if unmarked:
            await asyncio.to_thread(traces.keep_from_starting, unmarked)
        for job in over:
            self._forget(job)

    async def _take_away(self, ids: Sequence[LocalId]) -> None:
        if not ids:
            return
        try:
            await self._act(self._dialect.cancel, ids)
        except BatchUnavailable as exc:
            log.warning("%s stay in the queue: %s", " ".join(ids), exc, extra={"event": "lrms.lingers"})

    async def _list(self, ids: Collection[LocalId]) -> Mapping[LocalId, Seen]:
        await self._budget.question()
        return self._dialect.listed(await self._run(self._dialect.listing(ids)))

    async def _account(self, ids: Sequence[LocalId]) -> Mapping[LocalId, Seen]:
        """What the accounting says; a failure of it is no reason to learn nothing from the others."""
        accounts: dict[LocalId, Seen] = {}
        for part in self._parts(ids):
            call = self._dialect.accounting(part)
            if call is None:
                break
            await self._budget.question()
            try:
                accounts |= self._dialect.accounted(await self._run(call))
            except BatchUnavailable as exc:
                log.info("the accounting of %s does not answer: %s", self.name, exc, extra={"event": "account.down"})
                break
        return accounts

    def _parts(self, ids: Sequence[LocalId]) -> Iterator[list[LocalId]]:
        """What may travel in one command."""
        sites: dict[str, list[LocalId]] = {}
        for localid in ids:
            sites.setdefault(self._dialect.site(localid), []).append(localid)
        for together in sites.values():
            for first in range(0, len(together), _TOGETHER):
                yield together[first : first + _TOGETHER]

    # --- cancel, hold, release ---

    async def cancel(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        await asyncio.to_thread(traces.ask_cancel, jobs)
        left = await asyncio.to_thread(lambda: {job.localid: traces.traces_of(job) for job in jobs})
        followed = {LocalId(left[job.localid].localid or job.localid): job.localid for job in jobs}
        refused = await self._act(self._dialect.cancel, list({*followed, *followed.values()}))
        return {followed.get(localid, localid): why for localid, why in refused.items()}

    async def hold(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return await self._act(self._dialect.hold, [job.localid for job in jobs])

    async def release(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return await self._act(self._dialect.release, [job.localid for job in jobs])

    async def _act(self, build: Callable[[Sequence[LocalId]], Call], ids: Sequence[LocalId]) -> dict[LocalId, str]:
        refused: dict[LocalId, str] = {}
        for part in self._parts(ids):
            refused |= self._dialect.refused(await self._run(build(part)), part)
        return refused

    # --- ends ---

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        self._ended = ended
        await self._bell.run()

    def _ring(self, tag: str) -> None:
        if (localid := self._localids.get(tag)) is not None:
            self._ended(localid)
        else:
            self._rung[tag] = None
            if len(self._rung) > traces.MOST_RUNG:
                del self._rung[next(iter(self._rung))]

    def _note(self, tag: str, localid: LocalId) -> None:
        self._localids[tag] = localid
        if tag in self._rung:
            del self._rung[tag]
            self._ended(localid)

    def _remember(self, jobs: Iterable[LocalJob]) -> None:
        """So that the bell of a job that an earlier daemon has submitted is understood."""
        for job in jobs:
            if job.tag is not None:
                self._note(job.tag, job.localid)

    def _forget(self, job: LocalJob) -> None:
        self._left.pop(job.localid, None)
        if job.tag is not None:
            self._localids.pop(job.tag, None)

    # --- running ---

    async def _run(self, call: Call) -> Completed:
        self._budget.count(Path(call.argv[0]).name)
        ours = {name: value for name, value in os.environ.items() if self._kept.fullmatch(name)}
        return await process.run(
            call.argv,
            timeout=self._settings.timeout_s,
            stdin=call.stdin,
            cwd=call.cwd,
            env={**ours, **call.env},
        )


def _work(group: tuple[Submission, ...]) -> Work:
    first = group[0]
    return Work(submissions=group, script=first.rundir / "script", output=str(first.comment), tag=first.tag)


def _sentence(done: Completed) -> str:
    """What a command said, on one line."""
    return " ".join((done.err or done.out).split())[:500] or f"{done.argv[0]} exited with {done.code}"


def _age(localid: LocalId) -> list[int]:
    """Local ids count upwards: the lowest number came first."""
    return [int(number) for number in re.findall(r"\d+", localid)]


def _alive(seen: Seen | None) -> bool:
    return seen is not None and seen.phase is not Phase.ENDED


def _lingers(seen: Seen | None) -> bool:
    return seen is not None and seen.lingers


def _over(report: Report | None) -> bool:
    return report is not None and report.phase is Phase.ENDED


def _unexplained(
    gone: Iterable[LocalJob], followed: Mapping[LocalId, LocalId], listing: Mapping[LocalId, Seen]
) -> list[LocalId]:
    """Ids about whose end the scan does not say enough."""
    ids = [followed[job.localid] for job in gone]
    return [
        each
        for each in ids
        if (seen := listing.get(each)) is None or (not _alive(seen) and (seen.cause is None or seen.vague))
    ]


_: type[Backend] = CommandBackend
