"""The job script, run by a real shell: alone as under a batch system, and as a supervisor would."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lrms
from arex.model.grami import Grami, RunTime
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import EndCause
from arex.ports import Submission
from lrms.attempt.record import Done, read_done
from lrms.fork.backend import ForkBackend
from lrms.jobscript.runtimes import Runtimes
from lrms.jobscript.script import job_script
from lrms.jobscript.settings import NOTHING_SETTLED, RuntimeScript, Scratch, ScriptMode, ScriptSettings, Settled
from tests.contract.worlds import ForkWorld, end_of, happens, local_job, submitted, until

ALONE = ScriptSettings(nodes=("n1", "n2"), system="Debian", localid_words="42")
SUPERVISED = replace(ALONE, mode=ScriptMode.SUPERVISED, localid_words="")
#: What stands in the mark of a script that is alone.
MARKED = "id 42\n"
SHELLS = ("/bin/sh", "/bin/bash")


@dataclass(frozen=True)
class Ran:
    code: int
    said: str  #: what the script itself printed
    submission: Submission

    @property
    def diag(self) -> list[str]:
        return self.submission.diag.read_text().splitlines() if self.submission.diag.exists() else []

    @property
    def done(self) -> Done | None:
        return read_done(self.submission.rundir / "done")

    @property
    def mark(self) -> str:
        return (self.submission.rundir / "started").read_text()

    def file(self, name: str) -> str:
        return (self.submission.grami.directory / name).read_text()


def a_submission(root: Path, *args: str, **changes: object) -> Submission:
    session = root / "session" / "job1"
    session.mkdir(parents=True, exist_ok=True)
    rundir = session.with_name("job1.lrms") / "tag1"
    rundir.mkdir(parents=True, exist_ok=True)
    grami = Grami(
        gridid=JobId("job1"),
        directory=session,
        controldir=root / "control",
        args=args,
        stdout=f"{session}/out.txt",
        stderr=f"{session}/err.txt",
    )
    return Submission(
        job=JobId("job1"),
        tag=Tag("tag1"),
        grami=replace(grami, **changes),  # type: ignore[arg-type]
        rundir=rundir,
    )


def run(
    submission: Submission,
    how: ScriptSettings = ALONE,
    runtimes: tuple[RuntimeScript, ...] = (),
    shell: str = "/bin/sh",
    settled: Settled = NOTHING_SETTLED,
    **environment: str,
) -> Ran:
    path = submission.rundir / "script"
    path.write_bytes(job_script(submission, how, runtimes, settled).encode(errors="surrogateescape"))
    done = subprocess.run(
        [shell, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"]} | environment,
        check=False,
        text=True,
        errors="replace",
    )
    return Ran(done.returncode, done.stdout, submission)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("how", [ALONE, SUPERVISED], ids=["alone", "supervised"])
def test_arguments_expand_on_the_node_and_environment_values_do_not(
    tmp_path: Path, how: ScriptSettings, shell: str
) -> None:
    """The observed behaviour of ARC: double quotes, in which only backslash and double quote are escaped."""
    args = ("/usr/bin/printf", "<%s>\n", "$HOME", "`echo sub`", "$(echo sub2)", "back\\\\slash", "$V1", 'dq"x')

    ran = run(a_submission(tmp_path, *args, environment=(("V1", "$HOME"),)), how, shell=shell)

    home = ran.submission.grami.directory
    expected = f'<{home}>\n<sub>\n<sub2>\n<back\\\\slash>\n<$HOME>\n<dq"x>\n'
    assert expected == ran.file("out.txt")


def test_arguments_arrive_as_they_are_where_nothing_expands(tmp_path: Path) -> None:
    """Blank, quote, semicolon, empty, tab, star, non-ASCII, newline."""
    values = ("a b", "it's", "semi;colon", "", 'quote"d', "tab\ttab", "*", "unicode-é", "amp&", "<lt>", "new\nline")

    ran = run(a_submission(tmp_path, "/usr/bin/printf", "<%s>", *values))

    assert "".join(f"<{value}>" for value in values) == ran.file("out.txt")


def test_environment_values_arrive_as_they_are(tmp_path: Path) -> None:
    values = (("V1", "one two"), ("V2", 'it\'s "q" $HOME;`id`'), ("V3", ""), ("V4", "two\nlines"))

    ran = run(a_submission(tmp_path, "/usr/bin/printenv", "V1", "V2", "V3", "V4", environment=values))

    assert "".join(f"{value}\n" for _, value in values) == ran.file("out.txt")


def test_a_variable_that_no_shell_can_set_is_left_out_with_a_word(tmp_path: Path) -> None:
    names = (("A-B", "1"), ("", "2"), ("1A", "3"), ("A B", "4"), ("IFS", "0"), ("arex_code", "5"), ("GOOD", "6"))

    ran = run(a_submission(tmp_path, "/usr/bin/printenv", "GOOD", environment=names))

    assert ran.file("out.txt") == "6\n"
    assert len(names) - 1 == ran.said.count("is left out")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_accounting_lines_come_in_arcs_order(tmp_path: Path, shell: str) -> None:
    ran = run(a_submission(tmp_path, "/bin/true", count=4, numnodes=2), shell=shell)

    keys = [line.partition("=")[0] for line in ran.diag]
    assert ran.diag[:7] == [
        "runtimeenvironments=",
        "systemsoftware=Debian",
        "nodename=n1",
        "nodename=n2",
        "Processors=4",
        "Nodecount=2",
        "Benchmark=HEPSPEC:1.0",
    ]
    assert keys[7:] == ["", "LRMSStartTime", "LRMSEndTime", "walltime", "exitcode"]
    assert ran.diag[-1] == "exitcode=0"


def test_node_and_system_are_asked_on_the_node_where_nobody_knows_them(tmp_path: Path) -> None:
    ran = run(a_submission(tmp_path, "/bin/true"), ScriptSettings(nodes_command="printf 'a\\nb\\n'"))

    assert ran.diag[2:4] == ["nodename=a", "nodename=b"]
    assert ran.diag[1].removeprefix("systemsoftware=")
    assert ran.done is not None
    assert ran.done.nodes == ("a", "b")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_record_tells_how_the_payload_ended(tmp_path: Path, shell: str) -> None:
    ran = run(a_submission(tmp_path, "/bin/sh", "-c", "exit 3"), shell=shell)

    assert ran.done is not None
    assert ran.code == 3
    assert (ran.done.exit_code, ran.done.cause, ran.done.nodes) == (3, EndCause.EXIT_CODE, ("n1", "n2"))
    assert ran.done.usage.user_s is not None


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("how", [ALONE, SUPERVISED], ids=["alone", "supervised"])
def test_a_missing_executable_is_said_in_arcs_words_and_has_no_exit_code(
    tmp_path: Path, how: ScriptSettings, shell: str
) -> None:
    ran = run(a_submission(tmp_path, "/no/such/exe"), how, shell=shell)

    assert ran.file("err.txt") == 'Path "/no/such/exe" does not seem to exist\n'
    assert ran.code == 1
    assert ran.mark == (MARKED if how is ALONE else "failed before\n")
    assert not any(line.startswith("exitcode") for line in ran.diag)
    if how is ALONE:
        assert ran.done is not None
        assert (ran.done.exit_code, ran.done.cause) == (None, EndCause.NEVER_STARTED)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_missing_interpreter_is_said_in_arcs_words_and_has_no_exit_code(tmp_path: Path, shell: str) -> None:
    submission = a_submission(tmp_path, "./program")
    program = submission.grami.directory / "program"
    program.write_text("#! /no/such/shell -x\n")
    program.chmod(0o700)

    ran = run(submission, shell=shell)

    assert "Cannot run ./program: /no/such/shell: not found\n" in ran.file("err.txt")
    assert ran.code == 1
    assert not any(line.startswith("exitcode") for line in ran.diag)


def test_an_exit_code_of_127_is_the_payloads_own_if_it_could_run(tmp_path: Path) -> None:
    assert run(a_submission(tmp_path, "/bin/sh", "-c", "exit 127")).diag[-1] == "exitcode=127"


@pytest.mark.parametrize("args", [("/bin/echo", "${$i}"), ("/bin/echo", "`"), ("/bin/echo", "$(")])
@pytest.mark.parametrize("shell", SHELLS)
def test_arguments_that_do_not_expand_fail_the_job_and_leave_a_record(
    tmp_path: Path, args: tuple[str, ...], shell: str
) -> None:
    ran = run(a_submission(tmp_path, *args), shell=shell)

    assert ran.code != 0
    assert ran.done is not None
    assert ran.done.cause == EndCause.NEVER_STARTED


def test_names_of_output_files_may_hold_anything(tmp_path: Path) -> None:
    session = tmp_path / "session" / "job1"
    submission = a_submission(
        tmp_path,
        "/bin/sh",
        "-c",
        "cat; echo oops >&2",
        stdin="in 'x'",
        stdout=f"{session}/o u t",
        stderr=f"{session}/d/e'r$r",
    )
    (session / "in 'x'").write_text("input\n")

    ran = run(submission)

    assert (ran.file("o u t"), ran.file("d/e'r$r")) == ("input\n", "oops\n")


def test_one_file_for_both_outputs_keeps_everything(tmp_path: Path) -> None:
    both = f"{tmp_path}/session/job1/both"

    ran = run(a_submission(tmp_path, "/bin/sh", "-c", "echo a; echo b >&2; echo c", stdout=both, stderr=both))

    assert ran.file("both") == "a\nb\nc\n"


@pytest.mark.parametrize("how", [ALONE, SUPERVISED], ids=["alone", "supervised"])
def test_a_second_copy_says_so_and_touches_nothing(tmp_path: Path, how: ScriptSettings) -> None:
    first = run(a_submission(tmp_path, "/bin/sh", "-c", "echo ran >>ran"), how)
    before = (first.diag, first.done, first.mark)

    second = run(first.submission, how)

    assert second.code == 1
    assert "copy" in second.said
    assert before == (second.diag, second.done, second.mark)
    assert second.file("ran") == "ran\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_term_ends_the_payload_and_still_leaves_a_record(tmp_path: Path, shell: str) -> None:
    submission = a_submission(tmp_path, "/bin/sh", "-c", ": >up; exec sleep 600")
    path = submission.rundir / "script"
    path.write_text(job_script(submission, ALONE))
    with subprocess.Popen([shell, str(path)], stdout=subprocess.DEVNULL) as process:
        until((submission.grami.directory / "up").exists)
        process.send_signal(signal.SIGTERM)
        code = process.wait(10)

    done = read_done(submission.rundir / "done")
    assert done is not None
    assert (code, done.exit_code, done.signal, done.cause) == (143, 143, 15, EndCause.SIGNAL)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("how", [ALONE, SUPERVISED], ids=["alone", "supervised"])
def test_runtime_environments_run_around_the_payload(tmp_path: Path, how: ScriptSettings, shell: str) -> None:
    """Stage 1 may export; options keep their borders; parameters come first; both are listed in call order."""
    runtimes = (
        RuntimeScript(
            name="APPS/X-1.0",
            options=("opt one", "opt2"),
            params='COLOUR="blue"',
            body='echo "$COLOUR $1 $2 $#" >>stages\nexport FROM_RTE=yes',
        ),
        RuntimeScript(name="ENV/DUMMY"),
    )

    ran = run(a_submission(tmp_path, "/usr/bin/printenv", "FROM_RTE"), how, runtimes, shell)

    assert ran.file("stages") == "blue 1 opt one 3\nblue 2 opt one 3\n"
    assert ran.file("out.txt") == "yes\n"
    assert ran.diag[0] == "runtimeenvironments=APPS/X-1.0;ENV/DUMMY;"


@pytest.mark.parametrize(("stage", "mark"), [(1, "failed before\n"), (2, "failed after\n")])
@pytest.mark.parametrize("how", [ALONE, SUPERVISED], ids=["alone", "supervised"])
def test_a_failing_runtime_environment_fails_the_job(
    tmp_path: Path, how: ScriptSettings, stage: int, mark: str
) -> None:
    runtimes = (RuntimeScript(name="BAD", body=f'[ "$1" != {stage} ]'),)

    ran = run(a_submission(tmp_path, "/bin/true"), how, runtimes)

    assert ran.code == 1
    assert ran.mark == (MARKED if how is ALONE else mark)
    assert f"Runtime BAD stage {stage} execution failed." in ran.said
    assert f"Runtime BAD stage {stage} execution failed." in ran.file("err.txt")
    assert not any(line.startswith("exitcode") for line in ran.diag)


def test_a_node_may_see_the_session_elsewhere(tmp_path: Path) -> None:
    submission = a_submission(tmp_path, "/bin/echo", "$HOME")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "session")
    path = submission.rundir / "script"
    path.write_text(job_script(submission, ALONE))

    environment = {**os.environ, "RUNTIME_GRIDAREA_DIR": f"{tmp_path}/elsewhere"}
    subprocess.run(["/bin/sh", str(path)], env=environment, check=True)

    assert (submission.grami.directory / "out.txt").read_text() == f"{tmp_path}/elsewhere/job1\n"


# --- scratch directories ----------------------------------------------------------------------------------------------

HERE = os.uname().nodename


def on_scratch(
    root: Path, how: ScriptSettings = ALONE, *, shared: bool = False, movetool: str = "mv"
) -> ScriptSettings:
    """The node's disk, which is another file system than the session where this machine has two."""
    disk = root / "node's disk"
    disk.mkdir(exist_ok=True)
    seen = root / "seen"
    if shared and not seen.exists():
        seen.symlink_to(disk)
    return replace(how, scratch=Scratch(text=str(disk), movetool=movetool, shared=str(seen) if shared else ""))


