from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from arex.errors import SubmitRejected
from arex.model.grami import Grami, RunTime
from arex.model.ids import JobId, Tag
from arex.ports import Submission
from lrms.jobscript.runtimes import Prepared, Runtimes, RuntimeSettings, load_runtimes
from lrms.jobscript.settings import NOTHING_SETTLED, RuntimeScript, Scratch
from tests import environments

BASE = environments.ROOT / "lrms" / "rte"
NASTY = ("a b", "it's", 'q"q', "$HOME", "`id`", "$(id)", "back\\slash", "*", "semi;colon", "é", "tab\t", "")


def asking_for(root: Path, *names: RunTime) -> Grami:
    return Grami(gridid=JobId("j"), directory=root / "s", controldir=root, args=("./x",), runtimes=names)


def put(root: Path, path: str, text: str) -> Path:
    target = root / "rte" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def submission(root: Path, *names: RunTime, number: int = 0, **changes: object) -> Submission:
    grami = replace(asking_for(root, *names), gridid=JobId(f"j{number}"), **changes)  # type: ignore[arg-type]
    grami.directory.mkdir(exist_ok=True)
    return Submission(job=grami.gridid, tag=Tag(f"t{number}"), grami=grami, rundir=root / "s.lrms" / f"t{number}")


async def prepared(root: Path, *names: RunTime, how: RuntimeSettings | None = None, **changes: object) -> Prepared:
    ready, refused = await Runtimes(how).prepare([submission(root, *names, number=0, **changes)])
    assert refused == {}
    [one] = ready
    return one


async def refusal(root: Path, *names: RunTime, how: RuntimeSettings | None = None) -> str:
    ready, refused = await Runtimes(how).prepare([submission(root, *names)])
    assert ready == []
    return str(refused[Tag("t0")])


def said(root: Path, number: int = 0) -> str:
    return (root / f"job.j{number}.errors").read_text()


# --- what is read -----------------------------------------------------------------------------------------------------


def test_enabled_wins_over_default_and_parameters_come_along(tmp_path: Path) -> None:
    put(tmp_path, "enabled/ENV/X", "enabled")
    put(tmp_path, "default/ENV/X", "default")
    put(tmp_path, "params/ENV/X", 'A="1"\n')

    loaded = load_runtimes(asking_for(tmp_path, RunTime(name="ENV/X", options=("o",))))

    assert loaded == (RuntimeScript(name="ENV/X", options=("o",), params='A="1"\n', body="enabled"),)


def test_defaults_are_added_once_after_what_was_requested(tmp_path: Path) -> None:
    put(tmp_path, "default/B", "b")
    put(tmp_path, "default/A/A", "a")
    put(tmp_path, "enabled/Z", "z")

    loaded = load_runtimes(asking_for(tmp_path, RunTime(name="Z"), RunTime(name="B")))

    assert [each.name for each in loaded] == ["Z", "B", "A/A"]


def test_a_dummy_environment_is_empty(tmp_path: Path) -> None:
    (tmp_path / "rte" / "enabled").mkdir(parents=True)
    (tmp_path / "rte" / "enabled" / "DUMMY").symlink_to("/dev/null")

    assert load_runtimes(asking_for(tmp_path, RunTime(name="DUMMY"))) == (RuntimeScript(name="DUMMY"),)


@pytest.mark.parametrize("name", ["NONE", "", "ENV", "../secret", "/etc/passwd", "ENV/../../secret", "ENV/X\n", "A\0"])
def test_what_is_not_installed_is_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path, "enabled/ENV/X", "body")
    (tmp_path / "rte" / "secret").write_text("secret")

    with pytest.raises(SubmitRejected, match="RunTimeEnvironment"):
        load_runtimes(asking_for(tmp_path, RunTime(name=name)))


