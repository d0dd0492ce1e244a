"""
Payloads that damage their session, their run directory or their supervisor, against a real daemon with one slot.

Each job ends, by itself or when it is cancelled; no process of it is left, and the slot is free for the next job, which
``Service.unharmed`` runs. Modes of files count for the daemon, as for the service of an ordinary user.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from arex.controldir.layout import Mark
from arex.model.ids import new_job_id
from tests.faults.service import Service, modes_count, serving, wait_for
from tests.faults.strange import program

pytestmark = pytest.mark.timeout(600)

#: In a payload, ``$run`` is its run directory.
START: Final = 'run=$(echo "$HOME".lrms/*-*)\n'
DIED: Final = "LRMS error: (-1) Job died unexpectedly\n"
CANCELLED: Final = "Job is canceled by external request\n"
DEEP: Final = f'{sys.executable} -c \'import os\nfor _ in range(1200):\n os.mkdir("d")\n os.chdir("d")\''

#: Payloads that end: their script, further attributes, the job's failure.
ENDING: Final = {
    "session read-only": ("echo >junk; chmod 500 .", "", ""),
    "session closed": ("echo >junk; chmod 000 .", "", ""),
    "tree read-only": ("mkdir -p a/b; echo >a/b/c; chmod -R a-w .", "", ""),
    "output closed": ("mkdir kept; echo >kept/f; chmod 000 kept", '(outputfiles=("kept/" ""))', ""),
    "deep tree": (DEEP, "", ""),
    "deep tree as output": (DEEP, '(outputfiles=("d/" ""))', ""),
    "run directory closed": ("chmod 000 $run", "", ""),
    "record a directory": ("mkdir $run/done.new", "", ""),
    "record a pipe": ("mkfifo $run/done.new", "", ""),
    "record a link": ("ln -s @CANARY@/new $run/done.new", "", ""),
    "started a pipe": ("rm -f $run/started; mkfifo $run/started $run/why", "", ""),
    "executable a pipe": (
        'rm -f "$0"; mkfifo "$0"; exit 126',
        "",
        "LRMS error: (126) Job finished with wrong exit code - 126 != 0\n",
    ),
    "staging a link": (
        'rm -rf "$HOME".staging; ln -s @CANARY@ "$HOME".staging; echo >new',
        '(outputfiles=("new" "file://@ROOT@/sent"))',
        "Failed in data staging: @SESSION@.staging is a link, or not a directory\n",
    ),
    "supervisor stopped": ("kill -STOP $PPID", "", ""),
}

#: Payloads whose job ends because of what they do, although they would go on for minutes.
LOST: Final = {
    "supervisor killed": "kill -9 $PPID; exec sleep @LONG@",
    "supervisor killed, environment removed": "kill -9 $PPID; cd /; exec env -i setsid sleep @LONG@",
}

#: Payloads that go on for minutes, until they are cancelled.
CANCELED: Final = {
    "run directory a link to itself": "rm -rf $run; ln -s $run $run",
    "run directory removed": 'rm -rf "$HOME".lrms',
    "session and run directory removed": 'cd /; rm -rf "$HOME" "$HOME".lrms "$HOME".diag "$HOME".comment',
    "run directory closed": 'chmod 000 "$HOME".lrms',
    "pid beyond integers": (
        "boot=$(cat /proc/sys/kernel/random/boot_id)\n"
        "printf 'pid=99999999999999\\nstart=1\\nboot=%s\\n' $boot >$run/pid.new; mv $run/pid.new $run/pid"
    ),
    "supervisor stopped": "kill -STOP $PPID",
    "signals ignored": "trap '' TERM INT HUP",
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("hostile"), "fork_slots=1\n", modes_count()) as service:
        yield service


class Payload:
    """A job with a hostile script; ``@LONG@`` is a number of seconds that no other process sleeps."""

    def __init__(self, site: Service, script: str, more: str = "") -> None:
        self.site = site
        self.ready = site.root / f"ready.{new_job_id()}"
        self.long = f"300.{secrets.randbelow(10**12):012}"
        places = {
            "@CANARY@": str(site.canary), "@ROOT@": str(site.root), "@READY@": str(self.ready), "@LONG@": self.long
        }  # fmt: skip
        text = START + script
        for word, path in places.items():
            text, more = text.replace(word, path), more.replace(word, path)
        self.job = site.submit(program(site, text, f'(stdout="out"){more}'))

    def runs(self) -> None:
        """It has done its damage, and goes on."""
        wait_for(lambda: self.ready.exists() and bool(self.processes()), 90, lambda: self.site.tell(self.job))

    def processes(self) -> list[str]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has just ended
                if self.long.encode() in path.read_bytes():
                    found.append(str(path))
        return found

    def leaves_nothing(self) -> None:
        wait_for(lambda: not self.processes(), 90, self.processes)


@pytest.mark.parametrize("attack", sorted(ENDING))
def test_a_job_ends_whatever_its_payload_has_damaged(site: Service, attack: str) -> None:
    script, more, failure = ENDING[attack]
    payload = Payload(site, script, more)

    site.reaches(payload.job, "FINISHED", limit_s=90)

    assert failure.replace("@SESSION@", f"{site.sessions}/{payload.job}") == site.store.failure(payload.job)
    site.cleans(payload.job)
    assert [] == list(site.sessions.glob(f"{payload.job}*"))


@pytest.mark.parametrize("attack", sorted(LOST))
def test_a_payload_that_kills_its_supervisor_is_ended(site: Service, attack: str) -> None:
    payload = Payload(site, LOST[attack])

    assert DIED == site.fails(payload.job, limit_s=90)
    payload.leaves_nothing()


@pytest.mark.parametrize("attack", sorted(CANCELED))
def test_a_job_can_be_cancelled_whatever_its_payload_has_damaged(site: Service, attack: str) -> None:
    payload = Payload(site, f"{CANCELED[attack]}\n: >@READY@\nsleep @LONG@; :")
    payload.runs()
    site.mark(payload.job, Mark.CANCEL)

    assert CANCELLED in site.fails(payload.job, limit_s=90)
    payload.leaves_nothing()
