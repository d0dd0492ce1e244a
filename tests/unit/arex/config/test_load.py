from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.config.load import load
from arex.config.model import Configuration, QueueBlock
from arex.config.values import DefaultTtl, FixDirectories, LogLevel, MaxJobs, SessionDir
from arex.errors import ConfigError, Fault
from tests import environments

DATA = environments.DATA / "config"
USER, ROOT = 1000, 0
HOME = {"HOME": "/home/u"}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "arc.conf"


def loaded(file: Path, text: str, uid: int = ROOT) -> tuple[Configuration, list[Fault]]:
    file.write_text(text)
    return load(file, HOME, uid=uid)


def faults(file: Path, text: str) -> list[str]:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, HOME, uid=ROOT)
    assert all(fault.file == file for fault in caught.value.faults)
    return [str(replace(fault, file=None)) for fault in caught.value.faults]


def test_the_configuration_of_a_real_service_loads() -> None:
    config, warnings = load(DATA / "arc-6.17.conf", HOME, uid=USER)

    assert config.common.hostname == "localhost"
    assert config.arex.controldir == Path("/CONTROLDIR")
    assert config.arex.sessiondir == (SessionDir(path=Path("/SESSIONDIR")),)
    assert config.arex.loglevel is LogLevel.DEBUG
    assert config.arex.wakeupperiod == timedelta(seconds=5)
    assert config.arex.maxrerun == 2
    assert config.queues == (QueueBlock(name="fork"),)
    assert config.authgroups[0].rules == (("all", "yes"),)
    assert [fault.option for fault in warnings] == [
        "[common] x509_host_key",
        "[common] x509_host_cert",
        "[mapping]",
        "[authgroup:all]",
        "[arex] helperlog",
        "[arex] delegationdb",
        "[infosys]",
        "[arex/ws]",
        "[arex/ws/jobs] allowaccess",
    ]


def test_defaults_are_those_of_arc(conf: Path) -> None:
    config, _ = loaded(conf, "[common]\n[lrms]\nlrms=fork\n[arex]\n[queue:q]\n")

    assert config.arex.controldir == Path("/var/spool/arc/jobstatus")
    assert config.arex.sessiondir == (SessionDir(path=Path("/var/spool/arc/sessiondir")),)
    assert config.arex.defaultttl == DefaultTtl(ttl=timedelta(days=7), ttr=timedelta(days=30))
    assert config.arex.maxjobs == MaxJobs()
    assert config.arex.maxrerun == 5
    assert config.arex.wakeupperiod == timedelta(minutes=3)
    assert config.arex.loglevel is LogLevel.INFO
    assert config.arex.logfile == Path("/var/log/arc/arex.log")
    assert config.arex.joblog == Path("/var/log/arc/arex-jobs.log")
    assert config.arex.pidfile == Path("/run/arched-arex.pid")
    assert config.arex.tmpdir == Path("/tmp")
    assert config.arex.fixdirectories is FixDirectories.YES
    assert config.ws_jobs.maxjobdesc == 5242880
    assert config.glue2.admindomain_name == "UNDEFINEDVALUE"


def test_without_a_file_everything_lies_at_home(tmp_path: Path) -> None:
    for uid in (USER, ROOT):
        config, warnings = load(None, {"HOME": str(tmp_path)}, uid=uid, system=tmp_path / "absent")

        assert warnings == []
        assert config.source is None
        assert config.arex.controldir == tmp_path / ".local/share/arex/jobstatus"
        assert config.arex.sessiondir == (SessionDir(path=tmp_path / ".local/share/arex/sessiondir"),)
        assert config.arex.pidfile == tmp_path / ".local/state/arex/arex.pid"
        assert config.arex.logfile == tmp_path / ".local/state/arex/arex.log"
        assert config.arex.joblog == tmp_path / ".local/state/arex/arex-jobs.log"
        assert config.common.hostname == os.uname().nodename
        assert config.lrms.lrms.name == "fork"
        assert config.queues == (QueueBlock(name="fork"),)


