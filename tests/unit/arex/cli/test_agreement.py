"""Clients and the service that runs on their control directory use the same batch system, queues and directories."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arex import daemon
from arex.config.load import load
from tests.shell import User

SNAPSHOT = daemon.Snapshot(
    pid=os.getpid(), started="", updated="", version="", controldir="", wakeups="", states={}, waiting=0, lrms={},
)  # fmt: skip


@pytest.fixture
def service(user: User) -> Iterator[Path]:
    """A service of this process with another file, lrms=slurm and a queue q3."""
    file = user.home / "service.conf"
    text = (user.home / "arc.conf").read_text().replace("lrms=fork", "lrms=slurm").replace("[queue:q2]", "[queue:q3]")
    file.write_text(text)
    controldir = user.home / "ctl"
    controldir.mkdir()
    lock = daemon.Lock(controldir)
    lock.take()
    served = daemon.served(load(file)[0])
    daemon.write_snapshot(controldir, replace(SNAPSHOT, config=str(file), served={**served}))
    yield file
    lock.release()


def test_a_job_goes_to_the_batch_system_of_the_service(
    user: User, service: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARC_CONFIG")
    (user.home / ".config/arex").mkdir(parents=True)
    (user.home / "arc.conf").rename(user.home / ".config/arex/arc.conf")

    said = user.run("arcsub", "-q", "q3", "-d", "INFO", "-e", "&(executable=/bin/true)")

    assert 0 == said.code, said.err
    assert "lrms: fork instead of slurm; queues: q1, q2 instead of q1, q3" in said.err
    assert f"export ARC_CONFIG={service}" in said.err


def test_a_named_file_that_contradicts_the_service_is_refused(user: User, service: Path) -> None:
    said = user.run("arcsub", "-e", "&(executable=/bin/true)")

    assert 1 == said.code
    assert f"the running service has {service}, and this command {user.home}/arc.conf" in said.err
    assert "lrms: fork instead of slurm" in said.err
    assert f"export ARC_CONFIG={service}" in said.err
    assert not list((user.home / "ctl").glob("*/job.*"))


@pytest.mark.usefixtures("service")
def test_a_service_that_has_stopped_or_has_said_nothing_does_not_count(user: User) -> None:
    changes: list[dict[str, Any]] = [{"stopped": True}, {"pid": 1}, {"served": {}}, {"served": {"lrms": 5}}]
    for change in changes:
        found = daemon.read_snapshot(user.home / "ctl")
        assert found is not None
        daemon.write_snapshot(user.home / "ctl", replace(found, **change))
        assert 0 == user.run("arcsub", "-e", "&(executable=/bin/true)").code
        daemon.write_snapshot(user.home / "ctl", found)
    assert 1 == user.run("arcsub", "-e", "&(executable=/bin/true)").code


def test_facts_of_the_service_replace_those_of_a_configuration(user: User, service: Path) -> None:
    ours, theirs = load(user.home / "arc.conf")[0], load(service)[0]
    facts = daemon.parse_served(dict(daemon.served(theirs)))

    assert facts is not None
    assert [] != daemon.differences(ours, facts)
    assert [] == daemon.differences(daemon.adopt(ours, facts), facts)


@pytest.mark.usefixtures("service")
def test_commands_that_make_no_jobs_go_on(user: User) -> None:
    said = user.run("arcstat", "-a")

    assert "the running service has" not in said.err


def test_a_control_directory_of_another_user_is_named_with_the_file_that_names_it(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, *_, **__: not str(path).endswith("/ctl"))
    monkeypatch.delenv("ARC_CONFIG")
    (user.home / ".config/arex").mkdir(parents=True)
    (user.home / "arc.conf").rename(user.home / ".config/arex/arc.conf")
    (user.home / "ctl").mkdir()

    for program in (["arex", "status"], ["arex", "stop"], ["arcsub", "-e", "&(executable=/bin/true)"]):
        said = user.run(*program)
        assert 1 == said.code
        assert f"cannot use the control directory {user.home}/ctl: permission denied" in said.err, program
        assert f"(from {user.home}/.config/arex/arc.conf; 'arex init' writes a configuration of yours)" in said.err
