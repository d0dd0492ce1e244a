"""
What strangers, users and payloads can put into the way of the service, against a real daemon.

After each case the daemon has logged no internal error, another job finishes, and a directory that belongs to
no job is what it was, to the nanosecond.
"""

from __future__ import annotations

import base64
import errno
import os
import random
from pathlib import Path

from arex.controldir.layout import Mark
from arex.model.ids import JobId, new_job_id
from tests.faults.service import Service, wait_for


def sh(script: str, more: str = '(stdout="out")(stderr="err")') -> str:
    """
    A job that runs this shell text.

    The job script expands variables in arguments, such as its own ``$OLDPWD``, but not the output of a command.
    """
    encoded = base64.b64encode(script.encode("utf-8", "surrogateescape")).decode()
    return f'&(executable="/bin/sh")(arguments="-c" "`echo {encoded} | base64 -d`"){more}'


def program(site: Service, script: str, more: str = '(stdout="out")') -> str:
    """A job whose executable is this shell script, so that nothing is expanded before it runs."""
    path = site.root / f"{new_job_id()}.sh"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return f'&(executable="{path.name}")(inputfiles=("{path.name}" "{path}")){more}'


TRUE = '&(executable="/bin/true")'


def link(site: Service, path: Path) -> None:
    path.symlink_to(site.canary / "precious")


def pipe(_site: Service, path: Path) -> None:
    os.mkfifo(path)


def dangling(site: Service, path: Path) -> None:
    path.symlink_to(site.canary / "new")


_dice = random.Random(20261120)
JUNK = bytes(_dice.randrange(256) for _ in range(3000)) + b"\n\0\n=\n==\n\\\n/ \\ /\n" + b"9" * 6000 + b"\n"


class Held:
    """A job that is kept in a state until it is let go."""

    def __init__(self, site: Service, name: str) -> None:
        self.site = site
        self.gate = site.root / f"gate.{new_job_id()}"
        self.job = getattr(self, name)()

    def accepted(self) -> JobId:
        job = self.site.submit(sh("exit 0", '(starttime="2099-01-01 00:00:00")'))
        wait_for(self.site.path(job, "errors").exists, 90, "it is taken up")
        return job

    def preparing(self) -> JobId:
        job = self.site.by_hand('&(executable="/bin/true")(inputfiles=("later" ""))')
        self.site.reaches(job, "PREPARING")
        return job

    def inlrms(self) -> JobId:
        os.mkfifo(self.gate)
        job = self.site.submit(sh(f"echo here; read x <{self.gate}"))
        self.site.reaches(job, "INLRMS")
        out = self.site.sessions / job / "out"  # which is made before the payload runs
        wait_for(lambda: out.exists() and out.read_text() == "here\n", 90, "its payload runs")
        return job

    def finished(self) -> JobId:
        job = self.site.submit(TRUE)
        self.site.reaches(job, "FINISHED")
        return job

    def let_go(self) -> None:
        """Whatever it waits for is there now."""
        if self.gate.exists():
            self.open_gate()
            self.gate.unlink()
        if self.site.state(self.job) != "FINISHED":
            (self.site.sessions / self.job / "later").touch()
            wait_for(lambda: self.moved_on() or self.cancelled(), 90, lambda: self.site.tell(self.job))

    def open_gate(self) -> None:
        """For the payload, which waits there, or soon will."""

        def opened() -> bool:
            try:
                gate = os.open(self.gate, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as exc:
                if exc.errno != errno.ENXIO:
                    raise
                return False  # it is not there yet
            os.write(gate, b"go\n")
            os.close(gate)
            return True

        wait_for(opened, 90, lambda: self.site.tell(self.job))

    def moved_on(self) -> bool:
        self.site.ring(self.job)
        return self.site.state(self.job) not in {"ACCEPTED", "PREPARING"}

    def cancelled(self) -> bool:
        """The last resort of its owner."""
        if self.site.state(self.job) in {"ACCEPTED", "PREPARING"}:
            self.site.mark(self.job, Mark.CANCEL)
        return False