def test_an_ordinary_user_gets_home_directories_as_defaults_with_a_warning(conf: Path) -> None:
    config, warnings = loaded(conf, "[common]\n[arex]\nsessiondir=/s\nlogfile=/l\n", USER)

    assert config.arex.controldir == Path("/home/u/.local/share/arex/jobstatus")
    assert config.arex.sessiondir == (SessionDir(path=Path("/s")),)
    assert config.arex.logfile == Path("/l")
    assert config.arex.pidfile == Path("/home/u/.local/state/arex/arex.pid")
    assert [str(fault) for fault in warnings] == [
        (
            f"{conf}: [arex]: not set, so arex uses directories in your home: "
            "controldir is /home/u/.local/share/arex/jobstatus"
        )
    ]


def test_a_file_written_for_arex_gets_no_warning_about_defaults(conf: Path) -> None:
    _, warnings = loaded(conf, "[arex]\n[arex/service]\n", USER)

    assert warnings == []


def test_all_faults_are_reported_at_once_in_the_order_of_the_file(conf: Path) -> None:
    text = (
        "[arx]\n[arex]\nmaxjobs = 1 2 3\nmaxrerun=x\ncontroldirr=/c\nhostname=h\nbroken line\n"
        "tmpdir=/a\ntmpdir=/b\n[queue]\n[arex:x]\n[arex]\n[queue:a]\ndefaultmemory=0\n[lrms]\nlrms=fork b\n"
    )

    assert faults(conf, text) == [
        "[arx]: unknown block (did you mean [arex]?)",
        "[arex] maxjobs: expected five numbers (-1 means no limit), found 3",
        "[arex] maxrerun: 'x' is not a whole number",
        "[arex] controldirr: unknown option (did you mean controldir?)",
        "[arex] hostname: unknown option (it belongs in [common])",
        "the line is neither a block nor an option (write option = value)",
        "[arex] tmpdir: duplicate option (delete one of the lines)",
        "[queue]: the block has no name (write [queue:NAME])",
        "[arex:x]: this block takes no name (write [arex])",
        "[arex]: duplicate block, first defined on line 2",
        "[queue:a] defaultmemory: '0' is too small; the minimum is 1",
        "[lrms] lrms: block [queue:b] does not exist (existing queues: a)",
    ]


def test_a_fault_names_file_and_line(conf: Path) -> None:
    conf.write_text("[arex]\n\nmaxrerun=x\n")

    with pytest.raises(ConfigError, match=r"arc\.conf:3: \[arex\] maxrerun: 'x' is not a whole number"):
        load(conf, HOME)


def test_quotes_and_trailing_comments_are_pointed_out(conf: Path) -> None:
    assert faults(conf, '[arex]\nlogfile="/l"\nmaxrerun=1 # once\n') == [
        "[arex] logfile: '\"/l\"' is not an absolute path (the quotes are part of the value)",
        (
            "[arex] maxrerun: '1 # once' is not a whole number "
            "(a comment needs a separate line: the # is part of the value)"
        ),
    ]
    _, warnings = loaded(conf, "[queue:q]\ncomment='x'\n")
    assert [fault.what for fault in warnings] == ["the quotes are part of the value"]


def test_options_that_repeat_keep_their_order(conf: Path) -> None:
    config, _ = loaded(conf, "[arex]\nsessiondir=/b\nsessiondir=/a drain\n[queue:z]\n[queue:a]\n")

    assert [(each.path, each.drain) for each in config.arex.sessiondir] == [(Path("/b"), False), (Path("/a"), True)]
    assert [queue.name for queue in config.queues] == ["z", "a"]
    assert config.default_queue.name == "z"


def test_home_is_written_as_a_tilde_or_as_arcs_asterisk(conf: Path) -> None:
    config, _ = loaded(conf, "[arex]\ncontroldir=~/c\nsessiondir=* drain\n")

    assert config.arex.controldir == Path("/home/u/c")
    assert config.arex.sessiondir == (SessionDir(path=Path("/home/u/.jobs"), drain=True),)


def test_limits_of_a_queue_come_from_the_cluster_where_it_has_none() -> None:
    config, _ = load(DATA / "site.conf", HOME, uid=ROOT)

    assert {queue.name: queue.maxwalltime for queue in config.queues} == {
        "long": timedelta(days=7),
        "short": timedelta(hours=1),
    }
    assert config.default_queue == config.queue("short")
    assert config.queue("none") is None


