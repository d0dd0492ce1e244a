"""A session directory that HTCondor moves: copies play its part, the job script and the rest are real."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.ports import LocalJob, Submission
from lrms.attempt.record import Done, read_done
from lrms.htcondor import files
from lrms.htcondor.files import Link
from lrms.jobscript.script import job_script
from lrms.jobscript.settings import RuntimeScript, ScriptMode, ScriptSettings

BEGAN = (
    "000 (12.000.000) 2030-01-01 00:00:00 Job submitted\n...\n001 (12.000.000) 2030-01-01 00:00:01 Job executing\n...\n"
)
RETURNED = f"{BEGAN}005 (12.000.000) 2030-01-01 00:00:02 Job terminated.\n...\n"


@dataclass
class Moved:
    """One attempt, and the two machines that it is on."""

    root: Path
    payload: str
    grami: dict[str, object] = field(default_factory=dict)
    runtimes: tuple[RuntimeScript, ...] = ()

    def __post_init__(self) -> None:
        self.session = self.root / "front/abc"
        self.session.mkdir(parents=True)
        self.add("program", f"#!/bin/sh\n{self.payload}\n", 0o700)
        base = Grami(
            gridid=JobId("abc"),
            directory=self.session,
            controldir=self.root,
            args=("./program",),
            stdout=f"{self.session}/out",
            stderr=f"{self.session}/err",
        )
        self.submission = Submission(
            job=JobId("abc"),
            tag=Tag("abc-1f"),
            grami=replace(base, **self.grami),  # type: ignore[arg-type]
            rundir=self.root / "front/abc.lrms/abc-1f",
        )
        self.rundir = self.submission.rundir
        self.rundir.mkdir(parents=True)
        self.node = self.root / "node"

    def add(self, name: str, text: str, mode: int = 0o600) -> None:
        path = self.session / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    @property
    def inside(self) -> LocalJob:
        """As the service asks about it."""
        return LocalJob(
            job=JobId("abc"),
            localid=LocalId("12.0"),
            tag=self.submission.tag,
            session=self.session,
            rundir=self.rundir,
        )

    def send(self, *caches: Link) -> str:
        """What HTCondor does: links to files are followed, directories and modes stay what they are."""
        files.lay_out(self.rundir, self.session, caches)
        key = files.claim(self.rundir).key
        shutil.copytree(self.rundir / f"in.{key}", self.node)
        return key

    def run(self, **environ: str) -> int:
        """On a node that has nothing of the front end: what is there is not to be found meanwhile."""
        mode = ScriptMode.SANDBOX
        settings = ScriptSettings(mode=mode, localid_words='"$AREX_LOCALID"', nodes=("node1",), system="Linux")
        script = job_script(self.submission, settings, self.runtimes)
        (self.node / "script").write_bytes(os.fsencode(script))
        hidden = self.root / "hidden"
        (self.root / "front").rename(hidden)
        words = {"PATH": os.environ["PATH"], "AREX_LOCALID": "12.0", "_CONDOR_SCRATCH_DIR": str(self.node), **environ}
        with (self.root / "printed").open("wb") as printed:
            done = subprocess.run(
                ["/bin/sh", "script"], cwd=self.node, env=words, stdout=printed, stderr=printed, check=False
            )
        hidden.rename(self.root / "front")
        return done.returncode

    def bring(self, key: str, story: str = RETURNED) -> None:
        shutil.copytree(self.node / "back", self.rundir / "back")
        (self.rundir / f"log.{key}").write_text(story)

    def travel(self) -> None:
        key = self.send()
        self.run()
        self.bring(key)

    def all(self, *caches: Link, **environ: str) -> Done:
        key = self.send(*caches)
        self.run(**environ)
        self.bring(key)
        assert files.take_in(self.rundir, self.session)
        return self.done()

    def done(self) -> Done:
        done = read_done(self.rundir / "done")
        assert done is not None
        return done

    def printed(self) -> str:
        return (self.root / "printed").read_text(errors="replace")


def tree(root: Path) -> Mapping[str, str]:
    """Names to what they are."""
    found = {}
    for directory, directories, names in os.walk(root):
        for name in directories + names:
            path = Path(directory, name)
            info = path.lstat()
            if path.is_symlink():
                what = f"to {os.readlink(path)}"
            elif path.is_dir():
                what = f"directory {stat.S_IMODE(info.st_mode):o}"
            else:
                what = f"{stat.S_IMODE(info.st_mode):o} {path.read_text()!r}"
            found[str(path.relative_to(root))] = what
    return found
