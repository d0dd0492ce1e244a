"""Our clients as separate programs, our service with its fork backend: jobs from shell to shell."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.trees import everything_below

ROOT = Path(__file__).parents[2]
HELLO = '&(executable=/bin/echo)(arguments="hello world")(stdout=out.txt)(jobname=hello)'


@dataclass
class Shell:
    """Someone who runs programs in a separate directory."""

    home: Path

    async def start(self, program: str, *args: str) -> asyncio.subprocess.Process:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("X509", "ARC_"))},
            "HOME": str(self.home),
            "ARC_CONFIG": str(self.home / "arc.conf"),
            "PYTHONPATH": str(ROOT),
            "AREX_TRACEBACK": "1",
            "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",  # as in the tutorial
            "VIRTUAL_ENV": sys.prefix,
        }
        argv = [sys.executable, "-c", f"from arex.cli import entry; entry.{program}()", *args]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*argv, cwd=self.home, env=environment, stdout=pipe, stderr=pipe)

    async def run(self, program: str, *args: str) -> tuple[int, str, str]:
        process = await self.start(program, *args)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    def file(self, name: str, text: str) -> str:
        (self.home / name).write_text(text)
        return name


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    (tmp_path / "arc.conf").write_text(
        f"[common]\n[lrms]\nlrms=fork\n[arex]\ncontroldir={tmp_path}/ctl\nsessiondir={tmp_path}/session\n"
        f"pidfile={tmp_path}/run/arex.pid\njoblog={tmp_path}/run/jobs.log\n[arex/service]\nfork_slots=4\n[queue:q1]\n"
    )
    shell = Shell(tmp_path)
    service = await shell.start("arex", "run", "--allow-root")
    while not (tmp_path / "run" / "arex.pid").exists():
        assert service.returncode is None, (await service.communicate())[1].decode()
        await asyncio.sleep(0.01)
    yield shell
    service.terminate()
    _, err = await service.communicate()
    assert service.returncode == 0, err.decode()


async def test_a_job_goes_in_runs_and_comes_back(shell: Shell) -> None:
    code, out, err = await shell.run("arcsub", "--wait", shell.file("hello.xrsl", HELLO))
    assert (code, out.startswith("Job submitted with jobid: file://")) == (0, True), err
    job = out.strip().rpartition("/")[2]

    _, status, _ = await shell.run("arcstat", "--json", "hello")
    _, printed, _ = await shell.run("arccat", "hello")
    code, _, err = await shell.run("arcget", "-a")

    [found] = json.loads(status)["jobs"]
    assert (found["state"], found["exit_code"], printed) == ("Finished", 0, "hello world\n")
    assert (code, (shell.home / job / "out.txt").read_text()) == (0, "hello world\n"), err


async def test_uploads_run_with_their_x_bit(shell: Shell) -> None:
    shell.file("run.sh", '#!/bin/sh\ncat in/put "$1"\n')
    shell.file("data", "data\n")

    code, out, err = await shell.run(
        "arcrun", "-e", '&(executable=run.sh)(arguments=other)(inputfiles=("in/put" data)(other data))'
    )

    assert (code, out) == (0, "data\ndata\n"), err


async def test_a_job_s_exit_code_and_streams_are_those_of_arcrun(shell: Shell) -> None:
    job = '&(executable=/bin/sh)(arguments="-c" "echo out; echo err >&2; exit 7")'

    code, out, err = await shell.run("arcrun", "-D", "results", "-e", job)

    assert (code, out) == (7, "out\n")
    assert "err\n" in err
    [result] = (shell.home / "results").iterdir()
    assert (result / "stdout.txt").read_text() == "out\n"


async def test_a_job_that_a_signal_ended_has_the_shell_s_code(shell: Shell) -> None:
    code, _, err = await shell.run("arcrun", "-e", '&(executable=/bin/sh)(arguments="-c" "kill -9 $$")')

    assert code == 128 + 9, err


async def test_output_comes_while_the_job_runs(shell: Shell) -> None:
    """The job ends only after the user has seen its first line."""
    gate = shell.home / "gate"
    os.mkfifo(gate)
    process = await shell.start("arcrun", "-e", f'&(executable=/bin/sh)(arguments="-c" "echo first; read x <{gate}")')
    assert process.stdout is not None

    first = await process.stdout.readline()
    await asyncio.to_thread(gate.write_text, "go\n")
    await process.communicate()

    assert (first, process.returncode) == (b"first\n", 0)


async def test_an_interrupt_ends_the_job(shell: Shell) -> None:
    process = await shell.start("arcrun", "-e", '&(executable=/bin/sh)(arguments="-c" "echo on; sleep 600")')
    assert process.stdout is not None
    await process.stdout.readline()

    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()

    _, out, _ = await shell.run("arcstat", "-a")
    assert (process.returncode, " State: Killed\n" in out) == (130, True), err


async def test_arckill_ends_a_running_job(shell: Shell) -> None:
    _, out, _ = await shell.run("arcsub", "-e", "&(executable=/bin/sleep)(arguments=600)(jobname=sleeper)")
    job = out.strip().rpartition(" ")[2]

    code, _, _ = await shell.run("arckill", "-k", job)
    waited, _, err = await shell.run("arcstat", "--wait", job)

    assert (code, waited) == (0, 1)
    assert err.strip().endswith(": Killed (canceled by its owner)")


async def test_a_hundred_jobs_of_one_command_all_run(shell: Shell) -> None:
    job = shell.file("job", "&(executable=/bin/true)")

    code, out, err = await shell.run("arcsub", "--wait", *[job] * 100)

    assert (code, out.count("Job submitted with jobid")) == (0, 100), err[-2000:]


async def test_cleaned_jobs_leave_nothing(shell: Shell) -> None:
    _, out, _ = await shell.run("arcsub", "--wait", "-e", HELLO)
    job = out.strip().rpartition("/")[2]

    code, _, err = await shell.run("arcclean", "-a")
    while any(job in path.name for path in everything_below(shell.home / "ctl")):
        await asyncio.sleep(0.01)

    assert (code, (shell.home / "session" / job).exists()) == (0, False), err


async def test_the_service_is_shown(shell: Shell) -> None:
    while not (shell.home / "ctl" / "info.xml").exists():
        await asyncio.sleep(0.01)

    code, out, err = await shell.run("arcinfo", "--json")

    shown = json.loads(out)
    assert (code, shown["running"], shown["service"]["shares"][0]["name"]) == (0, True, "q1"), err


async def test_a_job_gets_nothing_of_the_environment_that_arex_is_installed_in(shell: Shell) -> None:
    assert Path(sys.prefix, "bin/python3").exists()

    code, out, err = await shell.run("arcrun", "-e", '&(executable=/usr/bin/env)(arguments=sh -c "env; which python3")')

    assert code == 0, err
    assert "PATH=" in out
    assert sys.prefix not in out
    assert not [line for line in out.splitlines() if line.startswith(("PYTHON", "VIRTUAL_ENV"))]


SHOW = """\
#!/bin/sh
for word; do printf '<%s>' "$word"; done
env | grep -e '^AREX_COMMAND' -e '^AREX_ARRAY' | sort
exit 7
"""


async def test_the_words_of_a_command_arrive_as_they_are(shell: Shell) -> None:
    every = "".join(map(chr, range(32, 127))) + "\n\tüñ☃"
    words = [
        every,
        "",
        "$HOME $(id) `id` ${x}",
        "it's",
        '"',
        "\\",
        "\\n",
        " ",
        "*",
        "a\nb",
        "-x",
        "{index}",
        "#",
        "'\n'",
    ]
    shell.file("show.sh", SHOW)

    code, out, err = await shell.run("arcrun", "--", "./show.sh", *words)

    assert (code, out) == (7, "".join(f"<{word}>" for word in words)), err


@pytest.mark.parametrize(
    ("command", "code", "out"),
    [
        (["printf", "%s|", "a b", "\\"], 0, "a b|\\|"),
        (["printf", "%s|", "a b", "$x"], 0, "a b|$x|"),
        (["/bin/sh", "-c", "echo $((2 + 3)); exit 9"], 9, "5\n"),
        (["sh", "-c", "kill -9 $$"], 137, ""),
        (["cat", "data.txt"], 0, "words\n"),
    ],
)
async def test_a_command_runs_on_the_node(shell: Shell, command: list[str], code: int, out: str) -> None:
    shell.file("data.txt", "words\n")

    found, printed, err = await shell.run("arcrun", "--input", "data.txt", "--", *command)

    assert (found, printed) == (code, out), err


async def test_each_job_of_an_array_gets_its_item(shell: Shell) -> None:
    shell.file("show.sh", SHOW)
    shell.file("list.txt", "alpha\nb $c\n")

    code, out, err = await shell.run(
        "arcsub", "-w", "--array-file", "list.txt", "-o", "ids", "--", "./show.sh", "{item}"
    )

    jobs = (shell.home / "ids").read_text().splitlines()
    assert (code, out.startswith("Array submitted with jobid: ")) == (1, True), err
    assert [(await shell.run("arccat", job))[1] for job in jobs] == [
        "<alpha>AREX_ARRAY_INDEX=1\nAREX_ARRAY_ITEM=alpha\n",
        "<b $c>AREX_ARRAY_INDEX=2\nAREX_ARRAY_ITEM=b $c\n",
    ]


async def test_an_output_file_is_delivered_to_a_path_of_this_host(shell: Shell) -> None:
    text = (
        f'&(executable=/bin/sh)(arguments="-c" "echo done >r")(outputfiles=("r" "file://{shell.home}/results/x.txt"))'
    )

    code, _, err = await shell.run("arcsub", "-w", "-e", text)

    assert (code, (shell.home / "results" / "x.txt").read_text()) == (0, "done\n"), err


async def test_a_failed_job_is_mended_and_submitted_again(shell: Shell) -> None:
    shell.file("run.sh", "#!/bin/sh\nexit 3\n")
    failed, _, _ = await shell.run("arcsub", "-w", "--name", "again", "--", "./run.sh")
    shell.file("run.sh", "#!/bin/sh\necho mended\n")

    code, _, err = await shell.run("arcresub", "--failed", "-w")
    _, printed, _ = await shell.run("arccat", "again")

    assert (failed, code, printed) == (1, 0, "mended\n"), err


async def test_arctest_waits_for_its_job_if_asked(shell: Shell) -> None:
    code, out, err = await shell.run("arctest", "-J", "2", "--wait", "--json")

    [job] = json.loads(out)["jobs"]
    assert (0, "Finished") == (code, job["state"]), err