def test_a_batch_system_needs_a_queue(conf: Path) -> None:
    assert faults(conf, "[lrms]\nlrms=slurm\n") == [
        "[queue:NAME]: slurm needs at least one queue (add a block for each queue)"
    ]
    assert loaded(conf, "[lrms]\nlrms=slurm long\n")[0].queues == (QueueBlock(name="long"),)


def test_what_arc_knows_and_we_do_not_use_is_never_silent(conf: Path) -> None:
    config, warnings = loaded(conf, "[arex]\nhelper=. /bin/x\n[gridftpd]\nport=1\n")

    assert [str(fault) for fault in warnings] == [
        f"{conf}:2: [arex] helper: this option of ARC has no effect in arex",
        f"{conf}:3: [gridftpd]: this block of ARC has no effect in arex",
    ]
    assert config.arex.other == (("helper", ". /bin/x"),)
    assert config.foreign[0].options == (("port", "1"),)


def test_unused_blocks_are_still_checked_for_misspelt_options(conf: Path) -> None:
    assert faults(conf, "[gridftpd]\nportt=1\n[authgroup:a]\n-subjct=/CN=x\n") == [
        "[gridftpd] portt: unknown option (did you mean port?)",
        "[authgroup:a] -subjct: unknown option (did you mean subject?)",
    ]


def test_a_custom_block_is_not_checked(conf: Path) -> None:
    assert loaded(conf, "[custom:x]\nanything=1\n")[1] == []


def test_yaml_says_the_same_as_arc_conf() -> None:
    expected, said = load(DATA / "site.conf", HOME, uid=ROOT)

    actual, also_said = load(DATA / "site.yaml", HOME, uid=ROOT)

    assert expected == actual
    assert [(fault.option, fault.what) for fault in said] == [(fault.option, fault.what) for fault in also_said]


def test_faults_in_yaml_have_lines(tmp_path: Path) -> None:
    text = (
        "arex:\n  maxjobs: [1, 2]\n  controldr: /c\n  tmpdir: {a: b}\n  tmpdir: /x\nlrms: fork\n"
        'queues:\n  a: {comment: "x\\ny"}\n? [1]\n: 2\n'
    )
    file = tmp_path / "arc.yaml"

    assert faults(file, text) == [
        "[arex] maxjobs: expected five numbers (-1 means no limit), found 2",
        "[arex] controldr: unknown option (did you mean controldir?)",
        "[arex] tmpdir: expected a value or a list of values",
        "[arex] tmpdir: duplicate key",
        "[lrms] must be a mapping",
        "[queue:a] comment: a value must be one line of text",
        "the document has an invalid key; expected a name",
    ]


@pytest.mark.parametrize("text", ["arex: [", "a: b: c", "- a", "[" * 5000, "&a [*a]", "\x01"])
def test_what_is_not_yaml_is_a_fault_of_the_file(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path / "arc.yaml", text)


def test_an_empty_file_is_a_configuration(tmp_path: Path, conf: Path) -> None:
    expected, _ = loaded(conf, "")
    actual, _ = loaded(tmp_path / "arc.yaml", "# nothing\narex:\n")

    assert expected == actual


@pytest.mark.parametrize("suffix", ["conf", "yaml"])
@given(data=st.binary(max_size=200) | st.text(alphabet='[]:=#\n "{}-&*!arex/queumxjobs1', max_size=100).map(str.encode))
def test_any_file_gives_a_configuration_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / f"any.{suffix}"
    file.write_bytes(data)

    try:
        found = [load(file, HOME, uid=USER)[0].source]
    except ConfigError as exc:
        found = [fault.file for fault in exc.faults]

    assert {file} == set(found)


def test_loading_arc_conf_imports_nothing_heavy() -> None:
    """Every client command pays for these."""
    code = (
        "import sys; from pathlib import Path; from arex.config.load import load; load(Path(sys.argv[1]));"
        "print(*{'yaml', 'difflib', 'json', 'logging', 'asyncio', 'socket'} & sys.modules.keys())"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(DATA / "arc-6.17.conf")], capture_output=True, text=True, check=True
    )

    assert done.stdout == "\n"
