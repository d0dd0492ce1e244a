"""One place with a control directory, and the programs that meet there: ours and those of ARC 6.17 or 7."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from arex.controldir.layout import FlatLayout, Mark, NestedLayout, Place
from arex.model.ids import JobId

PLACE: Final = Path(f"/var/tmp/arex-interop-{os.getuid()}")
PARTS: Final = ("processing", "accepting", "restarting", "finished")
#: Runs a program of ARC 7. Source: tools/interop-arc7.sh.
IN_ARC7: Final = PLACE / "arc7/in-arc7"

_MOVE: Final = re.compile(r"^\S+ Job state change (\S+) -> (\S+)   Reason: (.*)$", re.MULTILINE)
_SUBMITTED: Final = re.compile(r"Job submitted with jobid: (\S+)")

#: What both daemons read.
_CONF: Final = """\
[common]
hostname = localhost
x509_host_key = {key}
x509_host_cert = {certificate}
x509_cert_dir = {authorities}
[mapping]
map_to_user = all nobody:nogroup
[authgroup:all]
all = yes
[lrms]
lrms = fork
[arex]
loglevel = 5
wakeupperiod = {wakeup}
controldir = {control}
sessiondir = {session}
logfile = {run}/arex.log
pidfile = {run}/arex.pid
joblog = {run}/joblog
helperlog = {run}/helper.log
delegationdb = sqlite
maxjobs = {maxjobs}
defaultttl = 604800 2592000
maxrerun = 2
[infosys]
logfile = {run}/infosys.log
[infosys/glue2]
[infosys/cluster]
[queue:fork]
[arex/data-staging]
maxtransfertries = 1
{blocks}
"""
#: The validator of ARC 6.17 refuses the block, so it is in the file only while ours serves.
_OURS: Final = "[arex/service]\nfork_slots = {slots}\nlayout = {layout}\n"


class TooSlow(AssertionError):
    """What should have happened has not."""


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    argv: Sequence[str]
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    def good(self) -> Done:
        assert self.code == 0, f"{' '.join(self.argv)}: exit code {self.code}\n{self.text}"
        return self

    @property
    def jobs(self) -> list[Job]:
        """What an ``arcsub`` has submitted, in order."""
        return [Job(url) for url in _SUBMITTED.findall(self.out)]


@dataclass(frozen=True, slots=True)
class Job:
    url: str

    @property
    def id(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs all this: never root, whose jobs ARC ignores."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> Account:
        entry = pwd.getpwnam(name)
        return cls(name, entry.pw_uid, entry.pw_gid)

    def own(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)


def until(seen: Callable[[], bool], within: float, what: Callable[[], str], pause: float = 0.05) -> None:
    """Wait for something to be true, ``within`` seconds."""
    end = time.monotonic() + within
    while not seen():
        if time.monotonic() > end:
            raise TooSlow(f"not within {within:g} s: {what()}")
        time.sleep(pause)


def has(path: Path, text: str, within: float = 120) -> None:
    """Wait for a file to have this in it."""
    until(lambda: path.exists() and text in path.read_text(errors="replace"), within, lambda: f"no {text!r} in {path}")


@dataclass(slots=True)
class Site:
    """A control directory, a user's home, and at most one daemon of either make."""

    root: Path
    account: Account
    wakeup: int = 5
    maxjobs: str = "-1 -1 -1 -1 -1"
    slots: int = 30
    blocks: str = ""  #: more of ``arc.conf`` for both daemons; ``{run}`` is the directory of what they write
    version: Literal[6, 7] = 6  #: of the programs of ARC; those of 7 want the nested layout
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def control(self) -> Path:
        return self.root / "control"

    @property
    def session(self) -> Path:
        return self.root / "session"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def conf(self) -> Path:
        return self.root / "arc.conf"

    @property
    def pidfile(self) -> Path:
        return self.run / "arex.pid"

    @property
    def layout(self) -> FlatLayout | NestedLayout:
        return FlatLayout(self.control) if self.version == 6 else NestedLayout(self.control)

    def build(self) -> None:
        for path in (self.root, self.run, self.home, self.home / "tmp", self.session):
            path.mkdir(mode=0o755, exist_ok=True)
            self.account.own(path)
        authorities = PLACE / "ca/certificates"
        self.environ = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "USER": self.account.name,
            "LOGNAME": self.account.name,
            "TMPDIR": str(self.home / "tmp"),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "ARC_CONFIG": str(self.conf),
            "X509_CERT_DIR": str(authorities),
            "X509_USER_PROXY": str(PLACE / "ca/proxy/proxy.pem"),
        }
        self.configure()

    def configure(self, more: str = _OURS) -> None:
        """Write ``arc.conf``; ``more`` goes to its end."""
        text = _CONF.format(
            key=PLACE / "ca/userkey.pem",
            certificate=PLACE / "ca/usercert.pem",
            authorities=PLACE / "ca/certificates",
            wakeup=self.wakeup,
            control=self.control,
            session=self.session,
            run=self.run,
            maxjobs=self.maxjobs,
            blocks=self.blocks.format(run=self.run),
        )
        layout = "flat" if self.version == 6 else "nested"
        self.conf.write_text(text + more.format(slots=self.slots, layout=layout))
        self.account.own(self.conf)

    # --- programs -----------------------------------------------------------------------------------------------

    def call(self, *argv: str | Path, within: float = 120, given: str = "", cwd: Path | None = None) -> Done:
        """A program as the user, in the user's home."""
        words = [str(word) for word in argv]
        identity = (self.account.uid, self.account.gid) if os.geteuid() == 0 else None
        done = subprocess.run(
            words,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=within,
            check=False,
            cwd=cwd or self.home,
            env=self.environ,
            umask=0o022,
            user=identity[0] if identity else None,
            group=identity[1] if identity else None,
            extra_groups=[] if identity else None,
        )
        return Done(words, done.returncode, done.stdout, done.stderr)

    def arc(self, program: str, *argv: str | Path, within: float = 120) -> Done:
        """The client of ARC."""
        return self.theirs(f"/usr/bin/{program}", *argv, within=within)

    def theirs(self, *argv: str | Path, within: float = 120) -> Done:
        """A program that comes with ARC."""
        return self.call(*([] if self.version == 6 else [IN_ARC7]), *argv, within=within)

    def arex(self, program: str, *argv: str | Path, within: float = 120, given: str = "") -> Done:
        """The program of ours, from the wheel."""
        return self.call(PLACE / "venv/bin" / program, *argv, within=within, given=given)

    def arc_submit(self, *descriptions: str, name: str = "job", more: Sequence[str] = ("-Q", "NONE")) -> list[Job]:
        """ARC's ``arcsub``, one command for all; files are made in the user's home."""
        files = [self.write(f"{name}{number}.xrsl", text) for number, text in enumerate(descriptions)]
        argv = ["-T", "internal", "-C", "localhost", *more, *(str(file) for file in files)]
        done = self.arc("arcsub", *argv, within=120).good()
        assert len(descriptions) == len(done.jobs), done.text
        return done.jobs

    def submit(self, *descriptions: str, name: str = "own", more: Sequence[str] = ()) -> list[Job]:
        """Our ``arcsub``, which accepts what that of ARC accepts."""
        files = [self.write(f"{name}{number}.xrsl", text) for number, text in enumerate(descriptions)]
        done = self.arex("arcsub", "-S", "local", "--lenient", *more, *files, within=120).good()
        assert len(descriptions) == len(done.jobs), done.text
        return done.jobs

    def write(self, name: str, text: str | bytes, mode: int = 0o644) -> Path:
        """A file in the user's home."""
        path = self.home / name
        for parent in reversed([each for each in path.parents if self.home in each.parents]):
            parent.mkdir(exist_ok=True)
            self.account.own(parent)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        self.account.own(path)
        return path

    # --- daemons ------------------------------------------------------------------------------------------------

    def start_ours(self, more: str = _OURS) -> None:
        self.configure(more)
        self.arex("arex", "start").good()

    def stop_ours(self) -> None:
        self.arex("arex", "stop").good()

    def start_real(self) -> None:
        """ARC's A-REX; it counts as up when it has made its pipe and listens."""
        self.configure("" if self.version == 6 else _OURS)
        self.control.mkdir(mode=0o700, exist_ok=True)
        self.account.own(self.control)
        # what it starts may keep its output open
        output = self.home / "start.log"
        quiet = ("/bin/sh", "-c", 'exec "$@" >"$0" 2>&1 </dev/null', output)
        done = self.theirs(*quiet, "/usr/share/arc/arc-arex-start", within=120)
        assert done.code == 0, output.read_text()
        until(self._real_listens, 120, lambda: f"arched does not come up\n{self.log()}")

    def _real_listens(self) -> bool:
        try:
            os.close(os.open(self.control / "gm.fifo", os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return self.pidfile.exists()

    def stop_real(self) -> None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            self.end(signal.SIGTERM)

    def end(self, number: signal.Signals) -> None:
        """Send the daemon of either make a signal, and wait until it is gone."""
        pid = int(self.pidfile.read_text())
        os.kill(pid, number)
        until(lambda: not Path(f"/proc/{pid}").exists(), 120, lambda: f"the daemon, process {pid}, does not stop")

    def processes(self) -> list[int]:
        """Everything that runs here: it has this home, or works in this place."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is_here(pid)]

    def _is_here(self, pid: int) -> bool:
        try:
            if pid == os.getpid() or os.stat(f"/proc/{pid}").st_uid != self.account.uid:
                return False
            here = f"{self.root}/"
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            return f"ARC_CONFIG={self.conf}".encode() in environ or f"{os.readlink(f'/proc/{pid}/cwd')}/".startswith(
                here
            )
        except OSError:
            return False

    def close(self, *, keep: bool) -> None:
        """End all that runs here, by id; the files go too unless they explain something."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            with contextlib.suppress(TooSlow):
                until(lambda: not self.processes(), 60, lambda: "", pause=0.1)
        if not keep:
            shutil.rmtree(self.root)

    def log(self) -> str:
        """The end of the daemon's log, for messages."""
        path = self.run / "arex.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    # --- what is on disk ----------------------------------------------------------------------------------------

    def file(self, job: Job, suffix: str) -> Path:
        return Path(self.layout.job_file(JobId(job.id), suffix))

    def text(self, job: Job, suffix: str) -> str:
        """A control file of the job; nothing if it isn't there."""
        path = self.file(job, suffix)
        try:
            return path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def keys(self, job: Job, suffix: str) -> list[str]:
        return [line.partition("=")[0] for line in self.text(job, suffix).splitlines()]

    def local(self, job: Job) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.text(job, "local").splitlines() if "=" in line)

    def moves(self, job: Job) -> list[str]:
        """``OLD -> NEW`` of every change of state, in order."""
        return [f"{old} -> {new}" for old, new, _ in _MOVE.findall(self.text(job, "errors"))]

    def status(self, job: Job) -> str:
        """The word in the status file; nothing if there is no such file. A file that just moves is looked for again."""
        for _ in range(3):
            for part in PARTS:
                with contextlib.suppress(FileNotFoundError):
                    return self.status_file(job, part).read_text()
            time.sleep(0.01)
        return ""

    def status_file(self, job: Job, part: str = "processing") -> Path:
        return Path(self.layout.status_file(Place(part), JobId(job.id)))

    def wait(self, jobs: Sequence[Job] | Job, *words: str, within: float = 120) -> None:
        """Until every job has one of these words in its status file."""
        several = [jobs] if isinstance(jobs, Job) else jobs
        until(
            lambda: all(self.status(job) in words for job in several),
            within,
            lambda: "\n".join(self.tell(job) for job in several if self.status(job) not in words),
        )

    def ring(self, job: Job) -> None:
        """Notify the daemon of a change of the job, through ``gm.fifo``."""
        fd = os.open(self.control / "gm.fifo", os.O_WRONLY | os.O_NONBLOCK)
        os.write(fd, job.id.encode() + b"\0")
        os.close(fd)

    def mark(self, job: Job, word: str) -> None:
        """Ask for ``cancel``, ``clean`` or ``restart`` as a client does."""
        path = Path(self.layout.mark_file(JobId(job.id), Mark(word)))
        path.touch(mode=0o600)
        self.account.own(path)
        self.ring(job)

    def adopted(self, job: Job, within: float = 120) -> None:
        """Until a daemon has begun to log about it."""
        until(lambda: bool(self.moves(job)), within, lambda: self.tell(job))

    def gone(self, job: Job, within: float = 120) -> None:
        """Until no file of the job is left, in the control directory or beside it."""
        until(lambda: not self.leftovers(job), within, lambda: f"{self.leftovers(job)}\n{self.tell(job)}")

    def leftovers(self, job: Job) -> list[str]:
        # unlike glob, it does not mind what vanishes meanwhile
        files = [Path(folder, name) for folder, _, names in os.walk(self.control) for name in names]
        own = self.file(job, "local").parent if self.version != 6 else None
        paths = [path for path in files if job.id in path.name or path.parent == own]
        paths += self.session.glob(f"{job.id}*")
        return [str(path) for path in paths]

    def tell(self, job: Job) -> str:
        """All that may explain a job's state."""
        parts = [f"{job.id}: {self.status(job)!r}"]
        parts += [f"--- {suffix}\n{self.text(job, suffix)[-2000:]}" for suffix in ("failed", "local", "errors")]
        return "\n".join(parts)

    def output(self, job: Job, name: str) -> str:
        return (self.session / job.id / name).read_text(errors="replace")


@contextlib.contextmanager
def site(account: Account, name: str, failed: Callable[[], bool], **settings: object) -> Iterator[Site]:
    """A place with nothing in it yet. It stays behind if ``failed`` says so at the end."""
    root = Path(tempfile.mkdtemp(prefix=f"arex-{name}-", dir=os.environ.get("AREX_BENCH_DIR", "/var/tmp")))
    here = Site(root, account, **settings)  # type: ignore[arg-type]
    here.build()
    try:
        yield here
    finally:
        here.close(keep=failed())
        if failed():
            print(f"\nkept for you to look at: {root}")