@pytest.mark.parametrize("kind", ["broken", "circle", "directory", "pipe", "zero"])
def test_a_link_that_leads_to_no_script_is_refused(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "rte" / "enabled"
    place.mkdir(parents=True)
    targets = {"broken": "/no/such", "circle": "X", "directory": "/", "pipe": "pipe", "zero": "/dev/zero"}
    os.mkfifo(place / "pipe")
    (place / "X").symlink_to(targets[kind])

    with pytest.raises(SubmitRejected, match="X is missing, broken or not enabled"):
        load_runtimes(asking_for(tmp_path, RunTime(name="X")))


def test_a_broken_link_among_the_enabled_gives_way_to_the_default(tmp_path: Path) -> None:
    put(tmp_path, "default/X", "default")
    (tmp_path / "rte" / "enabled").mkdir()
    (tmp_path / "rte" / "enabled" / "X").symlink_to("/no/such")

    assert [each.body for each in load_runtimes(asking_for(tmp_path, RunTime(name="X")))] == ["default"]


# --- stage 0 ----------------------------------------------------------------------------------------------------------


async def test_options_reach_stage_0_as_they_are(tmp_path: Path) -> None:
    put(tmp_path, "enabled/X", "printf '<%s>\\n' \"$@\"")

    await prepared(tmp_path, RunTime(name="X", options=NASTY))

    assert "".join(f"<{each}>\n" for each in ("0", *NASTY)) == said(tmp_path)


async def test_parameters_come_before_the_script_and_the_scripts_see_each_other(tmp_path: Path) -> None:
    put(tmp_path, "enabled/A", "B=$P-a")
    put(tmp_path, "params/A", 'P="p"\n')
    put(tmp_path, "enabled/Z/B-1.0", 'echo "$B"')

    await prepared(tmp_path, RunTime(name="A"), RunTime(name="Z/B-1.0"))

    assert said(tmp_path) == "p-a\n"


async def test_the_scripts_see_the_job(tmp_path: Path) -> None:
    put(
        tmp_path,
        "enabled/X",
        'echo "$joboption_gridid|$joboption_directory|$joboption_controldir|$CONFIG_controldir"\n'
        'echo "$joboption_arg_1|$joboption_env_0|$joboption_args|$X509_USER_PROXY|$TMPDIR"',
    )

    await prepared(tmp_path, RunTime(name="X"), args=("./x", 'a "b"'), environment=(("V", "it's\ntwo"),))

    root = tmp_path
    assert said(tmp_path) == (
        f"j0|{root}/s|{root}|{root}\n" + f'a "b"|V=it\'s\ntwo|"./x" "a \\"b\\""|{root}/job.j0.proxy|/tmp\n'
    )


async def test_what_stage_0_sets_is_what_the_batch_system_gets(tmp_path: Path) -> None:
    put(tmp_path, "enabled/X", "joboption_memory=2000\njoboption_queue=\"long 'q'\"\njoboption_nodeproperty_0=fast\n"
        'n=0; while eval "test -n \\"\\${joboption_env_$n+x}\\""; do n=$((n+1)); done\n'
        'export "joboption_env_$n=NEW=two\nlines"\njoboption_exclusivenode=true\n'
        "ACCOUNTING_BENCHMARK=HEP:2\njoboption_gridid=stolen\njoboption_directory=/etc")  # fmt: skip

    one = await prepared(tmp_path, RunTime(name="X"), environment=(("A", "1"),), globalid="g", jobhost="h")

    assert (one.grami.memory_mb, one.grami.queue, one.grami.exclusivenode) == (2000, "long 'q'", True)
    assert one.grami.environment == (("A", "1"), ("NEW", "two\nlines"))
    assert (one.grami.gridid, one.grami.directory, one.grami.globalid, one.grami.jobhost) == (
        "j0",
        tmp_path / "s",
        "g",
        "h",
    )
    assert (one.settled.properties, one.settled.benchmark) == (("fast",), "HEP:2")


async def test_what_stage_0_takes_away_is_gone(tmp_path: Path) -> None:
    put(tmp_path, "enabled/X", "unset joboption_runtime_1 joboption_exclusivenode")
    put(tmp_path, "enabled/Y", "exit 1")

    one = await prepared(tmp_path, RunTime(name="X"), RunTime(name="Y"), exclusivenode=True)

    assert [each.name for each in one.runtimes] == ["X"]
    assert not one.grami.exclusivenode


async def test_stage_0_may_pull_in_more_environments_which_take_part(tmp_path: Path) -> None:
    put(tmp_path, "enabled/X", "joboption_runtime_1=ENV/Y; joboption_runtime_1_1='opt one'")
    put(tmp_path, "enabled/ENV/Y", 'echo "Y $2"')

    one = await prepared(tmp_path, RunTime(name="X"))

    assert said(tmp_path) == "Y opt one\n"
    assert [(each.name, each.options) for each in one.runtimes] == [("X", ()), ("ENV/Y", ("opt one",))]


@pytest.mark.parametrize("name", ["NONE", "../../s/own", "/etc/passwd"])
async def test_what_stage_0_pulls_in_must_be_installed(tmp_path: Path, name: str) -> None:
    put(tmp_path, "enabled/X", f"joboption_runtime_1={name}; mkdir -p {tmp_path}/s; echo 'echo ran' >{tmp_path}/s/own")

    why = await refusal(tmp_path, RunTime(name="X"))

    assert "is missing, broken or not enabled" in why
    assert "ran\n" not in said(tmp_path)


async def test_the_command_line_can_be_wrapped(tmp_path: Path) -> None:
    put(tmp_path, "enabled/X", 'joboption_args="nice -n 5 $joboption_args"')

    one = await prepared(tmp_path, RunTime(name="X"), args=("./x", "$HOME"))

    assert one.settled.command == 'nice -n 5 "./x" "$HOME"'


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo first; echo 'no licence' >&2; exit 3", "Runtime X stage 0 execution failed: exit code 3: no licence"),
        ("return 4", "Runtime X stage 0 execution failed: exit code 4"),
        ("exit 0", "Runtime X stage 0 execution failed: exit code 0"),
        ("kill -9 $$", "Runtime X stage 0 execution failed: signal 9"),
        ("joboption_memory=lots", "which is not a number"),
        ("RUNTIME_NODE_SEES_FRONTEND=", "does not move session directories"),
    ],
)
async def test_a_stage_0_that_fails_is_the_jobs_failure_and_says_why(tmp_path: Path, script: str, why: str) -> None:
    put(tmp_path, "enabled/X", script)

    assert why in await refusal(tmp_path, RunTime(name="X"))


