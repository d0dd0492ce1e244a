"""``arcsub -- COMMAND`` and ``arcrun -- COMMAND`` at the shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from arex.cli import jobcommand
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from tests.shell import User


def the_job(user: User) -> JobDescription:
    [job] = user.plugin.jobs()
    text = user.plugin.store.read(job, "description")
    assert text is not None
    return parse(text, DescriptionDialect.GRIDMANAGER)[0]


def script(user: User, name: str = "run.sh") -> str:
    (user.home / name).write_text("#!/bin/sh\n")
    return name


@pytest.mark.parametrize("written", ["run.sh", "./run.sh"])
def test_a_program_here_is_uploaded(user: User, written: str) -> None:
    script(user)

    said = user.run("arcsub", "--", written, "a b", "c")

    [job] = user.plugin.jobs()
    found = the_job(user)
    assert said.code == 0, said.err
    assert (found.executable, found.arguments, found.name) == ("run.sh", ("a b", "c"), "run.sh")
    assert (found.stdout, found.stderr) == ("stdout.txt", "stderr.txt")
    assert (user.home / "session" / job / "run.sh").stat().st_mode & 0o777 == 0o700


def test_a_program_of_another_directory_has_its_name_in_the_session(user: User) -> None:
    (user.home / "bin").mkdir()
    script(user, "bin/run.sh")

    user.run("arcsub", "--", "bin/run.sh")

    [job] = user.plugin.jobs()
    assert the_job(user).executable == "run.sh"
    assert (user.home / "session" / job / "run.sh").exists()


def test_a_program_of_the_node_is_not_uploaded(user: User) -> None:
    assert user.run("arcsub", "--", "/bin/echo", "hi").code == 0
    assert (the_job(user).executable, the_job(user).arguments, the_job(user).inputs) == ("/bin/echo", ("hi",), ())


def test_a_name_is_looked_up_on_the_node(user: User) -> None:
    assert user.run("arcsub", "--", "echo", "hi").err.count("\n") == 1  # no service is running
    assert (the_job(user).executable, the_job(user).arguments) == ("/usr/bin/env", ("echo", "hi"))


def test_a_name_that_is_nowhere_is_a_warning(user: User) -> None:
    said = user.run("arcsub", "--", "no-such-program")

    assert said.code == 0
    assert f"WARNING: there is no program no-such-program on PATH here, nor a file no-such-program in {user.home}" in (
        said.err
    )


def test_a_path_that_is_nowhere_is_an_error(user: User) -> None:
    said = user.run("arcsub", "--", "./nosuch.sh")

    assert said.code == 1
    assert f"there is no file ./nosuch.sh in {user.home}" in said.err
    assert user.plugin.jobs() == []


def test_what_the_job_script_would_expand_is_in_a_variable(user: User) -> None:
    user.run("arcsub", "--", "echo", "$HOME", "`id`", "it's\nnew")

    found = the_job(user)
    assert (found.executable, found.arguments) == ("/bin/sh", ("-c", "$AREX_COMMAND"))
    assert found.environment == (
        (
            "AREX_COMMAND",
            (
                "unset AREX_COMMAND; arex_newline=$(printf '\\nx'); arex_newline=${arex_newline%x}; "
                "exec echo '$HOME' '`id`' 'it'\\''s'\"$arex_newline\"'new'"
            ),
        ),
    )


def test_options_say_what_the_command_needs(user: User) -> None:
    for name in ("data.txt", "a=b"):
        (user.home / name).touch()
    (user.home / "ctl" / "rte" / "enabled").mkdir(parents=True)
    (user.home / "ctl" / "rte" / "enabled" / "R").symlink_to("/dev/null")

    said = user.run(
        "arcsub", "--walltime", "1h30m", "--memory", "4G", "--slots", "1", "-q", "q2", "--name", "n", "--rte", "R",
        "--env", "A=b=c", "--env", "D=", "--input", "data.txt", "--input", "a=b", "--input", f"{user.home}/data.txt=d",
        "--input", "far=https://h/x", "--input", "https://h/y?z=1", "--output", "o", "--output", "p=https://h/p",
        "--output", "r=results/r", "--", "/bin/true",
    )  # fmt: skip

    found = the_job(user)
    assert said.code == 0, said.err
    resources = found.resources
    assert (resources.walltime_s, resources.memory_mb, resources.slots, resources.queue) == (5400, 4096, 1, "q2")
    assert ([one.full_name for one in resources.runtimes], found.name) == (["R"], "n")
    assert found.environment == (("A", "b=c"), ("D", ""))
    assert [(file.name, [one.url for one in file.sources]) for file in found.inputs] == [
        ("data.txt", []),
        ("a=b", []),
        ("d", []),
        ("far", ["https://h:443/x"]),
        ("y", ["https://h:443/y?z=1"]),
    ]
    assert [(file.name, [one.url for one in file.targets]) for file in found.outputs] == [
        ("o", []),
        ("p", ["https://h:443/p"]),
        ("r", [f"file:{user.home}/results/r"]),
        ("stdout.txt", []),
        ("stderr.txt", []),
    ]


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--walltime", "abc", "'abc' is not a period of time"),
        ("--walltime", "01:30", "'01:30' is ambiguous"),
        ("--memory", "lots", "'lots' is not a size in MB"),
        ("--slots", "0", "0 is not in the range"),
        ("--env", "A", "'A': expected NAME=VALUE"),
        ("--env", "1A=b", "'1A=b': expected NAME=VALUE"),
        ("--label", "A", "'A': expected NAME=VALUE"),
        ("--label", "a b=c", "label 'a b': expected 1 to 64 letters"),
    ],
)
def test_an_impossible_value_is_a_usage_error(user: User, option: str, value: str, why: str) -> None:
    said = user.run("arcsub", option, value, "--", "/bin/true")

    assert said.code == 2
    assert why in " ".join(said.err.split())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            ["--walltime", "1h", "job.xrsl"],
            "(arcsub --walltime ... -- COMMAND): in a job description, write the attribute instead",
        ),
        (["--env", "A=b", "-e", "&(executable=/bin/true)"], "--env belongs to a command"),
        (["job.xrsl", "--", "/bin/true"], "expected either job descriptions or a command behind --, not both"),
        (["--"], "expected a command behind --"),
    ],
)
@pytest.mark.parametrize("program", ["arcsub", "arcrun"])
def test_a_command_and_a_description_exclude_each_other(user: User, program: str, options: list[str], why: str) -> None:
    (user.home / "job.xrsl").write_text("&(executable=/bin/true)")

    said = user.run(program, *options)

    assert said.code == 2
    assert why in " ".join(said.err.split())


@pytest.mark.parametrize("program", ["arcsub", "arcrun"])
@pytest.mark.parametrize(
    ("content", "path", "shown"),
    [
        (b"#!/bin/sh\necho\n", "run.sh", "./run.sh"),
        (b"#! /usr/bin/env python3\n", "sub/run.sh", "sub/run.sh"),
        (b"\x7fELF\x02\x01", "run", "./run"),
    ],
)
def test_a_program_in_place_of_a_description_is_recognized(
    user: User, program: str, content: bytes, path: str, shown: str
) -> None:
    (user.home / "sub").mkdir()
    (user.home / path).write_bytes(content)

    said = user.run(program, path)

    assert said.code == 1
    assert f"{path} is a program, not a description; to run it: {program} -- {shown}" in said.err


def test_a_comment_of_jdl_is_not_a_program(user: User) -> None:
    (user.home / "job.jdl").write_text('#! analysis\n[ Executable = "/bin/true"; ]\n')

    assert user.run("arcsub", "job.jdl").code == 0


def test_nothing_is_expanded_without_need() -> None:
    """Plain commands stay readable in the control directory."""
    job = jobcommand.job_of(["/bin/echo", "a b", "\\", '"', "*"], jobcommand.Wanted(), Path("/"))

    assert (job.executable, job.arguments, job.environment) == ("/bin/echo", ("a b", "\\", '"', "*"), ())
