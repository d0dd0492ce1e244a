"""A daemon as a separate process, with jobs made by our client or by hand, and a directory that no one may touch."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from arex.config.load import load
from arex.controldir import fifo
from arex.controldir.layout import FlatLayout, Mark
from arex.controldir.store import ControlDir
from arex.model.ids import JobId, new_job_id
from arex.model.state import State, Status
from plugins.local import LocalPlugin
from plugins.local.submission import Refused, Submitted

CHECKOUT: Final = Path(__file__).resolve().parents[2]
ORDINARY_UID: Final = 65534


def wait_for(condition: Callable[[], bool], limit_s: float, what: Callable[[], object] | str) -> None:
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > limit_s:
            raise AssertionError(f"not within {limit_s} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)


class Service:
    """One control directory below ``root``."""

    def __init__(self, root: Path, more: str = "", lrms: str = "lrms=fork\n[queue:fork]\n") -> None:
        self.root = root
        self.ctl, self.sessions, self.canary = root / "ctl", root / "session", root / "canary"
        self.log = root / "daemon.out"
        self.conf = root / "arc.conf"
        self.conf.write_text(
            f"[common]\n[arex]\ncontroldir={self.ctl}\nsessiondir={self.sessions}\npidfile={root}/arex.pid\n"
            f"logfile={root}/arex.log\njoblog={root}/jobs.log\nmaxjobs=-1 40 -1 -1 -1\nwakeupperiod=1\n"
            f"[arex/service]\nallow_root=yes\nscan_period=1\n{more}"
            f"[arex/data-staging]\nmaxtransfertries=3\n[lrms]\n{lrms}",
            encoding="utf-8",
        )
        make_canary(self.canary)
        self.untouched = fingerprint(self.canary)
        self.plugin = LocalPlugin(load(self.conf, {})[0], subject="/CN=me")
        self.store = ControlDir(FlatLayout(self.ctl))
        self.process: subprocess.Popen[bytes] | None = None
        self.checked = 0  #: so much of the log was looked at

    # --- the daemon ---

    def start(self, prefix: tuple[str, ...] = ()) -> None:
        self.launch(prefix)
        wait_for(lambda: self.plugin.served or not self.alive, 90, self.said)
        assert self.alive, self.said()

    def launch(self, prefix: tuple[str, ...] = ()) -> None:
        argv = [*prefix, sys.executable, "-I", str(CHECKOUT / "arex" / "__main__.py"), "run", "-c", str(self.conf)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, cwd="/")

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)

    def ends(self) -> int:
        assert self.process is not None
        return self.process.wait(90)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-20_000:]

    def unharmed(self) -> None:
        """The daemon lives, has logged no internal error, still runs jobs, and the canary is as it was."""
        assert self.alive, self.said()
        said = self.log.read_text(errors="replace")
        fresh, self.checked = said[self.checked :], len(said)
        assert "Traceback" not in fresh, fresh[-6000:]
        self.finishes(self.submit('&(executable="/bin/true")'), limit_s=60)
        assert self.untouched == fingerprint(self.canary)

    # --- jobs ---

    def offer(self, text: str | bytes) -> Submitted | Refused:
        [outcome] = self.plugin.submit([text], cwd=self.root)
        return outcome

    def submit(self, text: str | bytes) -> JobId:
        outcome = self.offer(text)
        assert isinstance(outcome, Submitted), outcome
        return outcome.id

    def refusal(self, text: str | bytes) -> str:
        outcome = self.offer(text)
        assert isinstance(outcome, Refused), outcome
        return str(outcome.error)

    def by_hand(
        self,
        description: str | bytes | None,
        local: bytes = b"",
        *,
        files: Mapping[str, bytes] | None = None,
        state: State = State.ACCEPTED,
        session: bool = True,
    ) -> JobId:
        """A job as a stranger's script makes it, without any check; its status file comes last."""
        job = new_job_id()
        if session:
            (self.sessions / job).mkdir(parents=True)
        if description is not None:
            self.path(job, "description").write_bytes(
                description.encode() if isinstance(description, str) else description
            )
        self.path(job, "local").write_bytes(local.replace(b"@JOB@", job.encode()))
        for suffix, data in (files or {}).items():
            self.path(job, suffix).write_bytes(data)
        self.store.put_status(job, Status(state), None)
        self.ring(job)
        return job

    def path(self, job: str, suffix: str) -> Path:
        return self.ctl / f"job.{job}.{suffix}"

    def ring(self, job: JobId) -> None:
        fifo.ring(self.ctl, job)

    def mark(self, job: JobId, mark: Mark) -> None:
        self.store.set_mark(job, mark)
        self.ring(job)

    def state(self, job: JobId) -> str:
        found = self.store.read_status(job)
        return "" if found is None else str(found.status)

    def reaches(self, job: JobId, *words: str, limit_s: float = 60) -> None:
        wait_for(lambda: self.state(job) in words, limit_s, lambda: (words, self.tell(job)))

    def finishes(self, job: JobId, *, limit_s: float = 60) -> None:
        """And has not failed."""
        self.reaches(job, "FINISHED", limit_s=limit_s)
        assert "" == self.store.failure(job)

    def fails(self, job: JobId, *, limit_s: float = 60) -> str:
        """The reasons that its owner gets."""
        self.reaches(job, "FINISHED", limit_s=limit_s)
        failure = self.store.failure(job)
        assert failure, self.tell(job)
        return failure

    def cleans(self, job: JobId) -> None:
        self.mark(job, Mark.CLEAN)
        wait_for(lambda: self.state(job) == "", 60, lambda: self.tell(job))
        assert [] == sorted(path.name for path in self.ctl.glob(f"job.{job}.*"))

    def tell(self, job: JobId) -> str:
        errors = self.path(job, "errors")
        text = errors.read_text(errors="replace") if errors.is_file() else ""
        return f"{job} {self.state(job)}\n{text}\n{self.said()}"


@contextmanager
def serving(root: Path, more: str = "", prefix: tuple[str, ...] = ()) -> Iterator[Service]:
    service = Service(root, more)
    service.start(prefix)
    try:
        yield service
    finally:
        code = service.stop()
    assert 0 == code, service.said()


def make_canary(path: Path) -> None:
    """Files of another user, beside everything that arex may touch."""
    (path / "below").mkdir(parents=True)
    (path / "precious").write_text("years of work\n", encoding="utf-8")
    (path / "below" / "more").write_text("and more\n", encoding="utf-8")
    (path / "precious").chmod(0o640)


def fingerprint(top: Path) -> list[tuple[object, ...]]:
    """Names, kinds, modes, times and contents of everything below a directory."""
    found: list[tuple[object, ...]] = []
    for path in [top, *sorted(top.rglob("*"))]:
        info = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(info.st_mode) else b""
        digest = hashlib.sha256(data).hexdigest()
        found.append((path.relative_to(top).as_posix(), info.st_mode, info.st_ino, info.st_mtime_ns, digest))
    return found


def modes_count() -> tuple[str, ...]:
    """A prefix for programs for which the modes of files count, as they do for an ordinary user."""
    if os.geteuid() != 0:
        return ()
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")


def as_ordinary_user(*more: str) -> tuple[str, ...]:
    """How to become an ordinary user; a test process that is one already stays what it is."""
    if os.geteuid() != 0:
        return more
    return ("setpriv", f"--reuid={ORDINARY_UID}", f"--regid={ORDINARY_UID}", "--clear-groups", *more)