async def test_stage_0_knows_whether_nodes_see_the_front_end(tmp_path: Path) -> None:
    """Where they don't, it is empty from the beginning, and no reason to refuse the job."""
    put(tmp_path, "enabled/X", 'joboption_args="$RUNTIME_NODE_SEES_FRONTEND"')

    there = [
        (await prepared(tmp_path, RunTime(name="X"), args=("./x",), how=RuntimeSettings(shared=shared))).settled.command
        for shared in (True, False)
    ]

    assert ["yes", ""] == there


async def test_a_script_that_does_not_parse_is_named(tmp_path: Path) -> None:
    put(tmp_path, "enabled/OK", "true")
    put(tmp_path, "enabled/BAD", "if true; then\n")

    why = await refusal(tmp_path, RunTime(name="OK"), RunTime(name="BAD"))

    assert why.startswith("Runtime BAD stage 0 execution failed: ")


async def test_a_stage_0_without_end_is_ended(tmp_path: Path) -> None:
    put(tmp_path, "enabled/X", "sleep 600")

    why = await refusal(tmp_path, RunTime(name="X"), how=RuntimeSettings(timeout_s=0.3))

    assert why == "Runtime X stage 0 execution failed: it did not end within 0.3 s"


async def test_a_talkative_stage_0_does_not_fill_the_log(tmp_path: Path) -> None:
    put(tmp_path, "enabled/X", "echo begin; yes | head -c 1000000; echo end")

    await prepared(tmp_path, RunTime(name="X"))

    assert len(said(tmp_path)) < 40000
    assert said(tmp_path).startswith("begin\n")
    assert said(tmp_path).endswith("\nend\n")


async def test_the_secrets_of_the_daemon_are_none_of_the_scripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_DAEMON", "swordfish")
    put(tmp_path, "enabled/X", "env; cat /proc/$$/cmdline")

    await prepared(tmp_path, RunTime(name="X"), environment=(("PASSWORD", "opensesame"),))

    assert "swordfish" not in said(tmp_path)
    assert "opensesame" not in said(tmp_path)


async def test_a_script_that_reads_its_input_or_changes_the_shell_spoils_nothing(tmp_path: Path) -> None:
    put(tmp_path, "enabled/X", "cat; cd /; IFS=o; PATH=/nowhere; set -eu; joboption_queue=q")

    one = await prepared(tmp_path, RunTime(name="X"), RunTime(name="X"))

    assert one.grami.queue == "q"


@pytest.mark.parametrize("names", [(), ("DUMMY",)])
async def test_jobs_without_scripts_cost_no_process(tmp_path: Path, names: tuple[str, ...]) -> None:
    """With no room for any shell at all they would wait forever."""
    put(tmp_path, "enabled/DUMMY", "")

    async with asyncio.timeout(60):
        one = await prepared(tmp_path, *(RunTime(name=name) for name in names), how=RuntimeSettings(at_once=0))

    assert one.settled == NOTHING_SETTLED


async def test_many_jobs_are_prepared_side_by_side_but_not_all_at_once(tmp_path: Path) -> None:
    """Three at a time: each waits for its two neighbours, and counts how many are inside."""
    (tmp_path / "in").mkdir()
    put(
        tmp_path,
        "enabled/X",
        f"cd {tmp_path}/in; : >$joboption_gridid; set -- *\n"
        "while [ $# -lt 3 ] && [ ! -e ../go ]; do sleep 0.02; set -- *; done\n"
        ": >../go; echo $# >>../seen; sleep 0.05; rm $joboption_gridid",
    )
    batch = [submission(tmp_path, RunTime(name="X"), number=n) for n in range(6)]

    ready, refused = await Runtimes(RuntimeSettings(at_once=3)).prepare(batch)

    assert (len(ready), refused) == (6, {})
    assert max(map(int, (tmp_path / "seen").read_text().split())) == 3


