"""
Histories of real jobs of ARC 6.17, gone through again.

Each snapshot says which moves its job made. The job is put back to what its client had written, the world outside
is played from the snapshot (answers of the batch system and of staging, marks, limits, time), and the same moves
and the same files must come out. What differs on purpose is named here, with its reason.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.config.values import MaxJobs
from arex.controldir import codec
from arex.controldir.layout import FlatLayout, Mark
from arex.controldir.store import ControlDir
from arex.gm.context import JobContext, KnownJob, Services, Settings
from arex.gm.limits import Limits
from arex.gm.machine import Resting, drive
from arex.gm.steps import (
    Answer,
    AskCancel,
    AskHold,
    AskStage,
    AskStatus,
    AskSubmit,
    CancelTaken,
    Forget,
    StagingEnded,
    SubmitRefused,
    SubmitTaken,
    Wait,
)
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.jobdesc.check import check
from arex.model.ids import JobId, LocalId
from arex.model.local import JobLocal
from arex.model.state import State, Status
from arex.ports import Staged
from tests import environments
from tests.fakes.clock import FakeClock

FIXTURES = environments.DATA / "fixtures"
LINE = re.compile(r"^\S+ Job state change (\S+) -> (\S+)   Reason: (.*)$")

#: The daemon's own keys, which a client has not written yet.
DAEMON_KEYS = ("localid", "failedstate", "failedcause", "cleanuptime", "lifetime")

#: Snapshots without a daemon in them.
CLIENT_ONLY = {path.name for path in FIXTURES.glob("client_*") if path.name != "client_push"}
#: ARC's DELETED snapshot has lost the log of everything before, so there is nothing to go through.
NO_HISTORY = {"deleted"}
#: A daemon of ARC was restarted in SUBMIT and submitted twice; ours is tested for that with crashes.
RESTARTED = {"dbl_submit"}
#: 6.17 looks for the dead job after a rerun instead of submitting again: the end differs.
OTHER_END = {"restart_fail3"}

CASES = sorted(
    path.name
    for path in FIXTURES.iterdir()
    if (path / "ctl").is_dir()
    and not path.name.startswith("_")
    and path.name not in CLIENT_ONLY | NO_HISTORY | RESTARTED
)


@dataclass(frozen=True)
class Move:
    old: str
    new: str
    why: str


class Snapshot:
    """One directory of the fixtures."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ctl = FIXTURES / name / "ctl"
        self.session = FIXTURES / name / "session"
        status = next(path for path in self.ctl.glob("*/job.*.status"))
        self.job = JobId(status.name.removeprefix("job.").removesuffix(".status"))
        self.status = codec.parse_status(status.read_bytes())
        self.moves = list(self._moves())
        self.failed = self.text("failed").splitlines()

    def data(self, suffix: str) -> bytes | None:
        path = self.ctl / f"job.{self.job}.{suffix}"
        return path.read_bytes() if path.exists() else None

    def text(self, suffix: str) -> str:
        return codec.decode(self.data(suffix) or b"")

    def _moves(self) -> Iterator[Move]:
        for line in self.text("errors").splitlines():
            if match := LINE.match(line):
                yield Move(*match.groups())


