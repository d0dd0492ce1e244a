"""Our service in front of a SLURM that runs on this machine, with the programs that its users and admins have."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

CHECKOUT: Final = Path(__file__).parents[2]
SLURM: Final = CHECKOUT / "tools/clusters/slurm.sh"
#: Our programs where an ordinary account can read them.
PLACE: Final = Path(f"/var/tmp/arex-clusters-{os.geteuid()}")
#: Who submits jobs beside root. Source: tools/clusters/lib.sh.
ACCOUNT: Final = os.environ.get("AREX_TEST_USER", "arexinterop")
_PARTS: Final = ("processing", "accepting", "restarting", "finished")
_QUEUES: Final = ("main", "short", "low", "high", "nowhere")
#: A job of this queue can't end in time, so SLURM ends it before it begins; SLURM has no queue "nowhere".
_WISHES: Final = {"short": "slurm_requirements=--deadline=now+20 --time=1\n"}


def until(seen: Callable[[], object], within_s: float, what: Callable[[], str]) -> None:
    limit = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < limit, f"not within {within_s:g} s: {what()}"
        time.sleep(0.1)


def install() -> None:
    """This checkout's wheel at ``PLACE``, and the account."""
    words = ("sh", str(CHECKOUT / "tools/interop-setup.sh"), str(CHECKOUT / ".venv"), str(PLACE))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"tools/interop-setup.sh failed:\n{done.stdout}{done.stderr}"


@dataclass(frozen=True, slots=True)
class Done:
    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    def good(self) -> Done:
        assert self.code == 0, f"{shlex.join(self.argv)}: exit code {self.code}\n{self.out}{self.err}"
        return self


@dataclass(frozen=True, slots=True)
class Cluster:
    """A SLURM, and how its script and its programs are called: as root."""

    environ: Mapping[str, str]

    @classmethod
    def that_is_up(cls, more: Mapping[str, str] | None = None) -> Cluster:
        environ = {**os.environ, **(more or {})}
        done = subprocess.run(["sh", str(SLURM), "env"], env=environ, capture_output=True, text=True, check=False)
        found = re.search(r"SLURM_CONF='?([^';\n]+)'?", done.stdout)
        advice = "there is no SLURM here: start it with `sh tools/clusters/slurm.sh up`"
        assert found is not None, f"{advice}\n{done.stderr}"
        assert Path(found[1]).exists(), advice
        cluster = cls({**environ, "SLURM_CONF": found[1]})
        ping = cluster.run("scontrol", "ping")
        assert ping.code == 0, f"{advice}\n{ping.out}{ping.err}"
        return cluster

    def run(self, *argv: str, within_s: float = 240) -> Done:
        done = subprocess.run(
            argv, env=dict(self.environ), capture_output=True, text=True, timeout=within_s, check=False, cwd="/"
        )
        return Done(argv, done.returncode, done.stdout, done.stderr)

    def tool(self, *words: str) -> None:
        """``slurm.sh``: ``kill-node n3``."""
        self.run("sh", str(SLURM), *words, within_s=120).good()

    def setting(self, name: str) -> str:
        """One of ``scontrol show config``; empty if there is none."""
        found = re.search(rf"^{name} *= (.*)$", self.run("scontrol", "show", "config").good().out, re.MULTILINE)
        return "" if found is None else found[1]

    def shows(self, localid: str) -> dict[str, str]:
        """``scontrol -o show job``, as keys and values."""
        out = self.run("scontrol", "-o", "show", "job", localid).good().out
        return dict(re.findall(r"(?:^|\s)([A-Z][\w/:]*)=(.*?)(?=\s[A-Z][\w/:]*=|\s*$)", out))


