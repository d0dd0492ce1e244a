"""``arex start``, ``restart``, ``reload``, ``status`` and ``stop`` of a real daemon, with a real job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass
class Admin:
    """Someone who runs commands in a separate home."""

    home: Path

    def run(self, program: str, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {name: text for name, text in os.environ.items() if not name.startswith(("X509", "ARC_", "XDG_"))}
        environment |= {"HOME": str(self.home), "PYTHONPATH": str(ROOT), "AREX_TRACEBACK": "1", **variables}
        code = f"from arex.cli import entry; entry.{program}()"
        argv = [sys.executable, "-c", code, *args]
        return subprocess.run(argv, cwd=self.home, env=environment, capture_output=True, text=True, timeout=120)  # noqa: PLW1510 - tests look at the code

    def arex(self, *args: str) -> str:
        done = self.run("arex", *args)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *args: str) -> str:
        return self.arex(*args, "--allow-root")

    @property
    def status(self) -> Any:
        return json.loads(self.run("arex", "status", "--json", "-c", str(self.conf)).stdout)

    @property
    def conf(self) -> Path:
        return self.home / "site.conf"

    def write(self, service: str = "fork_slots=2\n", arex: str = "") -> None:
        self.conf.write_text(
            f"[common]\n[lrms]\nlrms=fork\n[arex]\ncontroldir={self.home}/ctl\nsessiondir={self.home}/session\n"
            f"pidfile={self.home}/run/arex.pid\nlogfile={self.home}/run/arex.log\njoblog={self.home}/run/jobs.log\n"
            f"{arex}[arex/service]\n{service}[queue:short]\nmaxwalltime=60\n"
        )


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Admin]:
    admin = Admin(tmp_path)
    admin.write()
    yield admin
    admin.run("arex", "stop", "-c", str(admin.conf))


def test_clients_are_told_how_they_find_a_file_that_only_the_service_knows(admin: Admin) -> None:
    said = admin.start("start", "-c", str(admin.conf))
    submitted = admin.run("arcrun", "-e", "&(executable=/bin/echo)(arguments=hello)", ARC_CONFIG=str(admin.conf))

    assert f"clients: export ARC_CONFIG={admin.conf}\n" in said
    assert "hello\n" == submitted.stdout, submitted.stderr


def test_a_restart_keeps_the_configuration_and_the_jobs(admin: Admin) -> None:
    os.mkfifo(admin.home / "gate")
    admin.start("start", "-c", str(admin.conf))
    job = f"&(executable=/bin/cat)(arguments={admin.home}/gate)(stdout=o)(jobname=long)"
    admin.run("arcsub", "-e", job, ARC_CONFIG=str(admin.conf))
    before = admin.status["pid"]
    # a user's own file of another service would be found first
    (admin.home / ".config/arex").mkdir(parents=True)
    (admin.home / ".config/arex/arc.conf").write_text(admin.conf.read_text().replace("fork_slots=2", "fork_slots=7"))

    said = admin.start("restart")

    after = admin.status
    assert f"arex (pid {before}) has stopped; its jobs continue\n" in said
    assert (True, str(admin.conf), 2) == (after["running"], after["config"], after["slots"]["total"])
    assert before != after["pid"]
    (admin.home / "gate").write_text("through the gate\n")
    assert 0 == admin.run("arcstat", "-w", "long", ARC_CONFIG=str(admin.conf)).returncode
    assert "through the gate\n" == admin.run("arccat", "long", ARC_CONFIG=str(admin.conf)).stdout


def test_a_restart_with_a_faulty_file_leaves_the_service_running(admin: Admin) -> None:
    admin.start("start", "-c", str(admin.conf))
    pid = admin.status["pid"]
    admin.write(arex="loglevel=NOPE\n")

    refused = admin.run("arex", "restart", "-c", str(admin.conf))

    assert 2 == refused.returncode
    assert "[arex] loglevel" in refused.stderr
    assert pid == admin.status["pid"]


def test_a_reload_says_what_the_service_made_of_the_file(admin: Admin) -> None:
    conf = str(admin.conf)
    admin.start("start", "-c", conf)

    assert "the configuration is in effect\n" == admin.arex("reload", "-c", conf)
    admin.write("fork_slots=3\nfsync=no\n")
    assert "only with 'arex restart': [arex/service] fork_slots, [arex/service] fsync\n" in admin.arex(
        "reload", "-c", conf
    )
    admin.write(arex="loglevel=NOPE\n")
    refused = admin.run("arex", "reload", "-c", conf)

    assert 1 == refused.returncode
    assert f"error: {conf}:" in refused.stderr
    assert "the service continues with the old one" in refused.stderr
    assert [3, False] == [admin.status["reload"]["count"], admin.status["reload"]["accepted"]]


def test_the_status_says_how_the_service_is_and_that_it_was_killed(admin: Admin) -> None:
    conf = str(admin.conf)
    admin.start("start", "-c", conf)
    for text in ("true", "false"):
        admin.run("arcrun", "-e", f"&(executable=/bin/{text})", ARC_CONFIG=conf)
    while (status := admin.status).get("ended", {}).get("failed") != 1:  # written at most two seconds later
        time.sleep(0.05)

    assert {"finished": 1, "failed": 1} == status["ended"]
    assert {"used": 0, "total": 2} == status["slots"]
    assert {"short": {"state": "open", "maxwalltime_s": 60}} == status["queues"]["fork"]
    assert (True, [], "ok") == (status["ok"], status["problems"], status["lrms"]["fork"])
    assert 0 == admin.run("arex", "status", "--check", "-c", conf).returncode

    os.kill(status["pid"], signal.SIGKILL)
    while admin.status["running"]:
        time.sleep(0.05)
    killed = admin.run("arex", "status", "-c", conf)

    assert 3 == killed.returncode
    assert "It ended without a stop after " in killed.stdout
    assert admin.status["ended_without_stop"]


def test_the_reason_of_a_failed_start_has_time_and_level_in_the_log(admin: Admin) -> None:
    (admin.home / "session").mkdir()
    (admin.home / "session").chmod(0o777)

    refused = admin.run("arex", "start", "--allow-root", "-c", str(admin.conf))

    assert 1 == refused.returncode
    [line] = (admin.home / "run/arex.log").read_text().splitlines()
    assert "Z ERROR arex the service ends: session root " in line
    assert line.endswith(" event=service.failed")