class Stage:
    """A control directory in which a snapshot is played."""

    def __init__(self, snapshot: Snapshot, root: Path) -> None:
        self.snapshot = snapshot
        self.name = snapshot.name
        self.root = root
        self.store = ControlDir(FlatLayout(root / "ctl"))
        self.store.prepare("user1")
        self.clock = FakeClock(datetime(2026, 11, 20, 9, 0, tzinfo=UTC))
        self.limits = Limits(MaxJobs(running=1))
        self.services = Services(
            store=self.store,
            settings=Settings(
                sessiondirs=(root / "session",),
                lrms="fork",
                queue="fork",
                delegations=root / "ctl" / "delegations.user1",
                hostname="localhost",
            ),
            limits=self.limits,
            clock=self.clock,
            describe=_describe,
        )
        self.context = JobContext(job=_unknown(snapshot.job), services=self.services)
        self._lay_out()

    def here(self, data: bytes) -> bytes:
        """The fixture's placeholder paths become ours."""
        for name, path in (("CONTROLDIR", "ctl"), ("SESSIONDIR", "session"), ("TARGETDIR", "target")):
            data = data.replace(f"/{name}".encode(), str(self.root / path).encode())
        return data

    def there(self, data: bytes) -> bytes:
        for name, path in (("CONTROLDIR", "ctl"), ("SESSIONDIR", "session"), ("TARGETDIR", "target")):
            data = data.replace(str(self.root / path).encode(), f"/{name}".encode())
        return data

    def _lay_out(self) -> None:
        """What the client had written, in its order."""
        snapshot, job = self.snapshot, self.snapshot.job
        for suffix in ("description", "proxy", "acl"):
            if (data := snapshot.data(suffix)) is not None:
                self.store.put(job, suffix, self.here(data))
        if (local := snapshot.data("local")) is not None and snapshot.moves[0].new != "FINISHED":
            self.store.put(job, "local", codec.dump_local(self._as_submitted(codec.parse_local(self.here(local)))))
        if (grami := snapshot.data("grami")) is not None:
            lines = [line for line in self.here(grami).splitlines(keepends=True) if b"joboption_jobid=" not in line]
            self.store.put(job, "grami", b"".join(lines))
        session = self.root / "session" / job
        if not any("clean up session dir before down" in why for why in snapshot.failed):
            session.mkdir(parents=True)
            for name in self._sized():
                (session / name).write_bytes(next(FIXTURES.glob(f"client_upl/session/*/{name}")).read_bytes())
            for list_of_outputs in re.findall(r"^/@(\S+)", snapshot.text("output"), re.MULTILINE):
                (session / list_of_outputs).touch()  # the job has written it
        if (confirmed := snapshot.data("input_status")) is not None:
            self.store.put(job, "input_status", confirmed)
        self.store.put_status(job, Status(State.ACCEPTED), None)

    def _sized(self) -> list[str]:
        """Inputs that are verified by size, so that they must be here."""
        description = _describe(self.snapshot.data("description") or b"") if self.snapshot.failed == [] else None
        return [] if description is None else [file.name for file in description.inputs if file.announced]

    def _as_submitted(self, local: JobLocal) -> JobLocal:
        cleared = dict.fromkeys(DAEMON_KEYS)
        used = sum(move.old == "FINISHED" for move in self.snapshot.moves)
        rerun = None if local.rerun is None else local.rerun + used
        share = "_default" if local.transfershare else None
        odd = tuple(pair for pair in local.odd if pair[0] != "lifetime")
        return replace(local, **cleared, rerun=rerun, transfershare=share, odd=odd)  # type: ignore[arg-type]

    def play(self) -> list[Move]:
        """Go as far as the snapshot went; returns the moves that were made."""
        left = deque(self.snapshot.moves)
        answer: Answer | None = None
        while len(self.made()) < len(self.snapshot.moves):
            before = len(self.made())
            self._prepare(left[0] if not before else self.snapshot.moves[before])
            self.context = JobContext(job=self.context.job, services=self.services, answer=answer)
            answer = self._answer(drive(self.context))
            if len(self.made()) == before and answer is None and not self._push():
                break
        return self.made()

    def made(self) -> list[Move]:
        data = self.store.read(self.snapshot.job, "errors")
        lines = codec.decode(data or b"").splitlines()
        return [Move(*match.groups()) for line in lines if (match := LINE.match(line))]

    def _prepare(self, expected: Move) -> None:
        """Marks and limits that bring the next moves about."""
        job = self.snapshot.job
        coming = self.snapshot.moves[len(self.made()) :]
        if any("Limit of RUNNING" in move.why for move in coming):
            self.limits.runs(JobId("another"), 1)
        cancelled_in = self.snapshot.text("local").partition("failedstate=")[2].split("\n")[0]
        wanted = "failedcause=client" in self.snapshot.text("local") and not self.store.failure(job)
        if wanted and expected.old.removesuffix("(PENDING)") == cancelled_in:
            self.store.set_mark(job, Mark.CANCEL)
        if expected.why.startswith("Request to restart"):
            self.store.set_mark(job, Mark.RESTART)

    def _answer(self, rest: Resting) -> Answer | None:
        coming = self.snapshot.moves[len(self.made()) :]
        if not coming:
            return None
        match rest:
            case AskSubmit():
                if coming[0].new == "FINISHING":
                    return SubmitRefused("as in the snapshot")
                return SubmitTaken(LocalId(self._localid()))
            case AskStatus():
                self._left_the_batch_system(coming)
                return None
            case AskCancel():
                return CancelTaken()
            case AskStage():
                return self._staged(coming)
            case Wait() | Forget() | AskHold():
                return None

    def _localid(self) -> str:
        return self.snapshot.text("local").partition("localid=")[2].split("\n")[0] or "4711"

    def _left_the_batch_system(self, coming: list[Move]) -> None:
        if coming[0].why == "Request to cancel job":
            return
        error = re.search(r"LRMS error: \((-?\d+)\) ?(.*)", self.snapshot.text("failed"))
        first = not any(move.old == "FINISHED" for move in self.made())
        failing = coming[0].why == "Job failure detected"
        expected = codec.parse_local(self.snapshot.data("local") or b"").argscode or 0
        code, text = (
            (int(error[1]), error[2]) if error and failing else (3, "x") if failing and first else (expected, "")
        )
        self.store.put(self.snapshot.job, "lrms_done", codec.dump_lrms_done(code, text))

    def _staged(self, coming: list[Move]) -> Answer | None:
        failing = coming[0].why == "Job failure detected"
        known = re.findall(r"Failed in data staging: .*", self.snapshot.text("failed"))
        if "failedcause=client" in self.snapshot.text("local"):
            return None
        staged = Staged(done=not failing, failure=_after_prefix(known) if failing else "")
        return StagingEnded(staged, out=self.context.job.state is State.FINISHING)

    def _push(self) -> bool:
        """Nothing moved: what is still expected needs time, or the job ends here."""
        job = self.snapshot.job
        if self.context.job.state is State.CANCELING and not self.store.exists(job, "lrms_done"):
            self.store.put(job, "lrms_done", b"15 Job was cancelled\n")
            return True
        if self.store.exists(job, "lrms_done") or self.store.has_mark(job, Mark.CANCEL) or self._soon():
            return True
        if self.clock.now() > datetime(2026, 11, 21, tzinfo=UTC):
            return False
        self.clock.advance(timedelta(hours=16))
        return True

    def _soon(self) -> bool:
        coming = self.snapshot.moves[len(self.made()) :]
        return (
            bool(coming)
            and (coming[0].why.startswith("Request to restart") or self._cancel_comes(coming[0]))
            and not self.store.has_mark(self.snapshot.job, Mark.RESTART)
        )

    def _cancel_comes(self, move: Move) -> bool:
        local = self.snapshot.text("local")
        return (
            "failedcause=client" in local
            and f"failedstate={move.old.removesuffix('(PENDING)')}\n" in local
            and (not self.store.failure(self.snapshot.job))
        )


