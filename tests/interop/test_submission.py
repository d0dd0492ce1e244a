"""What our ``arcsub`` leaves in the control directory is what that of ARC 6.17 leaves: same files, modes and bytes."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.interop.grid import Account, Job, Site, site
from tests.interop.jobs import DESCRIPTIONS, HELLO, PUSH

UPLOAD = (
    '&(executable="run.sh")(stdin="in.txt")(stdout="out.txt")(stderr="err.txt")'
    '(inputFiles=("in.txt" "HOME/in.txt")("run.sh" "HOME/run.sh"))(outputFiles=("res/" "")("a b" ""))'
)
FETCH = (
    '&(executable="/bin/cat")(arguments="in.txt")(stdout="out.txt")(inputFiles=("in.txt" "http://localhost:1/in.txt"))'
)
KINDS = {
    "hello": HELLO,
    "push": PUSH,
    "upload": UPLOAD,
    "fetch": FETCH,
    **{
        name: (DESCRIPTIONS / f"{name}.xrsl").read_text(encoding="utf-8")
        for name in ("options", "resources", "strings", "join", "dataonly")
    },
}
_TIME = re.compile(r"20[0-9]{12}Z")


@dataclass(frozen=True)
class Written:
    """A submission as it lies on disk."""

    texts: dict[str, str]
    modes: dict[str, int]


@pytest.fixture(scope="module")
def idle(account: Account, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A directory that a daemon has made and left."""
    with site(account, "idle", lambda: bool(request.session.testsfailed)) as here:
        here.start_ours()
        here.stop_ours()
        here.pidfile.touch()
        here.account.own(here.pidfile)
        here.write("in.txt", "in\n")
        here.write("stdin.txt", "in\n")
        here.write("run.sh", "#!/bin/sh\ncat\n", mode=0o755)
        yield here


def written(here: Site, job: Job) -> Written:
    paths = {path.name.replace(job.id, "ID"): path for path in here.control.rglob(f"job.{job.id}.*")}
    paths |= {f"session/{path.name}": path for path in (here.session / job.id).iterdir()}
    texts = {name: normal(path.read_text(errors="replace"), job) for name, path in paths.items()}
    modes = {name: stat.S_IMODE(path.stat().st_mode) for name, path in paths.items()}
    return Written(texts, modes | {"session": stat.S_IMODE((here.session / job.id).stat().st_mode)})


def normal(text: str, job: Job) -> str:
    text = re.sub(r"(?m)^(delegationid=|.*DelegationID>)[0-9a-f]{12}", r"\1DELEGATION", text)
    text = re.sub(r"(?m)^lifetime=.*$", "lifetime=SECONDS", text)  # 6.17 writes one raw byte (defect 2)
    if "PRIVATE KEY" in text:
        return "a proxy"
    return _TIME.sub("TIME", text.replace(job.id, "ID"))


@pytest.fixture(params=sorted(KINDS))
def pair(idle: Site, request: pytest.FixtureRequest) -> tuple[Written, Written]:
    """Theirs, ours."""
    text = KINDS[request.param].replace("HOME", str(idle.home)).replace("q1", "fork")
    text = text.replace("<Content>x<", '<Content><gacl version=""0.0.1""/><')
    [theirs] = idle.arc_submit(text, name=f"theirs-{request.param}")
    [ours] = idle.submit(text, name=f"ours-{request.param}")
    return written(idle, theirs), written(idle, ours)


def test_the_same_files_with_the_same_modes_and_bytes(pair: tuple[Written, Written]) -> None:
    """But for one: our client keeps the executable bit of what it copies, which the daemon sets later anyway."""
    theirs, ours = pair
    ours.modes.update({name: mode & 0o677 for name, mode in ours.modes.items() if name.startswith("session/")})

    assert theirs.modes == ours.modes
    assert theirs.texts == ours.texts
