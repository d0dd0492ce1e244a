"""
Thirty jobs of every kind through our service, whose daemon is killed twice meanwhile: the same for any batch system.

The programs of the batch system are called through a line of shell that counts the calls.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.clusters.site import CHECKOUT, Cluster, Done, End, Site, install, remove, until

ALIKE: Final = 14  #: jobs of one shape
_WAIT: Final = "exec sleep 600"
_TOO_MUCH: Final = "count=1000"  #: it waits for so many slots without end


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A batch system that was started with a script of ``tools/clusters``."""

    name: str
    script: str
    user: str  #: as whom the service runs
    conf: str  #: lines of ``[lrms]``; ``{bin}`` is where its programs are
    queue: str
    programs: tuple[str, ...]  #: the first submits
    jobs: tuple[str, ...]  #: lists all jobs
    list_is_empty: str  #: as a regular expression of what that prints if there are none
    cancel: str
    shared: bool = False  #: its jobs see nothing but ``AREX_SHARED``
    unseen: bool = False  #: and there neither what is below ``unseen``, where the service is
    arex: str = ""  #: lines of ``[arex]``

    def that_is_up(self) -> Cluster:
        """Its environment."""
        path = CHECKOUT / "tools/clusters" / self.script
        done = subprocess.run(["sh", path, "env"], capture_output=True, text=True, check=False)
        found = dict(re.findall(r"^export (\w+)='([^']*)'", done.stdout, re.MULTILINE))
        place = re.search(r"^export PATH='([^']*)'", done.stdout, re.MULTILINE)
        advice = f"{self.name} is not up: start it with `sh tools/clusters/{self.script} up`"
        assert place is not None, f"{advice}\n{done.stderr}"
        assert Path(place[1], self.programs[0]).exists(), advice
        cluster = Cluster({**os.environ, **found, "PATH": f"{place[1]}:{os.environ['PATH']}"})
        ping = cluster.run(*self.jobs)
        assert ping.code == 0, f"{advice}\n{ping.out}{ping.err}"
        return cluster


@dataclass(slots=True)
class Service(Site):
    """A site whose batch system is any."""

    system: System | None = None

    def build(self) -> None:
        assert self.system is not None
        system = self.system
        home, programs = self.root / "home", self.root / "bin"
        home.mkdir()
        programs.mkdir()
        (programs / "calls").touch()
        for name in system.programs:
            real = shutil.which(name, path=self.cluster.environ["PATH"])
            first = f"[ ! -e {programs}/before-{name} ] || . {programs}/before-{name}"
            (programs / name).write_text(f'#!/bin/sh\necho {name} >>{programs}/calls\n{first}\nexec {real} "$@"\n')
            (programs / name).chmod(0o755)
        self.environ = {
            **{name: value for name, value in self.cluster.environ.items() if re.match(r"SGE_|CONDOR_", name)},
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "USER": self.user,
            "LC_ALL": "C.UTF-8",
            "ARC_CONFIG": str(self.root / "arc.conf"),
        }
        (self.root / "arc.conf").write_text(
            f"[common]\nhostname=localhost\n[arex]\ncontroldir={self.control}\nsessiondir={self.session}\n"
            f"pidfile={self.root}/arex.pid\nlogfile={self.root}/arex.log\njoblog={self.root}/jobs.log\n"
            f"wakeupperiod=5\n{system.arex}[arex/service]\nallow_root=yes\nscan_period=1\nrecord_wait=5\nlrms_calls=600\n"
            f"[lrms]\n{system.conf.format(bin=programs)}{self.more}[queue:{system.queue}]\n"
        )
        self.log.touch()
        entry = pwd.getpwnam(self.user)
        for path in (self.root, *self.root.iterdir(), *programs.iterdir()):
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def listing(self) -> Done:
        assert self.system is not None
        return self.cluster.run(*self.system.jobs)

    def empty(self) -> bool:
        assert self.system is not None
        return re.fullmatch(self.system.list_is_empty, self.listing().good().out) is not None

    def tell(self, job: str) -> str:
        parts = [f"{job}: {self.state(job)!r}"]
        parts += [f"--- {each}\n{self.text(job, each)[-1500:]}" for each in ("failed", "errors")]
        parts.append(f"--- evidence\n{self.evidence_text(job)}")
        return "\n".join([*parts, "--- the daemon", self.said(), self.listing().out])

    def calls(self) -> Counter[str]:
        return Counter((self.root / "bin/calls").read_text().split())

    def submits(self) -> int:
        """Calls of the command that submits."""
        assert self.system is not None
        return self.calls()[self.system.programs[0]]

    def crash(self) -> None:
        """The daemon is killed, and started again."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait(120)
        self.start()

    @property
    def ran(self) -> Path:
        """Where jobs leave their lines; they can all write there."""
        assert self.system is not None
        if not self.system.unseen:
            return self.root / "home/runs"
        return Path(self.cluster.environ["AREX_SHARED"], f"{self.root.name}.runs")

    def described(self) -> int:
        """Jobs until now; the next one's program has this number."""
        return len(list((self.root / "home").glob("program*")))

    def describe(self, body: str, *wishes: str, executable: str = "") -> str:
        """A job that first leaves its line in ``runs``; the line is the program's name."""
        program = self.root / "home" / f"program{self.described()}"
        program.write_text(f"#!/bin/sh\necho {program.name} >>{self.ran}\n{body}\n")
        program.chmod(0o755)
        own = f'(executable="{executable or program}")(stdout="out")(stderr="err")(jobname="{program.name}")'
        if self.system is not None and self.system.unseen and not executable:
            own = own.replace(f"{program}", program.name) + f'(inputfiles=("{program.name}" "{program}"))'
        return f"&{own}{''.join(f'({wish})' for wish in wishes)}"

    def submit_all(self, descriptions: list[str]) -> list[str]:
        """In one call; their ids, in that order."""
        words = [word for each in descriptions for word in ("-e", each)]
        done = self.call("arcsub", *words, within_s=240).good()
        jobs = [str(job) for job in re.findall(r"jobid: \S*?([^/\s]+)$", done.out, re.MULTILINE)]
        assert len(descriptions) == len(jobs), done.out
        return jobs

    def runs_of(self) -> Counter[str]:
        return Counter(self.ran.read_text().split()) if self.ran.exists() else Counter()


