"""Where a job script goes, and who may read it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lrms.jobscript.layout import _put


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_no_other_user_can_read_a_script_or_list_its_directories(tmp_path: Path) -> None:
    rundir = tmp_path / "job.lrms" / "tag"

    _put(rundir, b"exit 0\n")
    _put(rundir, b"exit 1\n")

    modes = [path.stat().st_mode & 0o777 for path in (rundir.parent, rundir, rundir / "script")]
    assert [0o700, 0o700, 0o600] == modes
    assert (rundir / "script").read_bytes() == b"exit 1\n"