@dataclass(slots=True)
class Site:
    """A control directory, session directories and a daemon, all of one account and in one place."""

    root: Path
    user: str
    cluster: Cluster
    more: str = ""  #: lines of ``[lrms]`` and whatever follows
    daemon: subprocess.Popen[bytes] | None = None
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def control(self) -> Path:
        return self.root / "control"

    @property
    def session(self) -> Path:
        return self.root / "session"

    @property
    def log(self) -> Path:
        return self.root / "daemon.out"

    def build(self) -> None:
        home = self.root / "home"
        home.mkdir()
        self.environ = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "USER": self.user,
            "LC_ALL": "C.UTF-8",
            "ARC_CONFIG": str(self.root / "arc.conf"),
            "SLURM_CONF": self.cluster.environ["SLURM_CONF"],
        }
        queues = "".join(f"[queue:{name}]\n{_WISHES.get(name, '')}" for name in _QUEUES)
        (self.root / "arc.conf").write_text(
            f"[common]\nhostname=localhost\n[arex]\ncontroldir={self.control}\nsessiondir={self.session}\n"
            f"pidfile={self.root}/arex.pid\nlogfile={self.root}/arex.log\njoblog={self.root}/jobs.log\n"
            "wakeupperiod=5\n[arex/service]\nallow_root=yes\nscan_period=1\nrecord_wait=5\narray=no\nlrms_calls=600\n"
            f"[lrms]\nlrms=slurm main\n{self.more}{queues}"
        )
        self.log.touch()
        entry = pwd.getpwnam(self.user)
        for path in (self.root, *self.root.iterdir()):
            os.chown(path, entry.pw_uid, entry.pw_gid)

    # --- the daemon ---

    def start(self) -> None:
        argv = [str(PLACE / "venv/bin/arex"), "run"]
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                argv, stdout=log, stderr=log, cwd=self.root, env=self.environ, umask=0o077, **self._identity()
            )
        fifo = self.control / "gm.fifo"
        until(lambda: self.daemon and (self.daemon.poll() is not None or fifo.exists()), 120, self.said)
        assert self.daemon.poll() is None, self.said()

    def stop(self) -> None:
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(120)
            self.daemon = None

    def _identity(self) -> dict[str, Any]:
        entry = pwd.getpwnam(self.user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []} if os.geteuid() != entry.pw_uid else {}

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    # --- what its user does ---

    def call(self, program: str, *argv: str, within_s: float = 240) -> Done:
        """One of our programs, as the user."""
        words = (str(PLACE / "venv/bin" / program), *argv)
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
            cwd=self.environ["HOME"],
            env=self.environ,
            umask=0o077,
            **self._identity(),
        )
        return Done(words, done.returncode, done.stdout, done.stderr)

    def submit(self, script: str, *wishes: str) -> str:
        """A job whose program is this shell script; its id."""
        return self.submit_program(self.program(f"#!/bin/sh\n{script}\n"), *wishes)

    def program(self, text: str) -> Path:
        """Something to run, with nothing in it that the job script would expand."""
        path = self.root / "home" / f"program{len(list((self.root / 'home').glob('program*')))}"
        path.write_text(text)
        path.chmod(0o755)
        return path

    def submit_program(self, program: Path, *wishes: str) -> str:
        own = f'(executable="{program}")(stdout="out")(stderr="err")'
        done = self.call("arcsub", "-e", f"&{own}{''.join(f'({wish})' for wish in wishes)}").good()
        [job] = re.findall(r"jobid: \S*?([^/\s]+)$", done.out, re.MULTILINE)
        return str(job)

    # --- what is on disk ---

    def text(self, job: str, suffix: str) -> str:
        """A control file of the job; nothing if it isn't there."""
        with contextlib.suppress(FileNotFoundError):
            return (self.control / f"job.{job}.{suffix}").read_text(errors="replace")
        return ""

    def evidence_text(self, job: str) -> str:
        """``SESSION.lrms/evidence``; nothing if it isn't there."""
        with contextlib.suppress(FileNotFoundError):
            return (self.session / f"{job}.lrms/evidence").read_text(errors="replace")
        return ""

    def state(self, job: str) -> str:
        for _ in range(3):
            for part in _PARTS:
                with contextlib.suppress(FileNotFoundError):
                    return (self.control / part / f"job.{job}.status").read_text()
        return ""

    def localid(self, job: str) -> str:
        found = re.search(r"^localid=(.+)$", self.text(job, "local"), re.MULTILINE)
        return "" if found is None else found[1].strip()

    def reaches(self, job: str, state: str, within_s: float = 240) -> None:
        until(lambda: self.state(job) == state, within_s, lambda: f"{job} is not {state}\n{self.tell(job)}")

    def submitted(self, job: str) -> str:
        """Its local id, as soon as it has one."""
        until(lambda: self.localid(job), 240, lambda: self.tell(job))
        return self.localid(job)

    def runs(self, job: str, within_s: float = 240) -> str:
        """Wait until the script has taken its mark; the local id."""
        localid = self.submitted(job)
        until(lambda: list(self.session.glob(f"{job}.lrms/*/started")), within_s, lambda: self.tell(job))
        return localid

    def kill(self, localid: str) -> None:
        """SIGKILL to all of a job, the script before it sees the end of what it has started."""
        marks = (f"SLURM_JOB_ID={localid}".encode(), f"SLURM_CONF={self.environ['SLURM_CONF']}".encode())
        found = [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _has(entry / "environ", *marks)]
        assert found, f"no process of job {localid}"
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                with contextlib.suppress(ProcessLookupError):  # it ended by itself
                    os.kill(pid, number)

    def end(self, job: str, within_s: float = 240) -> End:
        """How it has ended; its owner is shown the same."""
        self.reaches(job, "FINISHED", within_s)
        evidence = re.findall(r"^(\w+)=(.*)$", self.evidence_text(job), re.MULTILINE)
        end = End(cause=dict(evidence).get("cause", ""), failed=self.text(job, "failed"), evidence=tuple(evidence))
        shown = self.call("arcstat", "-l", job).good().out
        assert end.failed.partition("\n")[0] in shown, shown
        return end

    def tell(self, job: str) -> str:
        """All that may explain a job's state."""
        parts = [f"{job}: {self.state(job)!r}"]
        parts += [f"--- {each}\n{self.text(job, each)[-1500:]}" for each in ("failed", "errors")]
        parts.append(f"--- evidence\n{self.evidence_text(job)}")
        return "\n".join([*parts, "--- the daemon", self.said(), self.cluster.run("squeue", "-a", "-t", "all").out])