async def test_one_bad_job_is_no_reason_to_refuse_the_others(tmp_path: Path) -> None:
    put(tmp_path, "enabled/X", '[ "$joboption_gridid" != j1 ]')
    batch = [submission(tmp_path, RunTime(name="X"), number=n) for n in range(3)]

    ready, refused = await Runtimes().prepare(batch)

    assert ([each.tag for each in ready], [*refused]) == (["t0", "t2"], ["t1"])


async def test_bytes_that_are_no_text_stay_what_they_are(tmp_path: Path) -> None:
    put(tmp_path, "enabled/X", "joboption_queue=q")
    odd = os.fsdecode(b"\xff\xfe")

    one = await prepared(tmp_path, RunTime(name="X"), environment=(("A", odd),))

    assert one.grami.environment == (("A", odd),)
    assert one.grami.queue == "q"


# --- the environments that come with arex -----------------------------------------------------------------------------


def ours(root: Path, name: str, params: str = "") -> RunTime:
    link = root / "rte" / "enabled" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(BASE / name)
    if params:
        put(root, f"params/{name}", params)
    return RunTime(name=name)


async def test_env_proxy_puts_the_proxy_where_only_the_owner_reads_it(tmp_path: Path) -> None:
    (tmp_path / "job.j0.proxy").write_text("secret")
    authorities = tmp_path / "authorities"
    authorities.mkdir()
    (authorities / "ca.pem").write_text("ca")

    await prepared(tmp_path, ours(tmp_path, "ENV/PROXY"), how=RuntimeSettings(certificates=authorities))

    proxy = tmp_path / "s" / "user.proxy"
    assert (proxy.read_text(), stat.S_IMODE(proxy.stat().st_mode)) == ("secret", 0o600)
    assert (tmp_path / "s/arc/certificates/ca.pem").read_text() == "ca"


async def test_env_proxy_writes_through_no_link_of_the_job(tmp_path: Path) -> None:
    (tmp_path / "job.j0.proxy").write_text("secret")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "user.proxy").symlink_to(tmp_path / "stolen")

    await prepared(tmp_path, ours(tmp_path, "ENV/PROXY", 'COPY_CACERT_DIR="No"\n'))

    assert not (tmp_path / "stolen").exists()
    assert not (tmp_path / "s/arc").exists()


async def test_env_proxy_without_a_proxy_says_so(tmp_path: Path) -> None:
    assert "the job has brought no proxy" in await refusal(tmp_path, ours(tmp_path, "ENV/PROXY"))


async def test_env_rte_copies_parameters_and_script(tmp_path: Path) -> None:
    put(tmp_path, "enabled/APPS/X-1.0", "# body\n")
    put(tmp_path, "params/APPS/X-1.0", 'A="1"\n')

    await prepared(tmp_path, ours(tmp_path, "ENV/RTE"), RunTime(name="APPS/X-1.0"))

    assert (tmp_path / "s/rte/APPS/X-1.0").read_text() == 'A="1"\n# body\n'
    assert (tmp_path / "s/rte/ENV/RTE").exists()


async def test_env_lrms_scratch_names_a_variable_of_the_node(tmp_path: Path) -> None:
    how = RuntimeSettings(scratch=Scratch(text="/scratch"))

    one = await prepared(tmp_path, ours(tmp_path, "ENV/LRMS-SCRATCH", 'SCRATCH_VAR="JOBDIR"\n'), how=how)

    assert one.settled.scratch == "${JOBDIR:-}"


async def test_env_condor_docker_takes_the_jobs_image_before_the_sites(tmp_path: Path) -> None:
    known = ours(tmp_path, "ENV/CONDOR/DOCKER", 'DOCKER_IMAGE="site"\n')

    assert (await prepared(tmp_path, known)).settled.docker_image == "site"
    one = await prepared(tmp_path, replace(known, options=("job:1",)))
    assert (one.settled.docker_image, one.settled.instance) == ("job:1", "job:1")


@pytest.mark.parametrize(
    ("voms", "options", "image"),
    [
        ("", (), "/images/b"),
        ("voms=/atlas/Role=x\n", (), "/images/a.sif"),
        ("voms=/other\n", (), "/images/b"),
        ("voms=/atlas\n", ("/mine",), "/mine"),
        ("", ("NULL",), ""),
    ],
)
async def test_env_singularity_picks_the_image(tmp_path: Path, voms: str, options: tuple[str, ...], image: str) -> None:
    (tmp_path / "job.j0.local").write_text(f"queue=q\n{voms}")
    known = ours(tmp_path, "ENV/SINGULARITY", 'SINGULARITY_IMAGE="default:/images/b,atlas:/images/a.sif"\n')

    one = await prepared(tmp_path, replace(known, options=options))

    assert one.settled.instance == image
    assert bool(one.settled.command) == bool(image)
