"""
``arex install-service`` with a real user manager of systemd and with a real cron, each in a separate namespace.

They want root, or a user who may make namespaces; tools/test-programs.sh installs the programs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What an administrator types; ``arex`` is a function, since nothing is installed here.
_AREX = """
arex() { "$PYTHON" -I "$ROOT/arex/__main__.py" "$@"; }
until_status() { until arex status >"$HOME/status.txt"; [ $? -eq "$1" ]; do sleep 0.1; done; }
"""
_SYSTEMD = """
arex install-service
systemctl --user is-enabled arex.service
until_status 0
arex stop
until_status 3
systemctl --user start arex.service
until_status 0
systemctl --user stop arex.service
until_status 3
systemctl --user start arex.service
until_status 0
arex install-service --remove
until_status 3
systemctl --user is-enabled arex.service || echo "not enabled"
arex install-service --remove
"""
_CRON = """
printf '%s\\n' '# mine' '0 3 * * * /bin/true' | crontab -
arex install-service
arex install-service
crontab -l | grep -c @reboot
cron
until_status 0
arex stop
arex install-service --remove
crontab -l
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".config/arex").mkdir(parents=True)
    (tmp_path / ".config/arex/arc.conf").write_text(
        f"[common]\n[lrms]\nlrms=fork\n[arex]\ncontroldir={tmp_path}/100%\nsessiondir={tmp_path}/session\n"
        f"pidfile={tmp_path}/run/arex.pid\nlogfile={tmp_path}/run/arex.log\njoblog={tmp_path}/run/jobs.log\n"
        "[arex/service]\nallow_root=yes\n[queue:fork]\n"
    )
    return tmp_path


def booted(home: Path, manager: str, script: str) -> list[str]:
    """Run a script with this manager; its standard output as lines."""
    plain = {name: os.environ[name] for name in ("PATH", "LANG", "USER", "LOGNAME") if name in os.environ}
    environment = {**plain, "HOME": str(home), "ROOT": str(ROOT), "PYTHON": sys.executable}
    argv = [str(ROOT / "tools/booted.sh"), manager, "/bin/sh", "-eu", "-c", f"{_AREX}{script}"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout.splitlines()


def test_systemd_starts_stops_and_forgets_the_service(home: Path) -> None:
    said = booted(home, "systemd", _SYSTEMD)
    unit = home / ".config/systemd/user/arex.service"

    assert f"installed {unit}: arex is running, continues after your logout and starts at boot" == said[0]
    assert "enabled" == said[1]
    assert f"removed {unit}" in said
    assert ["not enabled", "nothing to remove"] == said[-2:]
    assert not unit.exists()
    assert "enable-linger" in (home / "loginctl.log").read_text()


def test_cron_starts_the_service_at_boot_and_keeps_other_lines(home: Path) -> None:
    said = booted(home, "cron", _CRON)

    assert 2 == said.count("added an @reboot line to your crontab: arex starts at boot; start it now with 'arex start'")
    assert "1" in said
    assert ["removed the @reboot line from your crontab", "# mine", "0 3 * * * /bin/true"] == said[-3:]