def disk_of(root: Path) -> list[str]:
    return sorted(each.name for each in (root / "node's disk").iterdir())


HOWS = pytest.mark.parametrize("how", [ALONE, SUPERVISED], ids=["alone", "supervised"])


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
    submission = a_submission(tmp_path, "/bin/sh", "-c", "echo half >half; exec sleep 600")
    path = submission.rundir / "script"
    path.write_text(job_script(submission, on_scratch(tmp_path, how)))
    with subprocess.Popen([shell, str(path)], stdout=subprocess.DEVNULL, start_new_session=True) as process:
        until((tmp_path / "node's disk" / "job1" / "half").exists)
        if how is ALONE:
            process.send_signal(signal.SIGTERM)
        else:
            os.killpg(process.pid, signal.SIGTERM)
        code = process.wait(10)

    assert code == 143
    assert (submission.grami.directory / "half").read_text() == "half\n"
    assert disk_of(tmp_path) == []


def test_what_a_killed_attempt_has_left_on_the_node_is_found_by_the_next(tmp_path: Path) -> None:
    submission = a_submission(
        tmp_path, "/bin/sh", "-c", "cat input half; [ -e half ] || { echo half >half; sleep 600; }"
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


# --- containers -------------------------------------------------------------------------------------------------------

#: Says how it was called, and which directories it was to show.
FAKE_TOOL = '#!/bin/sh\necho "${0##*/}"; for word; do printf "<%s>" "$word"; done; echo\n'


async def in_container(root: Path, image: str, *tools: str, how: ScriptSettings = ALONE) -> Ran:
    """A job with ENV/SINGULARITY on a node that has these container programs."""
    enabled = root / "control" / "rte" / "enabled" / "ENV"
    enabled.mkdir(parents=True)
    (enabled / "SINGULARITY").symlink_to(Path(lrms.__file__).parent / "rte" / "ENV" / "SINGULARITY")
    bin_dir = root / "bin"
    bin_dir.mkdir()
    for name in ("cat", "date", "env", "id", "mkdir", "mv", "readlink", "rm", "sed", "sh"):
        (bin_dir / name).symlink_to(shutil.which(name) or name)
    for name in tools:
        (bin_dir / name).write_text(FAKE_TOOL)
        (bin_dir / name).chmod(0o700)
    submission = a_submission(
        root, "/bin/x", 'it\'s "$HOME"', runtimes=(RunTime(name="ENV/SINGULARITY", options=(image,)),)
    )
    [ready], refused = await Runtimes().prepare([submission])
    assert refused == {}
    return run(
        ready, how, ready.runtimes, settled=ready.settled, PATH=f"{bin_dir}:/usr/bin:/bin" if tools else f"{bin_dir}"
    )


@pytest.mark.parametrize("tool", ["apptainer", "singularity"])
async def test_a_container_is_run_by_the_first_program_that_the_node_has(tmp_path: Path, tool: str) -> None:
    ran = await in_container(tmp_path, "/images/o'ne", tool, "podman", "bwrap")

    home = ran.submission.grami.directory
    assert ran.file("out.txt") == f"{tool}\n<exec><--home><{home}></images/o'ne></bin/x><it's \"{home}\">\n"
    assert "wninstance=/images/o'ne" in ran.diag


async def test_podman_gets_the_environment_of_the_job_by_name(tmp_path: Path) -> None:
    ran = await in_container(tmp_path, "site/image", "podman", "bwrap")

    assert "<--env><GRID_GLOBAL_JOBID>" in ran.file("out.txt")
    assert f'<site/image></bin/x><it\'s "{ran.submission.grami.directory}">\n' in ran.file("out.txt")


async def test_bubblewrap_shows_the_tree_and_the_session_in_it(tmp_path: Path) -> None:
    """The folders above the session are made anew, but what lies beside them in the tree stays."""
    image = tmp_path / "image"
    first = tmp_path.parts[1]
    (image / first / "beside").mkdir(parents=True)
    (image / "usr").mkdir()
    (image / "bin").symlink_to("usr/bin")

    ran = await in_container(tmp_path, str(image), "bwrap")

    said, home = ran.file("out.txt"), ran.submission.grami.directory
    assert f"<--ro-bind><{image}/usr></usr>" in said
    assert "<--symlink><usr/bin></bin>" in said
    assert f"<--ro-bind><{image}/{first}/beside></{first}/beside>" in said
    assert f"</{first}><" not in said.replace("<--tmpfs></tmp><", "<--tmpfs><")
    assert f"<--bind><{home}><{home}><--chdir><{home}>" in said


async def test_a_node_without_a_container_program_says_so(tmp_path: Path) -> None:
    ran = await in_container(tmp_path, "/images/one")

    assert ran.code == 1
    assert "this node has no apptainer, singularity, podman or bubblewrap" in ran.file("err.txt")


# --- under the fork backend -------------------------------------------------------------------------------------------


class ScratchWorld(ForkWorld):
    """Fork, on a scratch directory."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        disk = root / "disk"
        disk.mkdir()
        self.settings = replace(
            self.settings, script=replace(self.settings.script, scratch=Scratch(text=str(disk), movetool="mv"))
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ScratchWorld]:
    world = ScratchWorld(tmp_path)
    yield world
    await world.clean_up()


@pytest.fixture
async def backend(world: ScratchWorld) -> AsyncIterator[ForkBackend]:
    backend = world.backend()
    await backend.start()
    yield backend
    await backend.close()


async def test_a_cancelled_job_brings_its_files_back(world: ScratchWorld, backend: ForkBackend, tmp_path: Path) -> None:
    submission = world.submission(script="echo half >half; exec sleep 600")
    job = await submitted(backend, submission)
    await happens((tmp_path / "disk" / submission.job / "half").exists)

    await backend.cancel([job])
    report = await end_of(backend, job)

    assert report.cause is EndCause.CANCELLED
    assert (submission.grami.directory / "half").read_text() == "half\n"
    assert list((tmp_path / "disk").iterdir()) == []


async def test_the_owner_is_told_why_a_script_came_to_nothing(world: ScratchWorld, backend: ForkBackend) -> None:
    (world.root / "disk").rmdir()
    submission = world.submission()

    report = await end_of(backend, await submitted(backend, submission))

    assert report.cause is EndCause.NEVER_STARTED
    assert report.message.startswith("Job failed: never started (The scratch directory ")


async def test_stage_0_decides_before_the_job_is_handed_over(world: ScratchWorld, backend: ForkBackend) -> None:
    script = world.root / "control" / "rte" / "enabled" / "X"
    script.parent.mkdir(parents=True)
    script.write_text("case $1$2 in 0no) echo not today; exit 1 ;; 0) joboption_env_0=NEW=two ;; esac")
    good = world.submission(script="echo $NEW", runtimes=(RunTime(name="X"),))
    bad = world.submission(runtimes=(RunTime(name="X", options=("no",)),))

    answers = await backend.submit([good, bad])

    assert str(answers[bad.tag]) == "Runtime X stage 0 execution failed: exit code 1: not today"
    await end_of(backend, local_job(good, LocalId(str(answers[good.tag]))))
    assert (good.grami.directory / "out.txt").read_text() == "two\n"


@HOWS
def test_the_script_with_scratch_is_clean(tmp_path: Path, how: ScriptSettings) -> None:
    submission = a_submission(tmp_path, "/bin/true")

    for each in (on_scratch(tmp_path, how), on_scratch(tmp_path, how, shared=True)):
        assert shellcheck(job_script(submission, each)) == ""
    assert shellcheck(job_script(submission, how, (), Settled(scratch="$WORKDIR", command="nice ./x"))) == ""


NASTY = (
    "",
    " ",
    "'",
    '"',
    "\\",
    "`",
    "$(",
    "${$i}",
    "a'b\"c\\d",
    "\n",
    "#!",
    "$x",
    "é“”\u00a0",
    "-e",
    "%s",
    "EOF",
    "*",
    "\\'",
)


def shellcheck(text: str, shell: str = "sh") -> str:
    program = shutil.which("shellcheck")
    assert program, "shellcheck is part of the test tools"
    done = subprocess.run([program, "-s", shell, "-"], input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "how",
    [ALONE, SUPERVISED, ScriptSettings(directives=("#SBATCH --no-requeue",))],
    ids=["alone", "supervised", "batch"],
)
def test_the_script_is_clean_whatever_the_job_contains(tmp_path: Path, how: ScriptSettings) -> None:
    submission = a_submission(
        tmp_path,
        *NASTY,
        environment=tuple((f"V{n}", text) for n, text in enumerate(NASTY)) + tuple((text, "x") for text in NASTY),
        stdout=f"/s/{''.join(NASTY)}",
        stderr=f"/s/{''.join(NASTY)}2",
        stdin="".join(NASTY),
        joburl="'",
    )
    runtimes = tuple(RuntimeScript(name=f"A{text}", options=NASTY) for text in NASTY)

    assert shellcheck(job_script(submission, how, runtimes)) == ""
    assert shellcheck(job_script(submission, how)) == ""
    assert shellcheck("echo $unquoted\n")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_characters="\0$`\n", exclude_categories=["Cs"])), max_size=4))
def test_text_without_expansions_survives_the_shell(tmp_path: Path, values: list[str]) -> None:
    submission = a_submission(tmp_path, "/usr/bin/printf", "%s\\0", *values)
    for leftover in submission.rundir.iterdir():
        leftover.unlink()

    ran = run(submission, SUPERVISED)

    assert (
        "".join(f"{each}\0" for each in values or [""])
        == (ran.submission.grami.directory / "out.txt").read_bytes().decode()
    )
