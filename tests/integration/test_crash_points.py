"""
Die at each change of the file system in a job's life, start again, and compare.

An audit hook of the interpreter sees every open for writing, rename, remove and mkdir before it happens, and can
end the story there. Whatever the point, the job must end as it would have, submitted once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arex.config.values import MaxJobs
from arex.controldir import codec
from arex.controldir.layout import FlatLayout, Mark
from arex.controldir.store import ControlDir
from arex.gm.context import JobContext, KnownJob, Services, Settings
from arex.gm.limits import Limits
from arex.gm.machine import HANDLERS, Resting, drive
from arex.gm.steps import (
    Answer,
    AskCancel,
    AskStage,
    AskStatus,
    AskSubmit,
    CancelTaken,
    Ended,
    SubmitTaken,
)
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.model.ids import JobId, LocalId, Tag
from arex.model.local import JobLocal
from arex.model.report import EndCause, Phase, Report
from arex.model.state import EDGES, ON_FAILURE, State, Status
from tests.fakes.clock import FakeClock

JOB = JobId("crashing")
XRSL = b'&(executable="/bin/true")(stdout="out")(outputfiles=("kept" ""))(rerun="2")(gmlog="log")'
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree"}


class Killed(BaseException):
    """The process is gone: no handler of ours may catch this."""


class Killer:
    """Counts changes below a directory and ends the story at one of them."""

    def __init__(self) -> None:
        self.root = "\0"
        self.at: int | None = None
        self.count = 0
        sys.addaudithook(self._hook)

    def arm(self, root: Path, at: int | None) -> None:
        self.root, self.at, self.count = str(root), at, 0

    def disarm(self) -> int:
        self.root = "\0"
        return self.count

    @contextlib.contextmanager
    def elsewhere(self) -> Iterator[None]:
        root, self.root = self.root, "\0"
        yield
        self.root = root

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.root == "\0" or not self._changes(event, args):
            return
        if self.at is not None and self.count == self.at:
            self.root = "\0"
            raise Killed
        self.count += 1

    def _changes(self, event: str, args: tuple[Any, ...]) -> bool:
        if event == "open":
            path, _, flags = args
            return isinstance(path, str) and path.startswith(self.root) and bool(flags & (os.O_WRONLY | os.O_RDWR))
        return event in _CHANGES


KILLER = Killer()


class Batch:
    """A batch system that remembers what it was given, whoever dies."""

    def __init__(self) -> None:
        self.jobs: dict[Tag, LocalId] = {}
        self.submissions: Counter[JobId] = Counter()
        self.exit_codes: list[int] = [0]

    def answer(self, rest: Resting) -> Answer | None:
        match rest:
            case AskSubmit(submission=submission, sure=sure):
                if sure or submission.tag not in self.jobs:
                    self.submissions[submission.job] += 1
                    self.jobs[submission.tag] = LocalId(str(1000 + len(self.jobs)))
                    with KILLER.elsewhere():  # another process writes these
                        (submission.grami.directory / "kept").write_text("result", encoding="utf-8")
                        submission.diag.write_text("exitcode=0\n", encoding="utf-8")
                return SubmitTaken(self.jobs[submission.tag])
            case AskStatus():
                code = self.exit_codes[min(len(self.jobs), len(self.exit_codes)) - 1]
                return Ended(Report(phase=Phase.ENDED, exit_code=code, cause=EndCause.EXIT_CODE))
            case AskCancel():
                return CancelTaken()
            case AskStage():
                raise AssertionError("nothing to stage")
            case _:
                return None


class Daemon:
    """One life of the service, over a directory that outlives it."""

    def __init__(self, root: Path, batch: Batch, clock: FakeClock) -> None:
        self.store = ControlDir(FlatLayout(root / "ctl"))
        self.batch = batch
        self.clock = clock
        settings = Settings(sessiondirs=(root / "session",), lrms="fake", queue="q", ttr=timedelta(days=1))
        self.services = Services(
            store=self.store, settings=settings, limits=Limits(MaxJobs()), clock=clock, describe=_describe
        )
        unknown = Status(State.UNDEFINED)
        self.job = KnownJob(
            id=JOB, status=unknown, place=None, local=JobLocal(), changed=datetime(1970, 1, 1, tzinfo=UTC)
        )

    def run(self) -> None:
        """Until the job rests with nothing more to come."""
        answer: Answer | None = None
        for _ in range(40):
            context = JobContext(job=self.job, services=self.services, answer=answer)
            rest = drive(context)
            self.job = context.job
            answer = self.batch.answer(rest)
            if answer is None:
                return


def _describe(data: bytes) -> JobDescription:
    return parse(data, DescriptionDialect.GRIDMANAGER)[0]


def _submit(root: Path) -> None:
    store = ControlDir(FlatLayout(root / "ctl"))
    store.prepare("me")
    (root / "session" / JOB).mkdir(parents=True)
    store.reserve(JOB, XRSL)
    store.put_local(JOB, JobLocal(globalid=JOB, subject="/CN=me", gmlog="log"))
    store.put_status(JOB, Status(State.ACCEPTED), None)


Scenario = Callable[[Path, Batch, FakeClock], None]


def _straight(root: Path, batch: Batch, clock: FakeClock) -> None:
    Daemon(root, batch, clock).run()


def _cancelled(root: Path, batch: Batch, clock: FakeClock) -> None:
    daemon = Daemon(root, batch, clock)
    if not daemon.store.failure(JOB):
        daemon.store.set_mark(JOB, Mark.CANCEL)
    daemon.run()


def _restarted(root: Path, batch: Batch, clock: FakeClock) -> None:
    """Fails once, and is asked to run again."""
    batch.exit_codes = [3, 0]
    daemon = Daemon(root, batch, clock)
    daemon.run()
    if len(batch.jobs) < 2 and daemon.store.failure(JOB):
        daemon.store.set_mark(JOB, Mark.RESTART)
        Daemon(root, batch, clock).run()


def _failed(root: Path, batch: Batch, clock: FakeClock) -> None:
    batch.exit_codes = [7]
    Daemon(root, batch, clock).run()


def _result(root: Path, batch: Batch) -> tuple[object, ...]:
    """What a user can tell of a finished job."""
    store = ControlDir(FlatLayout(root / "ctl"))
    found, local = store.read_status(JOB), store.read_local(JOB)
    assert found is not None
    assert local is not None
    session = root / "session" / JOB
    return (
        found.place,
        str(found.status),
        store.failure(JOB),
        local.failedstate,
        local.failedcause,
        local.rerun,
        dict(batch.submissions),
        sorted(path.name for path in session.iterdir()) if session.is_dir() else None,
        sorted(path.name.rpartition(".")[2] for path in (root / "ctl").glob("job.*")),
        [path for path in root.rglob("*") if ".~" in path.name],
    )


@pytest.mark.parametrize("scenario", [_straight, _failed, _cancelled, _restarted], ids=lambda s: s.__name__.strip("_"))
def test_death_at_any_write_changes_nothing_in_the_end(scenario: Scenario, tmp_path: Path) -> None:
    """The same final state, files, reasons and number of submissions, wherever the daemon dies."""
    batch = Batch()
    _submit(tmp_path / "whole")
    KILLER.arm(tmp_path / "whole", None)
    scenario(tmp_path / "whole", batch, FakeClock())
    points = KILLER.disarm()
    expected = _result(tmp_path / "whole", batch)
    assert points > 15

    for point in range(points):
        root, batch, clock = tmp_path / str(point), Batch(), FakeClock()
        _submit(root)
        KILLER.arm(root, point)
        with pytest.raises(Killed):
            scenario(root, batch, clock)
        KILLER.disarm()
        scenario(root, batch, clock)

        assert (point, expected) == (point, _result(root, batch))


def test_a_clean_mark_survives_death_at_any_write(tmp_path: Path) -> None:
    """Cleaning begun is cleaning done, after the next look."""
    for point in range(60):
        root, batch, clock = tmp_path / str(point), Batch(), FakeClock()
        _submit(root)
        Daemon(root, batch, clock).run()
        daemon = Daemon(root, batch, clock)
        daemon.store.set_mark(JOB, Mark.CLEAN)
        KILLER.arm(root, point)
        try:
            daemon.run()
        except Killed:
            after = Daemon(root, batch, clock)
            left = [path.name for path in (root / "ctl").rglob("*") if JOB in path.name]
            assert after.store.read_status(JOB) is not None or [f"job.{JOB}.clean"] == left
            assert after.store.has_mark(JOB, Mark.CLEAN)
            after.run()
        else:
            KILLER.disarm()
            assert point > 5
            return
        assert [] == [path for path in (root / "ctl").rglob("*") if JOB in path.name]
        assert not (root / "session" / JOB).exists()
    raise AssertionError("cleaning never came to its end")


def test_every_state_has_a_handler_and_reaches_the_end() -> None:
    """Each state but UNDEFINED and DELETED can reach FINISHED over legal moves."""
    assert set(State) == set(HANDLERS) == set(EDGES)
    for state in set(State) - {State.DELETED}:
        seen = {state}
        for _ in State:
            seen |= {target for one in seen for target in EDGES[one]}
        assert State.FINISHED in seen
    assert all(target in EDGES[state] for state, target in ON_FAILURE.items())


def test_codec_writes_what_the_crash_test_reads() -> None:
    """Guard: the scenario's local file is a real one."""
    assert codec.parse_local(b"globalid=x\n") == JobLocal(globalid="x")
