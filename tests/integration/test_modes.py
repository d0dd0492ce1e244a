"""Files that the service and the clients make, and streams that their callers have closed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import stat
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.trees import everything_below

ROOT = Path(__file__).parents[2]
#: Other accounts may read these.
PUBLIC = {"run/arex.pid"}


@dataclass
class Host:
    """A home with a configuration; programs run in a shell, with a umask and redirections."""

    home: Path
    umask: int = 0o022

    def line(self, program: str, *args: str, streams: str = "") -> str:
        call = shlex.join([sys.executable, "-c", f"from arex.cli import entry; entry.{program}()", *args])
        return f"umask {self.umask:o}; exec {call} {streams}"

    async def start(self, program: str, *args: str, streams: str = "") -> asyncio.subprocess.Process:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("X509", "ARC_", "BEARER"))},
            "HOME": str(self.home),
            "ARC_CONFIG": str(self.home / "arc.conf"),
            "PYTHONPATH": str(ROOT),
        }
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            "sh", "-c", self.line(program, *args, streams=streams),
            cwd=self.home, env=environment, stdout=pipe, stderr=pipe,
        )  # fmt: skip

    async def run(self, program: str, *args: str) -> str:
        process = await self.start(program, *args)
        out, err = await process.communicate()
        assert process.returncode == 0, (out, err)
        return out.decode()

    @asynccontextmanager
    async def service(self, streams: str = "") -> AsyncIterator[None]:
        process = await self.start("arex", "run", "--allow-root", streams=streams)
        while not (self.home / "run" / "arex.pid").exists():
            assert process.returncode is None, await process.communicate()
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            process.terminate()
            _, err = await process.communicate()
        assert process.returncode == 0, err.decode()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "arc.conf").write_text(
        f"[common]\n[lrms]\nlrms=fork\n[arex]\ncontroldir={tmp_path}/ctl\nsessiondir={tmp_path}/session\n"
        f"logfile={tmp_path}/run/arex.log\npidfile={tmp_path}/run/arex.pid\njoblog={tmp_path}/run/jobs.log\n"
        f"[arex/service]\nfork_slots=4\n[queue:q1]\n"
    )
    return Host(tmp_path)


def modes(paths: Iterable[Path], home: Path) -> dict[str, int]:
    """Of all that is no link, but for what the service has removed meanwhile."""
    found = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode) and not path.is_relative_to(home / "target"):
                found[str(path.relative_to(home))] = stat.S_IMODE(mode)
    return found


@pytest.mark.parametrize("layout", ["flat", "nested"])
@pytest.mark.parametrize("umask", [0o000, 0o022])
async def test_only_their_owner_can_read_what_service_and_clients_make(host: Host, umask: int, layout: str) -> None:
    """A session directory protects what the payload makes in it; its modes are the payload's own."""
    host.umask = umask
    conf = host.home / "arc.conf"
    conf.write_text(conf.read_text().replace("fork_slots=4", f"fork_slots=4\nlayout={layout}"))
    for name in ("data", "far"):
        (host.home / name).write_text("1")
    (host.home / "target").mkdir()
    before = {*everything_below(host.home)}
    text = (
        '&(executable=/bin/sh)(arguments="-c" "echo $PASSWORD; echo 1 > sent")(stdout=out.txt)(gmlog=log)'
        f'(environment=(PASSWORD hunter2))(inputfiles=(data data)(again "file://{host.home}/far"))'
        f'(outputfiles=(sent "file://{host.home}/target/sent")(out.txt ""))'
    )

    async with host.service():
        await host.run("arcsub", "--wait", "-e", text)
        running = await host.start("arcsub", "-e", "&(executable=/bin/sleep)(arguments=100)")
        assert 0 == await running.wait()
        while not {"info.xml", "script"} <= {path.name for path in everything_below(host.home)}:
            await asyncio.sleep(0.01)
        made = modes({*everything_below(host.home)} - before, host.home)
        assert b"hunter2" in (host.home / ".arc" / "jobs.dat").read_bytes()
        await host.run("arcget", "-a", "-s", "Finished")
        await host.run("arckill", "-a")

    inside = {
        name for name in made if name.count("/") > 1 and name.startswith("session/") and "." not in name.split("/")[1]
    }
    wide = {name: oct(mode) for name, mode in made.items() if name not in inside and mode & 0o077}
    assert {} == {name: mode for name, mode in wide.items() if name not in PUBLIC}
    assert not any(int(mode, 8) & 0o022 for mode in wide.values())
    assert {"session", ".arc", "ctl"} <= {name.split("/")[0] for name in made}


@pytest.mark.parametrize("streams", ["2>&-", "<&- >&- 2>&-", "2>/dev/null"])
async def test_a_service_whose_output_no_one_can_see_writes_its_log(host: Host, streams: str) -> None:
    async with host.service(streams):
        await host.run("arcsub", "--wait", "-e", "&(executable=/bin/true)")

    assert "serving" in (host.home / "run" / "arex.log").read_text()
