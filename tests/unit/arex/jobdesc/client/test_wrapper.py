"""The script around a job, run by a real shell."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from arex.errors import JobDescriptionError
from arex.jobdesc import DescriptionDialect, parse
from arex.jobdesc.client.complete import CompletedDescription, complete
from arex.jobdesc.client.wrapper import script, wrapped
from arex.jobdesc.model import JobDescription, Program


def run(job: JobDescription, directory: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    (directory / "w.sh").write_text(script(job))
    return subprocess.run(["sh", "w.sh"], cwd=directory, input=stdin, text=True, capture_output=True, check=False)


def shell(text: str, code: int | None = 0) -> Program:
    return Program(path="/bin/sh", arguments=("-c", text), exit_code=code)


def job(text: str, **more: object) -> JobDescription:
    return JobDescription(executable="/bin/sh", arguments=("-c", text), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "main", "after", "code", "printed"),
    [
        ("echo a", "echo b", "echo c", 0, "a\nb\nc\n"),
        ("exit 7", "echo b", "echo c", 7, ""),
        ("echo a", "exit 3", "echo c", 3, "a\nc\n"),
        ("echo a", "echo b", "exit 4", 4, "a\nb\n"),
        ("echo a", "exit 3", "exit 4", 3, "a\n"),
    ],
)
def test_a_failure_before_stops_the_job_and_one_after_counts_for_it(
    tmp_path: Path, before: str, main: str, after: str, code: int, printed: str
) -> None:
    done = run(job(main, before=(shell(before),), after=(shell(after),)), tmp_path)

    assert (done.returncode, done.stdout) == (code, printed)


def test_what_failed_is_said(tmp_path: Path) -> None:
    assert run(job("true", before=(shell("exit 7"),)), tmp_path).stderr == "/bin/sh failed with exit code 7\n"


def test_a_failure_never_has_the_expected_exit_code(tmp_path: Path) -> None:
    assert run(job("exit 7", exit_code=7, before=(shell("exit 7"),)), tmp_path).returncode == 1
    assert run(job("exit 1", exit_code=1, after=(shell("exit 1"),)), tmp_path).returncode == 2
    assert run(job("exit 1", exit_code=1, after=(shell("exit 0"),)), tmp_path).returncode == 1


def test_a_program_that_asks_for_no_exit_code_does_not_fail(tmp_path: Path) -> None:
    assert run(job("echo b", before=(shell("exit 7", None),), after=(shell("exit 7", None),)), tmp_path).returncode == 0


def test_arguments_arrive_as_they_are(tmp_path: Path) -> None:
    words = ("$HOME", "`id`", "a 'b' \"c\"", "\\", "line\nbreak", "", "*", "é")

    done = run(JobDescription(executable="/usr/bin/printf", arguments=("<%s>", *words)), tmp_path)

    assert done.stdout == "".join(f"<{word}>" for word in words)


def test_standard_input_is_for_the_job_alone(tmp_path: Path) -> None:
    around = (shell("cat >/dev/null"), shell("cat >/dev/null", None))

    assert run(job("cat", before=around, after=around), tmp_path, "in").stdout == "in"


def test_programs_are_found_in_the_session_directory_or_behind_a_variable(tmp_path: Path) -> None:
    (tmp_path / "my prog").write_text("#!/bin/sh\necho mine\n")
    (tmp_path / "my prog").chmod(0o755)

    assert run(JobDescription(executable="my prog"), tmp_path).stdout == "mine\n"
    assert run(JobDescription(executable="$PWD/my prog"), tmp_path).stdout == "mine\n"


def test_the_script_takes_the_place_of_the_executable() -> None:
    sent, file, _ = wrapped(job("true", before=(shell("true"),), stdout="o", exit_code=2))

    assert sent == JobDescription(executable="arex-wrapper.sh", stdout="o", exit_code=2)
    assert (file.name, file.executable) == ("arex-wrapper.sh", True)


def test_nul_is_refused() -> None:
    with pytest.raises(JobDescriptionError, match="NUL"):
        script(job("a\0b"))


def completed(text: str, directory: Path) -> CompletedDescription:
    return complete(parse(text, DescriptionDialect.USER)[0], directory)


def test_a_client_uploads_the_script_and_what_it_runs(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    (tmp_path / "pro").touch()

    found = completed('[ Executable = "run"; Prologue = "pro"; PrologueArguments = "x"; ]', tmp_path)

    assert [upload.name for upload in found.uploads] == ["run", "pro", "arex-wrapper.sh"]
    assert all(upload.executable for upload in found.uploads)
    assert (found.uploads[2].content or b"").startswith(b"#!/bin/sh\n")
    assert found.description.unsupported == ()
    assert complete(found.record, tmp_path) == found


def test_wildcards_stand_for_the_files_that_are_there(tmp_path: Path) -> None:
    for name in ("b.dat", "a.dat", "c[1]", "other"):
        (tmp_path / name).touch()

    found = completed('[ Executable = "/x"; InputSandbox = {"*.dat", "c[1]"}; ]', tmp_path)

    assert [(upload.name, upload.path) for upload in found.uploads] == [
        (name, tmp_path / name) for name in ("a.dat", "b.dat", "c[1]")
    ]


@pytest.mark.parametrize(
    ("sandbox", "what"), [('{"*.none"}', "No local input file matches"), ('{"*.dat", "/a.dat"}', "the same name")]
)
def test_wildcards_that_do_not_work_out_are_refused(tmp_path: Path, sandbox: str, what: str) -> None:
    (tmp_path / "a.dat").touch()

    with pytest.raises(JobDescriptionError, match=what):
        completed(f'[ Executable = "/x"; InputSandbox = {sandbox}; ]', tmp_path)


# --- variables that refer to others -----------------------------------------------------------------------------------

JDL = """[
  Executable = "/bin/sh"; Arguments = "-c 'env; echo arg=$1' x ${DATA}/file";
  Environment = { "PLAIN=a b", "BASE=$HOME/tools", "DATA=$BASE/data", "ODD=$PLAIN `id` $(id) \\\\ end" };
]"""


def test_variables_are_expanded_on_the_node_in_their_order_and_nothing_else_is(tmp_path: Path) -> None:
    [described] = parse(JDL, DescriptionDialect.USER)
    completed = complete(described, tmp_path)
    [upload] = [each for each in completed.uploads if each.content]
    (tmp_path / upload.name).write_bytes(upload.content or b"")
    environment = {**dict(completed.description.environment), "HOME": "/session", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["sh", upload.name], cwd=tmp_path, env=environment, text=True, capture_output=True, check=True
    )
    lines = done.stdout.splitlines()

    home = pwd.getpwuid(os.geteuid()).pw_dir
    assert {f"BASE={home}/tools", f"DATA={home}/tools/data", "PLAIN=a b", "HOME=/session"} <= set(lines)
    assert f"arg={home}/tools/data/file" in lines
    assert "ODD=a b `id` $(id) \\ end" in lines
    assert (("PLAIN", "a b"),) == completed.description.environment
    assert completed.record.expanded == described.expanded


def test_without_references_there_is_no_script(tmp_path: Path) -> None:
    [described] = parse('[ Executable = "/bin/true"; Environment = { "PRICE=5$", "A=b" }; ]', DescriptionDialect.USER)

    assert () == complete(described, tmp_path).uploads
    assert (("PRICE", "5$"), ("A", "b")) == described.environment
