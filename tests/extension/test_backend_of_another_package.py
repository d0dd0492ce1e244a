"""A site adds a backend by installing a distribution; nothing of arex changes for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests import environments
from tests.environments import ROOT, Environment

_LOAD: Final = """
import lrms
from arex.config.model import Configuration
backend = lrms.load("atonce", Configuration())
print(type(backend).__module__, backend.name)
"""
_SUGGEST: Final = """
import lrms
from arex.config.model import Configuration
from arex.errors import ConfigError
try:
    lrms.load("atonec", Configuration())
except ConfigError as exc:
    print(exc)
"""
_CALL: Final = "import sys; from arex.cli.entry import call; sys.exit(call(sys.argv[1], sys.argv[2:]))"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with our checkout, and the other distribution installed beside it."""
    top = tmp_path_factory.mktemp("site")
    environment = environments.make(top / "venv")
    (environment.site / "checkout.pth").write_text(f"{ROOT}\n")
    project = shutil.copytree(Path(__file__).parent / "atonce", top / "atonce")
    environment.install(project)
    return environment


def command(site: Environment, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One of our commands, as a user with this home calls it."""
    env = {"ARC_CONFIG": str(home / "arc.conf"), "HOME": str(home)}
    return site.run("-I", "-c", _CALL, *words, cwd=home, env=env)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "arc.conf").write_text(
        f"[common]\n[lrms]\nlrms=atonce\n[arex]\ncontroldir={tmp_path}/control\nsessiondir={tmp_path}/session\n"
        f"pidfile={tmp_path}/arex.pid\nlogfile={tmp_path}/arex.log\njoblog={tmp_path}/jobs.log\n"
        f"[arex/service]\nallow_root={'yes' if os.geteuid() == 0 else 'no'}\n[queue:any]\n"
    )
    (tmp_path / "job.xrsl").write_text('&(executable="/bin/true")(jobname="foreign")')
    return tmp_path


def test_a_backend_is_found_by_the_name_that_its_distribution_registered(site: Environment, tmp_path: Path) -> None:
    done = site.run("-c", _LOAD, cwd=tmp_path)

    assert ("arex_atonce atonce\n", "") == (done.stdout, done.stderr)


def test_a_registered_name_is_suggested_for_a_misspelled_one(site: Environment, tmp_path: Path) -> None:
    done = site.run("-c", _SUGGEST, cwd=tmp_path)

    assert "did you mean atonce?" in done.stdout


def test_a_job_runs_on_it_from_submission_to_the_end(site: Environment, home: Path) -> None:
    """Through the installed service and client, isolated as they start themselves."""
    start = command(site, home, "arex", "start")
    try:
        sent = command(site, home, "arcsub", "-S", "local", "--wait", "job.xrsl")
        told = command(site, home, "arcstat", "-l", "foreign")
    finally:
        stop = command(site, home, "arex", "stop")

    assert [0, 0, 0, 0] == [each.returncode for each in (start, sent, told, stop)], (start, sent, told, stop)
    assert "State: Finished" in told.stdout
    assert [b"lrms=atonce"] == [
        line for path in (home / "control").glob("job.*.local") for line in path.read_bytes().splitlines()
        if line.startswith(b"lrms=")
    ]  # fmt: skip