def _after_prefix(reasons: list[str]) -> str:
    return "\n".join(reasons).removeprefix("Failed in data staging: ") or "failed"


def _describe(data: bytes) -> JobDescription:
    [description, *_] = parse(data, DescriptionDialect.GRIDMANAGER)
    check(description)
    return description


def _unknown(job: JobId) -> KnownJob:
    return KnownJob(
        id=job, status=Status(State.UNDEFINED), place=None, local=JobLocal(), changed=datetime(1970, 1, 1, tzinfo=UTC)
    )


@pytest.fixture
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    return Stage(Snapshot(request.param), tmp_path)


@pytest.mark.parametrize("stage", CASES, indirect=True, ids=CASES)
def test_a_real_history_makes_the_same_moves(stage: Stage) -> None:
    """Old state, new state and reason of every line that the real service logged."""
    made = stage.play()

    assert made == stage.snapshot.moves


#: Keys of ``.local`` that hold a moment of the replay itself.
MOMENTS = {"cleanuptime", "localid"}
#: Wanted differences: decimal seconds for a lifetime (defect 2); a failed upload can be restarted (defect 9).
WANTED = {"lifetime"}
#: Their snapshot was taken while the transfer engine or a client was at work on the file.
IN_FLIGHT = {"upfail": {"output", "output_status"}, "slowout_finishing": {"output", "output_status"}}
#: The list that the job itself wrote is not in the snapshot, so its outputs can't be known again.
IN_FLIGHT["dynout"] = {"output_status"}
#: The share of transfers: of a list that the job itself wrote, and of a file that was there after the restart.
OTHER_SHARE = {"dynout", "restart_missing"}
#: Without any .local 6.17 makes one up from its defaults; ours holds what is known, nothing.
NO_LOCAL = {"handA"}


@pytest.mark.parametrize("stage", sorted(set(CASES) - OTHER_END), indirect=True, ids=sorted(set(CASES) - OTHER_END))
def test_a_real_history_leaves_the_same_facts(stage: Stage) -> None:
    """Status, ``.local`` but for moments and wanted differences, and each reason of failure."""
    stage.play()
    snapshot, store = stage.snapshot, stage.store

    found = store.read_status(snapshot.job)
    assert found is not None
    assert found.status == snapshot.status

    ours = codec.decode(stage.there(store.read(snapshot.job, "local") or b""))
    if stage.name in NO_LOCAL:
        return
    left_out = {"transfershare"} if stage.name in OTHER_SHARE else set()
    theirs, ours_too = _facts(snapshot.text("local"), snapshot), _facts(ours, snapshot)
    assert {key: theirs[key] for key in theirs.keys() - left_out} == {
        key: ours_too[key] for key in ours_too.keys() - left_out
    }

    reasons = store.failure(snapshot.job).splitlines()
    for why in filter(None, snapshot.failed):
        assert any(reason.startswith(why) for reason in reasons), (why, reasons)


def _facts(text: str, snapshot: Snapshot) -> dict[str, str]:
    facts = dict(line.partition("=")[::2] for line in text.split("\n") if line)
    # 6.17 loses an empty argument when it reads its own file back (defect 3)
    facts["args"] = " " if facts["args"] == r"\  " else facts["args"].replace(r" \ ", "  ")
    if any("Timeout waiting" in why for why in snapshot.failed):
        facts |= {"failedstate": "PREPARING", "failedcause": "internal"}
    return {key: value for key, value in facts.items() if key not in MOMENTS | WANTED}


@pytest.mark.parametrize("stage", sorted(set(CASES) - OTHER_END), indirect=True, ids=sorted(set(CASES) - OTHER_END))
def test_a_real_history_leaves_the_same_lists(stage: Stage) -> None:
    """``.input``, ``.output`` and ``.output_status``, byte for byte."""
    stage.play()
    snapshot = stage.snapshot

    for suffix in {"input", "output", "output_status"} - IN_FLIGHT.get(stage.name, set()):
        theirs = snapshot.data(suffix)
        ours = stage.store.read(snapshot.job, suffix)
        assert (suffix, theirs) == (suffix, None if ours is None else stage.there(ours))
