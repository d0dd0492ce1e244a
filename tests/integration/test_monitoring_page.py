"""The examples of docs/admins/monitoring.md, run against a real service."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.integration.test_service_commands import Admin, admin

__all__ = ["admin"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/admins/monitoring.md").read_text(encoding="utf-8")


def example(title: str) -> str:
    [text] = re.findall(rf'```\w+ title="{re.escape(title)}"\n(.*?)```', PAGE, re.DOTALL)
    return str(text)


def nagios(admin: Admin) -> tuple[int, str]:
    """The example as a program, with an ``arex`` in its PATH."""
    programs = admin.home / "programs"
    programs.mkdir(exist_ok=True)
    arex = f'#!/bin/sh\nexec "{sys.executable}" -I "{ROOT}/arex/__main__.py" "$@"\n'
    for name, text in (("arex", arex), ("check_arex", example("check_arex"))):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(admin.home), "ARC_CONFIG": str(admin.conf)}
    done = subprocess.run(
        [programs / "check_arex"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert not done.stderr
    return done.returncode, done.stdout


def test_nagios_gets_its_own_exit_codes(admin: Admin) -> None:
    assert (2, "AREX CRITICAL: not running\n") == nagios(admin)

    admin.start("start", "-c", str(admin.conf))
    assert (0, "AREX OK\n") == nagios(admin)

    (admin.home / "session").chmod(0o777)
    code, said = nagios(admin)
    assert (1, True) == (code, said.startswith("AREX WARNING: session root ")), said

    admin.arex("stop", "-c", str(admin.conf))
    admin.conf.write_text("[arex]\ncontroldir\n")
    code, said = nagios(admin)
    assert (3, True) == (code, said.startswith("AREX UNKNOWN: ")), said


def metrics(admin: Admin) -> dict[str, str]:
    status = admin.run("arex", "status", "--json", "-c", str(admin.conf)).stdout
    argv = [sys.executable, "-c", example("arex_metrics.py")]
    done = subprocess.run(argv, input=status, capture_output=True, text=True, timeout=60, check=True)
    pairs = [line.rpartition(" ") for line in done.stdout.splitlines()]
    assert all(re.fullmatch(r'[a-z_]+(\{[a-z]+="[^"]*"\})?', name) for name, _, _ in pairs)
    return {name: value for name, _, value in pairs}


def test_prometheus_gets_numbers_with_and_without_a_service(admin: Admin) -> None:
    down = metrics(admin)
    admin.start("start", "-c", str(admin.conf))
    while "arex_status_age_seconds" not in (up := metrics(admin)):  # until the service has written its status
        pass

    assert ("0", "0") == (down["arex_up"], down["arex_ok"])
    assert ("1", "1", "2") == (up["arex_up"], up["arex_ok"], up["arex_slots_total"])
    assert "0" == up['arex_jobs_ended_total{outcome="failed"}']
    assert int(up[f'arex_disk_free_bytes{{path="{admin.home}/ctl"}}']) > 0
