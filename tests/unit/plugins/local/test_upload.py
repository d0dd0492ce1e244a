"""Files that come after the submission, and the lock that clients share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arex.controldir import codec
from arex.errors import ControlDirError
from arex.jobdesc.client.complete import ClientUpload
from arex.model.ids import JobId
from plugins.local import LocalPlugin
from plugins.local.upload import confirm, lock


@pytest.fixture
def job(plugin: LocalPlugin) -> JobId:
    plugin.submit("&(executable=/bin/true)")
    [job] = plugin.jobs()
    return job


def never(seconds: float) -> None:
    raise AssertionError(f"waits {seconds} s for a lock that no one holds")


def test_uploads_are_copied_and_then_confirmed(plugin: LocalPlugin, job: JobId, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("1")

    plugin.upload(job, [ClientUpload(path=tmp_path / "data", name="in put")], done=True)

    assert (tmp_path / "session" / job / "in put").read_text() == "1"
    assert codec.parse_input_status(plugin.store.read(job, "input_status") or b"") == ["/in put", "/"]


def test_a_name_is_confirmed_once(plugin: LocalPlugin, job: JobId) -> None:
    for _ in range(2):
        confirm(plugin.store, job, ["/a", "/b"], never)

    assert plugin.store.read(job, "input_status") == b"\n/a\n/b\n"


def test_the_lock_names_its_holder_and_goes_away(tmp_path: Path) -> None:
    with lock(str(tmp_path / "file"), never):
        holder = (tmp_path / "file.lock").read_text()

    assert holder == f"{os.getpid()}@{os.uname().nodename}"
    assert os.listdir(tmp_path) == []


def test_a_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "file.lock").write_text(f"99999999@{os.uname().nodename}")

    with lock(str(tmp_path / "file"), never):
        assert (tmp_path / "file.lock").read_text().startswith(f"{os.getpid()}@")


def test_a_lock_on_another_host_is_taken_over_when_it_is_old(tmp_path: Path) -> None:
    (tmp_path / "file.lock").write_text("1@elsewhere")
    os.utime(tmp_path / "file.lock", (1, 1))

    with lock(str(tmp_path / "file"), never):
        pass

    assert os.listdir(tmp_path) == []


def test_a_held_lock_is_waited_for_and_then_reported(tmp_path: Path) -> None:
    (tmp_path / "file.lock").write_text("1@elsewhere")
    waited: list[float] = []

    with pytest.raises(ControlDirError, match="locked by another client"), lock(str(tmp_path / "file"), waited.append):
        pass

    assert waited == [1.0] * 10
    assert os.listdir(tmp_path) == ["file.lock"]
