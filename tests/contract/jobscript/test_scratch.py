"""The job script on a scratch directory of the node."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lrms.jobscript.script import job_script
from lrms.jobscript.settings import RuntimeScript, Scratch, ScriptSettings, Settled
from tests.contract.jobscript.script import (
    ALONE,
    HOWS,
    MARKED,
    SHELLS,
    a_program,
    a_submission,
    on_scratch,
    run,
)
from tests.contract.worlds import until

HERE = os.uname().nodename


def disk_of(root: Path) -> list[str]:
    return sorted(each.name for each in (root / "node's disk").iterdir())


@pytest.mark.parametrize("shell", SHELLS)
@HOWS
def test_a_job_runs_on_scratch_and_everything_comes_back(tmp_path: Path, how: ScriptSettings, shell: str) -> None:
    submission = a_submission(
        tmp_path, "/bin/sh", "-c", 'pwd; printenv HOME; cat "in put" .hidden; echo new >d/new; echo oops >&2; rm gone'
    )
    session = submission.grami.directory
    (session / "d").mkdir()
    for name in ("in put", ".hidden", "d/old", "gone", "..x"):
        (session / name).write_text(f"{name}\n")

    ran = run(submission, on_scratch(tmp_path, how), shell=shell)

    where = tmp_path / "node's disk" / "job1"
    assert ran.code == 0
    assert ran.file("out.txt") == f"{where}\n{where}\nin put\n.hidden\n"
    assert (ran.file("err.txt"), ran.file("d/new"), ran.file("..x")) == ("oops\n", "new\n", "..x\n")
    assert not (session / "gone").exists()
    assert not (session / "out.txt").is_symlink()
    assert disk_of(tmp_path) == []
    assert sorted(each.name for each in submission.rundir.parent.iterdir()) == ["tag1"]


@HOWS
def test_outputs_can_be_read_at_the_front_end_while_the_job_runs(tmp_path: Path, how: ScriptSettings) -> None:
    session = tmp_path / "session" / "job1"
    look = f"echo begun; tail -n 1 {session}/logs/out | tr b B; ls -l logs/out | grep -c -e '-> {session}/logs/out'"
    submission = a_submission(tmp_path, "/bin/sh", "-c", look, stdout=f"{session}/logs/out")

    ran = run(submission, on_scratch(tmp_path, how))

    assert ran.file("logs/out") == "begun\nBegun\n1\n"
    assert not (session / "logs" / "out").is_symlink()


@HOWS
def test_a_shared_scratch_is_seen_through_one_link(tmp_path: Path, how: ScriptSettings) -> None:
    session = tmp_path / "session" / "job1"
    submission = a_submission(tmp_path, "/bin/sh", "-c", f"echo new >new; readlink {session}; cat {session}/new")

    ran = run(submission, on_scratch(tmp_path, how, shared=True))

    assert ran.file("out.txt") == f"{tmp_path}/seen/job1\nnew\n"
    assert not session.is_symlink()
    assert ran.file("new") == "new\n"
    assert disk_of(tmp_path) == []


@HOWS
def test_outputs_come_back_from_a_job_that_fails(tmp_path: Path, how: ScriptSettings) -> None:
    ran = run(a_submission(tmp_path, "/bin/sh", "-c", "echo half >half; exit 3"), on_scratch(tmp_path, how))

    assert (ran.code, ran.file("half"), disk_of(tmp_path)) == (3, "half\n", [])


@HOWS
def test_outputs_come_back_if_a_runtime_environment_fails(tmp_path: Path, how: ScriptSettings) -> None:
    runtimes = (RuntimeScript(name="BAD", body='echo "$RUNTIME_JOB_DIR" >where; [ "$1" != 1 ]'),)
    submission = a_submission(tmp_path, "/bin/true")
    (submission.grami.directory / "input").write_text("input\n")

    ran = run(submission, on_scratch(tmp_path, how), runtimes)

    assert (ran.code, ran.file("input"), ran.file("where")) == (1, "input\n", f"{tmp_path}/node's disk/job1\n")
    assert "Runtime BAD stage 1 execution failed." in ran.file("err.txt")
    assert disk_of(tmp_path) == []


@HOWS
def test_outputs_come_back_from_directories_without_permissions(tmp_path: Path, how: ScriptSettings) -> None:
    ran = run(a_submission(tmp_path, "/bin/sh", "-c", "mkdir d; echo x >d/x; chmod 0 d"), on_scratch(tmp_path, how))

    assert (ran.code, ran.file("d/x"), disk_of(tmp_path)) == (0, "x\n", [])


@pytest.mark.parametrize("shell", SHELLS)
@HOWS
def test_term_brings_everything_back(tmp_path: Path, how: ScriptSettings, shell: str) -> None:
    """A supervisor tells every process, a batch system at least the script."""
    submission = a_program(tmp_path, "echo half >half.new; mv half.new half; exec sleep 600")
    path = submission.rundir / "script"
    path.write_text(job_script(submission, on_scratch(tmp_path, how)))
    with subprocess.Popen([shell, str(path)], stdout=subprocess.DEVNULL, start_new_session=True) as process:
        until((tmp_path / "node's disk" / "job1" / "half").exists)
        if how is ALONE:
            process.send_signal(signal.SIGTERM)
        else:
            os.killpg(process.pid, signal.SIGTERM)
        code = process.wait(60)

    assert code == 143
    assert (submission.grami.directory / "half").read_text() == "half\n"
    assert disk_of(tmp_path) == []


def test_what_a_killed_attempt_has_left_on_the_node_is_found_by_the_next(tmp_path: Path) -> None:
    submission = a_submission(
        tmp_path, "/bin/sh", "-c", "cat input half; [ -e half ] || { echo half >new; mv new half; sleep 600; }"
    )
    (submission.grami.directory / "input").write_text("input\n")
    path = submission.rundir / "script"
    path.write_text(job_script(submission, on_scratch(tmp_path)))
    with subprocess.Popen(["/bin/sh", str(path)], stdout=subprocess.DEVNULL, start_new_session=True) as process:
        until((tmp_path / "node's disk" / "job1" / "half").exists)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (submission.grami.directory / "input").exists()

    again = replace(submission, rundir=submission.rundir.with_name("tag2"))
    again.rundir.mkdir()
    ran = run(again, on_scratch(tmp_path))

    assert (ran.code, ran.file("out.txt"), disk_of(tmp_path)) == (0, "input\nhalf\n", [])


@pytest.mark.parametrize(("came", "expected"), [("entering", "whole\n"), ("inside", "part\n")])
def test_of_two_copies_of_a_file_the_whole_one_is_kept(tmp_path: Path, came: str, expected: str) -> None:
    """Killed on the way in, the session has the whole file; killed later, the scratch directory has."""
    submission = a_submission(tmp_path, "/bin/cat", "d/file")
    left = tmp_path / "node's disk" / "job1"
    for place, text in ((submission.grami.directory, "whole\n"), (left, "part\n")):
        (place / "d").mkdir(parents=True)
        (place / "d/file").write_text(text)
    (submission.rundir.parent / "scratch").write_text(f"{came} {HERE} {left}\n")

    ran = run(submission, on_scratch(tmp_path))

    assert (ran.file("out.txt"), disk_of(tmp_path)) == (expected, [])


@HOWS
def test_files_on_another_node_are_named_and_nothing_runs_without_them(tmp_path: Path, how: ScriptSettings) -> None:
    submission = a_submission(tmp_path, "/usr/bin/touch", "ran")
    (submission.rundir.parent / "scratch").write_text("inside node77 /scratch/job1\n")

    ran = run(submission, on_scratch(tmp_path, how))

    assert ran.code == 1
    assert "Files of this job are in /scratch/job1 on node77" in ran.file("err.txt")
    assert not (submission.grami.directory / "ran").exists()


@pytest.mark.parametrize("kind", ["missing", "file", "relative", "taken", "planted"])
@HOWS
def test_a_scratch_that_is_of_no_use_fails_the_job_and_loses_nothing(
    tmp_path: Path, how: ScriptSettings, kind: str
) -> None:
    submission = a_submission(tmp_path, "/usr/bin/touch", "ran")
    session = submission.grami.directory
    (session / "input").write_text("input\n")
    disk = tmp_path / "disk"
    match kind:
        case "file":
            disk.write_text("")
        case "taken":
            (disk / "job1").mkdir(parents=True)
            (disk / "job1" / "other").touch()
        case "planted":
            disk.mkdir()
            (disk / "job1").symlink_to(tmp_path)
        case _:
            assert kind in {"missing", "relative"}
    scratch = Scratch(text="disk" if kind == "relative" else str(disk))

    ran = run(submission, replace(how, scratch=scratch))

    assert ran.code == 1
    assert "scratch directory" in ran.file("err.txt")
    assert ran.mark == (MARKED if how is ALONE else "failed before\n")
    assert ran.file("input") == "input\n"
    assert not (session / "ran").exists()
    if how is ALONE:
        assert ran.done is not None
        assert "scratch directory" in ran.done.message


@pytest.mark.parametrize("when", ["in", "back"])
@HOWS
def test_a_disk_that_is_full_fails_the_job_and_loses_nothing(tmp_path: Path, how: ScriptSettings, when: str) -> None:
    """A move tool that gives up in one of the two directions."""
    tool = tmp_path / "tool"
    where = "*/session/*" if when == "back" else "*disk/*"
    tool.write_text(
        f'#!/bin/sh\ncase $2 in {where}) case $1 in */big) echo full >&2; exit 1 ;; esac ;; esac\nmv "$@"\n'
    )
    tool.chmod(0o700)
    submission = a_submission(tmp_path, "/bin/sh", "-c", "echo new >new")
    for name in ("a", "big", "z"):
        (submission.grami.directory / name).write_text(name)

    ran = run(submission, on_scratch(tmp_path, how, movetool=str(tool)))

    left = tmp_path / "node's disk" / "job1"
    assert ran.code == 1
    assert (ran.file("a"), ran.file("z")) == ("a", "z")
    if when == "in":
        assert "it may be full" in ran.file("err.txt")
        assert (ran.file("big"), disk_of(tmp_path)) == ("big", [])
    else:
        assert f"they are in {left} on {HERE}" in ran.file("err.txt")
        assert ((left / "big").read_text(), ran.file("new")) == ("big", "new\n")
        assert ran.mark == (MARKED if how is ALONE else "failed after\n")
        assert not any(line.startswith("exitcode") for line in ran.diag)


def test_a_move_tool_that_copies_leaves_the_inputs_where_they_were(tmp_path: Path) -> None:
    submission = a_submission(tmp_path, "/bin/sh", "-c", f"cat {tmp_path}/session/job1/input; echo changed >input")
    (submission.grami.directory / "input").write_text("input\n")

    ran = run(submission, on_scratch(tmp_path, movetool="cp -a"))

    assert (ran.file("out.txt"), ran.file("input"), disk_of(tmp_path)) == ("input\n", "changed\n", [])


def test_a_job_on_several_nodes_stays_where_all_of_them_see_it(tmp_path: Path) -> None:
    here = str(tmp_path / "session" / "job1")

    assert run(a_submission(tmp_path, "/bin/pwd", count=4, countpernode=2), on_scratch(tmp_path)).file("out.txt") == (
        f"{here}\n"
    )


def test_a_runtime_environment_may_name_a_variable_of_the_node(tmp_path: Path) -> None:
    (tmp_path / "of the node").mkdir()
    submission = a_submission(tmp_path, "/bin/pwd")

    ran = run(submission, settled=Settled(scratch="${WORKDIR:-}"), WORKDIR=f"{tmp_path}/of the node")

    assert ran.file("out.txt") == f"{tmp_path}/of the node/job1\n"


def test_a_runtime_environment_may_wrap_the_payload_and_name_what_it_runs_in(tmp_path: Path) -> None:
    submission = a_submission(tmp_path, "/bin/echo", "x")

    ran = run(submission, settled=Settled(command='/bin/echo "wrapped $HOME" "x"', instance="image", benchmark="B:1"))

    assert ran.file("out.txt") == f"wrapped {submission.grami.directory} x\n"
    assert ran.diag[6:8] == ["benchmark=B:1", "wninstance=image"]
