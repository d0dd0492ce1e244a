"""The job script, run by a real shell: alone as under a batch system, and as a supervisor would."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.model.report import EndCause
from lrms.attempt.record import read_done
from lrms.jobscript.script import job_script
from lrms.jobscript.settings import RuntimeScript, ScriptSettings
from tests.contract.jobscript.script import ALONE, MARKED, SHELLS, SUPERVISED, a_program, a_submission, run
from tests.contract.worlds import until


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


def test_node_and_system_are_asked_on_the_node_where_no_one_knows_them(tmp_path: Path) -> None:
    os_release = Path("/etc/os-release").read_text()

    ran = run(a_submission(tmp_path, "/bin/true"), ScriptSettings(nodes_command="printf 'a\\nb\\n'"))

    assert ran.diag[2:4] == ["nodename=a", "nodename=b"]
    name = shlex.split(next(line for line in os_release.splitlines() if line.startswith("PRETTY_NAME=")))[0]
    assert ran.diag[1] == f"systemsoftware={name.removeprefix('PRETTY_NAME=')}"
    assert ran.done is not None
    assert ran.done.nodes == ("a", "b")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("node", ["as usual", "a date that reads no file", "no /proc/uptime", "neither"])
def test_start_and_end_are_right_whatever_the_node_can_tell(tmp_path: Path, node: str, shell: str) -> None:
    """BusyBox's date reads no file, and a sandbox may hide the clock of the kernel."""
    before = datetime.now(UTC).replace(microsecond=0)
    submission = a_submission(tmp_path, "/bin/sleep", "2")
    path = submission.rundir / "script"
    text = job_script(submission, ALONE)
    assert text.count("/proc/uptime") == 2
    if node in {"no /proc/uptime", "neither"}:
        text = text.replace("/proc/uptime", str(tmp_path / "missing"))
    path.write_text(text)
    if node in {"a date that reads no file", "neither"}:
        simple = tmp_path / "bin" / "date"
        simple.parent.mkdir()
        simple.write_text('#!/bin/sh\ncase " $* " in *" -f "*) echo "unrecognized option: f" >&2; exit 1 ;; esac\n'
                          f'exec {shutil.which("date")} "$@"\n')  # fmt: skip
        simple.chmod(0o755)

    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    done = subprocess.run([shell, str(path)], env=environment, capture_output=True, text=True, check=True)

    record = read_done(submission.rundir / "done")
    assert (done.stdout, done.stderr) == ("", "")
    assert record is not None
    assert record.start is not None
    assert record.end is not None
    assert before - timedelta(seconds=1) <= record.start <= record.end <= datetime.now(UTC)
    assert 2 <= (record.end - record.start).total_seconds()
    diag = dict(line.split("=", 1) for line in submission.diag.read_text().splitlines() if "=" in line)
    assert diag["LRMSStartTime"] == f"{record.start:%Y%m%d%H%M%SZ}"
    assert diag["LRMSEndTime"] == f"{record.end:%Y%m%d%H%M%SZ}"
    assert diag["walltime"] == str(int((record.end - record.start).total_seconds()))


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("date", ["missing", "failing", "missing for the job"])
def test_a_node_without_date_does_not_cost_the_exit_code(tmp_path: Path, date: str, shell: str) -> None:
    """A job may set its own PATH, without the programs of the system."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sleep", "hostname", "tr"):
        (programs / name).symlink_to(str(shutil.which(name)))
    if date == "failing":
        (programs / "date").write_text("#!/bin/sh\nexit 1\n")
        (programs / "date").chmod(0o755)
    elif date == "missing for the job":
        (programs / "date").symlink_to(str(shutil.which("date")))
    own = (("PATH", "/opt/app/bin"),) if date == "missing for the job" else ()
    submission = a_submission(tmp_path, "/bin/sh", "-c", "/bin/sleep 1; exit 3", environment=own)
    path = submission.rundir / "script"
    path.write_text(job_script(submission, ScriptSettings()))
    before = datetime.now(UTC)

    done = subprocess.run([shell, str(path)], env={"PATH": str(programs)}, capture_output=True, text=True, check=False)

    record = read_done(submission.rundir / "done")
    assert record is not None, done
    assert (done.returncode, record.exit_code, record.cause) == (3, 3, EndCause.EXIT_CODE)
    assert before - timedelta(seconds=2) <= record.start < record.end <= datetime.now(UTC)
    assert record.nodes != ()
    diag = submission.diag.read_text()
    assert "\nexitcode=3\n" in diag
    assert "\nnodename=\n" not in diag


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


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("first", "shown"),
    [("#!/bin/bash", "/bin/bash^M"), ("#! /bin/sh", "/bin/sh^M"), ("#!/usr/bin/env python3", "/usr/bin/env python3^M")],
)
def test_a_script_with_windows_line_ends_is_said_to_have_them(
    tmp_path: Path, shell: str, first: str, shown: str
) -> None:
    """At once, in a record that can be read: it is never started."""
    submission = a_submission(tmp_path, "./program")
    program = submission.grami.directory / "program"
    program.write_text(f"{first}\necho hello\n", newline="\r\n")
    program.chmod(0o700)

    ran = run(submission, shell=shell)

    words = f"Cannot run ./program: {shown}: not found (^M is a carriage return: the script has Windows line ends)"
    assert f"{words}\n" in ran.file("err.txt")
    assert ran.done is not None
    assert (None, EndCause.NEVER_STARTED, words) == (ran.done.exit_code, ran.done.cause, ran.done.message)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("how", [ALONE, SUPERVISED], ids=["alone", "supervised"])
def test_carriage_returns_reach_the_job_and_are_in_no_script(tmp_path: Path, shell: str, how: ScriptSettings) -> None:
    """sbatch refuses a script that has one at the end of a line, whatever it belongs to."""
    odd = "a\r\nb\r"
    submission = a_submission(tmp_path, "/usr/bin/printf", "%s|%s", odd, "$NOTE", environment=(("NOTE", odd),))
    runtimes = (RuntimeScript(name="X", options=("o\r",), params="A=1\r\n", body='[ "$A" = 1 ] || exit 3\r\n'),)

    ran = run(submission, how, runtimes, shell)

    assert b"\r" not in (submission.rundir / "script").read_bytes()
    assert f"{odd}|{odd}".encode() == (submission.grami.directory / "out.txt").read_bytes()
    assert 0 == ran.code


def test_an_exit_code_of_127_is_the_payloads_own_if_it_could_run(tmp_path: Path) -> None:
    assert run(a_submission(tmp_path, "/bin/sh", "-c", "exit 127")).diag[-1] == "exitcode=127"


def test_a_payload_that_makes_a_pipe_of_its_accounting_file_ends(tmp_path: Path) -> None:
    ran = run(a_submission(tmp_path, "/bin/sh", "-c", "rm -f ../job1.diag; mkfifo ../job1.diag; exit 3"))

    assert ran.done is not None
    assert 3 == ran.done.exit_code


@pytest.mark.parametrize(
    "damage",
    [
        'rm -rf "$R"',
        'rm -rf "${R%/*}"',
        'rm -rf "$R"; ln -s "$R" "$R"',
        'rm -rf "$R"; mkfifo "$R"',
        'chmod 000 "$R"',
        'chmod 000 "${R%/*}"',
        'chmod 500 "$R"',
        'mkfifo "$R/done"',
        'mkdir -p "$R/done/below"',
        'ln -s done "$R/done"',
    ],
)
@pytest.mark.parametrize("shell", SHELLS)
def test_the_exit_code_is_recorded_whatever_becomes_of_the_run_directory(
    tmp_path: Path, damage: str, shell: str
) -> None:
    submission = a_submission(tmp_path, "./program")
    program = submission.grami.directory / "program"  # arguments would be expanded before it runs
    program.write_text(f"#!/bin/sh\nR=$(echo ../job1.lrms/*)\n: >ran; {damage}\nexit 3\n")
    program.chmod(0o700)
    ran = run(submission, shell=shell)

    assert (3, "") == (ran.code, ran.file("ran"))
    assert ran.done is not None
    assert (3, EndCause.EXIT_CODE) == (ran.done.exit_code, ran.done.cause)
    assert MARKED == ran.mark, "no other copy of the attempt may start"


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
    submission = a_program(tmp_path, ": >up; exec sleep 600")
    path = submission.rundir / "script"
    path.write_text(job_script(submission, ALONE))
    with subprocess.Popen([shell, str(path)], stdout=subprocess.DEVNULL) as process:
        until((submission.grami.directory / "up").exists)
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)

    done = read_done(submission.rundir / "done")
    assert done is not None
    assert (code, done.exit_code, done.signal, done.cause) == (143, 143, 15, EndCause.SIGNAL)


@pytest.mark.parametrize("shell", SHELLS)
def test_term_before_the_pid_of_the_payload_is_known_is_passed_on(tmp_path: Path, shell: str) -> None:
    submission = a_program(tmp_path, ": >up; exec sleep 600")
    path = submission.rundir / "script"
    script = job_script(submission, ALONE)
    late = "until [ -e late ]; do sleep 0.02; done\narex_pid=$!\n"
    assert 1 == script.count("arex_pid=$!\n")
    path.write_text(script.replace("arex_pid=$!\n", late))
    session = submission.grami.directory
    with subprocess.Popen([shell, str(path)], stdout=subprocess.DEVNULL) as process:
        until((session / "up").exists)
        process.send_signal(signal.SIGTERM)
        until(lambda: not signals_pending(process.pid))
        (session / "late").touch()
        code = process.wait(60)

    done = read_done(submission.rundir / "done")
    assert done is not None
    assert (code, done.exit_code, done.signal, done.cause) == (143, 143, 15, EndCause.SIGNAL)


def signals_pending(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return "ShdPnd:\t0000000000000000\n" not in status


@pytest.mark.parametrize("shell", SHELLS)
def test_a_second_term_is_not_the_end_of_the_payload(tmp_path: Path, shell: str) -> None:
    """Some batch systems repeat it; the script would record an end, and move files that are still being written."""
    payload = "trap 'echo one >>heard' TERM; : >up; until [ -e end ]; do sleep 0.05; done; exit 7"
    submission = a_program(tmp_path, payload)
    session = submission.grami.directory
    path = submission.rundir / "script"
    path.write_text(job_script(submission, ALONE))
    with subprocess.Popen([shell, str(path)], stdout=subprocess.DEVNULL) as process:
        until((session / "up").exists)
        for count in (1, 2, 3):
            process.send_signal(signal.SIGTERM)
            until(lambda: (session / "heard").exists() and (session / "heard").read_text() == count * "one\n")  # noqa: B023 - used at once
        assert process.poll() is None
        (session / "end").touch()
        code = process.wait(60)

    done = read_done(submission.rundir / "done")
    assert done is not None
    assert (code, done.exit_code) == (7, 7)


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