@dataclass(frozen=True, slots=True)
class End:
    """How a job has ended, as its owner sees it."""

    cause: str
    failed: str
    evidence: tuple[tuple[str, str], ...]


@contextlib.contextmanager
def serving(cluster: Cluster, user: str, more: str = "") -> Iterator[Site]:
    """A running service; nothing of it is left afterwards, in SLURM neither."""
    root = Path(tempfile.mkdtemp(prefix="arex-slurm-", dir="/var/tmp"))
    site = Site(root, user, cluster, more)
    try:
        site.build()
        site.start()
        yield site
    finally:
        if site.daemon is not None and site.daemon.poll() is None:
            site.daemon.send_signal(signal.SIGTERM)
            site.daemon.wait(120)
        if left := {localid for job in site.control.glob("job.*.local") if (localid := site.localid(_id(job)))}:
            cluster.run("scancel", *sorted(left))
        remove(root)


def remove(root: Path) -> None:
    """Jobs that are being cancelled may still write there."""

    def removed() -> bool:
        shutil.rmtree(root, ignore_errors=True)
        return not root.exists()

    until(removed, 120, lambda: f"files come again in {root}")


def _has(path: Path, *lines: bytes) -> bool:
    try:
        return set(lines) <= set(path.read_bytes().split(b"\0"))
    except OSError:
        return False


def _id(path: Path) -> str:
    return path.name.removeprefix("job.").removesuffix(".local")