@contextlib.contextmanager
def serving(system: System) -> Iterator[Service]:
    """A running service; nothing of it is left afterwards, in the batch system neither."""
    cluster = system.that_is_up()
    install()
    place = Path(cluster.environ["AREX_SHARED"], "unseen" if system.unseen else "") if system.shared else None
    root = Path(tempfile.mkdtemp(prefix="arex-thirty-", dir=place))
    service = Service(root, system.user, cluster, system=system)
    try:
        service.build()
        service.start()
        yield service
    finally:
        service.stop()
        left = [localid for path in service.control.glob("job.*.local") if (localid := service.localid(_id(path)))]
        if left:
            cluster.run(system.cancel, *left)
        remove(root)
        if system.unseen:
            service.ran.unlink(missing_ok=True)


def _id(path: Path) -> str:
    return path.name.removeprefix("job.").removesuffix(".local")


#: How many, of what, and what its owner sees: the cause, and a part of ``job.ID.failed``.
KINDS: Final[dict[str, tuple[int, str, str]]] = {
    "alike": (ALIKE, "exit code", ""),
    "exit 3": (3, "exit code", r"LRMS error: \(3\) Job finished with wrong exit code - 3 != 0"),
    "signal": (2, "signal", r"LRMS error: \(139\) Job finished with wrong exit code - 139 != 0: signal 11"),
    "queued": (3, "cancelled", ""),
    "running": (3, "cancelled", ""),
    "walltime": (2, "walltime", r"Job timeout"),
    "missing": (3, "never started", r"LRMS error: \(-1\) Job failed: never started"),
}


def describe(service: Service, kind: str) -> str:
    match kind:
        case "alike":
            return service.describe("exit 0")
        case "exit 3":
            return service.describe("exit 3", 'walltime="9 minutes"')
        case "signal":
            return service.describe("kill -SEGV $$", 'walltime="8 minutes"')
        case "queued":
            return service.describe(_WAIT, _TOO_MUCH)
        case "running":
            return service.describe(_WAIT, 'walltime="20 minutes"')
        case "walltime":
            return service.describe(_WAIT, 'walltime="10 seconds"')
        case _:
            return service.describe("", 'walltime="7 minutes"', executable="/no/such/program")


def thirty(service: Service) -> None:
    """Nothing is lost, nothing runs twice, and every owner gets the reason."""
    first, before = service.described(), service.submits()
    kinds = [kind for kind, (count, _, _) in KINDS.items() for _ in range(count)]
    jobs = dict(zip(service.submit_all([describe(service, kind) for kind in kinds]), kinds, strict=True))
    until(lambda: service.submits() > before, 240, service.said)
    service.crash()  # with submissions under way
    for job, kind in jobs.items():
        if kind == "running":
            service.runs(job, 240)
    service.crash()
    doomed = [job for job, kind in jobs.items() if kind in {"queued", "running"}]
    for job in doomed:
        service.submitted(job)
    service.call("arckill", "-k", *doomed, within_s=240).good()

    ends = {job: service.end(job, 300) for job in jobs}

    for job, kind in jobs.items():
        _check(service, job, kind, ends[job])
    wanted = {f"program{number}": int(kind not in {"queued", "missing"}) for number, kind in enumerate(kinds, first)}
    ran = service.runs_of()  # with those of tests before this one
    strange = {name: (ran[name], times) for name, times in wanted.items() if ran[name] != times}
    assert not strange, f"ran, and should have: {strange}"
    cost = service.submits() - before
    assert cost <= len(KINDS) + 4, f"{len(kinds)} jobs of {len(KINDS)} shapes cost {cost} calls to submit"
    until(service.empty, 240, lambda: service.listing().out)


def _check(service: Service, job: str, kind: str, end: End) -> None:
    _, cause, failed = KINDS[kind]
    assert cause == end.cause, f"{kind}\n{service.tell(job)}"
    assert re.search(failed, end.failed), f"{kind}\n{service.tell(job)}"
    assert bool(end.failed) == (kind != "alike"), f"{kind}\n{service.tell(job)}"


def could_not_start(service: Service) -> End:
    """A job whose output can't be opened; it has left the queue."""
    assert service.system is not None
    service.stop()
    [job] = service.submit_all([service.describe("exit 0")])
    comment = service.session / f"{job}.comment"
    before = service.root / "bin" / f"before-{service.system.programs[0]}"
    before.write_text(f"ln -sf /no/such/place/file {comment}\n")
    service.start()

    end = service.end(job, 300)

    assert "never started" == end.cause, service.tell(job)
    until(service.empty, 240, lambda: service.listing().out)
    return end
