"""The job script runs the payload in a container."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import lrms
from arex.model.grami import RunTime
from lrms.jobscript.runtimes import Runtimes
from lrms.jobscript.settings import ScriptSettings
from tests.contract.jobscript.script import ALONE, Ran, a_submission, run

#: Says how it was called, and which directories it was to show.
FAKE_TOOL = '#!/bin/sh\necho "${0##*/}"; for word; do printf "<%s>" "$word"; done; echo\n'


async def in_container(root: Path, image: str, *tools: str, how: ScriptSettings = ALONE) -> Ran:
    """A job with ENV/SINGULARITY on a node that has these container programs."""
    enabled = root / "control" / "rte" / "enabled" / "ENV"
    enabled.mkdir(parents=True)
    (enabled / "SINGULARITY").symlink_to(Path(lrms.__file__).parent / "rte" / "ENV" / "SINGULARITY")
    bin_dir = root / "bin"
    bin_dir.mkdir()
    for name in ("cat", "date", "env", "id", "mkdir", "mv", "readlink", "rm", "sed", "sh"):
        (bin_dir / name).symlink_to(shutil.which(name) or name)
    for name in tools:
        (bin_dir / name).write_text(FAKE_TOOL)
        (bin_dir / name).chmod(0o700)
    submission = a_submission(
        root, "/bin/x", 'it\'s "$HOME"', runtimes=(RunTime(name="ENV/SINGULARITY", options=(image,)),)
    )
    [ready], refused = await Runtimes().prepare([submission])
    assert refused == {}
    return run(
        ready, how, ready.runtimes, settled=ready.settled, PATH=f"{bin_dir}:/usr/bin:/bin" if tools else f"{bin_dir}"
    )


@pytest.mark.parametrize("tool", ["apptainer", "singularity"])
async def test_a_container_is_run_by_the_first_program_that_the_node_has(tmp_path: Path, tool: str) -> None:
    ran = await in_container(tmp_path, "/images/o'ne", tool, "podman", "bwrap")

    home = ran.submission.grami.directory
    assert ran.file("out.txt") == f"{tool}\n<exec><--home><{home}></images/o'ne></bin/x><it's \"{home}\">\n"
    assert "wninstance=/images/o'ne" in ran.diag


async def test_podman_gets_the_environment_of_the_job_by_name(tmp_path: Path) -> None:
    ran = await in_container(tmp_path, "site/image", "podman", "bwrap")

    assert "<--env><GRID_GLOBAL_JOBID>" in ran.file("out.txt")
    assert f'<site/image></bin/x><it\'s "{ran.submission.grami.directory}">\n' in ran.file("out.txt")


async def test_bubblewrap_shows_the_tree_and_the_session_in_it(tmp_path: Path) -> None:
    """The folders above the session are made anew, but what lies beside them in the tree stays."""
    image = tmp_path / "image"
    first = tmp_path.parts[1]
    (image / first / "beside").mkdir(parents=True)
    (image / "usr").mkdir()
    (image / "bin").symlink_to("usr/bin")

    ran = await in_container(tmp_path, str(image), "bwrap")

    said, home = ran.file("out.txt"), ran.submission.grami.directory
    assert f"<--ro-bind><{image}/usr></usr>" in said
    assert "<--symlink><usr/bin></bin>" in said
    assert f"<--ro-bind><{image}/{first}/beside></{first}/beside>" in said
    assert f"</{first}><" not in said.replace("<--tmpfs></tmp><", "<--tmpfs><")
    assert f"<--bind><{home}><{home}><--chdir><{home}>" in said


async def test_a_node_without_a_container_program_says_so(tmp_path: Path) -> None:
    ran = await in_container(tmp_path, "/images/one")

    assert ran.code == 1
    assert "this node has no apptainer, singularity, podman or bubblewrap" in ran.file("err.txt")
