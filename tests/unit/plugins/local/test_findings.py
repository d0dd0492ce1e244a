"""What a strict submission refuses, and what it warns about."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from arex.config.load import load
from arex.config.model import Configuration
from arex.config.staging import StorageUrl
from arex.staging.movers import registry
from plugins.local import LocalPlugin, findings
from plugins.local.submission import Refused, Submitted

TRUE = "&(executable=/bin/true)"


@pytest.fixture
def config(tmp_path: Path) -> Configuration:
    (tmp_path / "arc.conf").write_text(
        f"[common]\n[lrms]\nlrms=fork\n[arex]\ncontroldir={tmp_path}/ctl\nsessiondir={tmp_path}/session\n"
        f"[arex/service]\nfork_slots=2\n[infosys/cluster]\nnodememory=8000\n"
        "[queue:fork]\n[queue:short]\nmaxwalltime=60\nmaxcputime=3600\nmaxslotsperjob=1\n"
    )
    enabled = tmp_path / "ctl" / "rte" / "enabled" / "APPS"
    enabled.mkdir(parents=True)
    (enabled / "ROOT-6.20").symlink_to("/dev/null")
    return load(tmp_path / "arc.conf", uid=1000)[0]


def submit(config: Configuration, text: str, cwd: Path, *, strict: bool = True) -> Submitted | Refused:
    [outcome] = LocalPlugin(config).submit(text, cwd=cwd, strict=strict)
    return outcome


def said(outcome: Submitted | Refused) -> str:
    if isinstance(outcome, Refused):
        return f"refused: {outcome.error}"
    return "; ".join(map(str, outcome.warnings)) or "submitted"


#: Rows of a table that users were asked for: what they type, and what they learn.
NO_MAIL = "no mail is sent from here: the site has not set the option sendmail in [arex/service]"
NUMBERS = 'write 90, "1 hour 30 minutes" or 01:30:00'
TYPED = [
    ('(walltime="01:30:00")', "submitted"),
    ("(walltime=abc)", f"refused: 1:25 walltime: 'abc' is not a period of time; {NUMBERS}"),
    ("(walltime=0)", f"refused: 1:25 walltime: '0' is no time at all; leave it out, or {NUMBERS}"),
    ("(walltime=-5)", f"refused: 1:25 walltime: '-5' is negative; {NUMBERS}"),
    ("(cputime=0)", f"refused: 1:25 cputime: '0' is no time at all; leave it out, or {NUMBERS}"),
    ("(gridtime=-5)", f"refused: 1:25 gridtime: '-5' is negative; {NUMBERS}"),
    ("(lifetime=never)", f"refused: 1:25 lifetime: 'never' is not a period of time; {NUMBERS}"),
    (
        '(walltime="10 minuttzes")',
        (
            "refused: 1:25 walltime: 'minuttzes' is not a unit of time; write weeks, days, hours, "
            "minutes or seconds; did you mean 'minutes'?"
        ),
    ),
    ("(benchmarks=(a b 5))", "refused: 1:25 No benchmark has a number for its value"),
    ("(memory=-5)", "refused: 1:25 memory: '-5' is not a size in MB; write 2048, 2GB or 512M"),
    ("(memory=0)", "refused: 1:25 memory: '0' is no memory at all; leave it out, or write 2048, 2GB or 512M"),
    ("(memory=lots)", "refused: 1:25 memory: 'lots' is not a size in MB; write 2048, 2GB or 512M"),
    ("(memory=2GB)", "submitted"),
    ('(memory="2 GB")', "submitted"),
    ("(memory=9000)", "refused: 1:25 memory: 9000 MB is more than the 8000 MB of a node"),
    ("(disk=much)", "refused: 1:25 disk: 'much' is not a size in MB; write 2048, 2GB or 512M"),
    ("(disk=0)", "submitted"),
    ("(starttime=tomorrow)", "refused: 1:25 starttime: not a time, such as 2026-11-20T08:49:00Z: 'tomorrow'"),
    ("(rerun=-1)", "refused: 1:25 rerun: '-1' is not a whole number from 0 to 2147483647"),
    ("(priority=101)", "refused: 1:25 priority: 101 is not a number from 0 to 100"),
    ("(priority=high)", "refused: 1:25 priority: 'high' is not a whole number from 0 to 2147483647"),
    ("(dryrun=maybe)", "refused: 1:25 dryrun: write yes or no, not 'maybe'"),
    ("(stdout=o)(join=maybe)", "refused: 1:35 join: write yes or no"),
    ("(nodeaccess=all)", "refused: 1:25 nodeaccess: write inbound or outbound, not 'all'"),
    ('(notify="be me@example.org")', f"1:25 notify: {NO_MAIL}"),
    ('(notify="be me@")', "refused: 1:25 notify: 'me@' is not a mail address: write user@host"),
    ('(notify="e |rm@x")', "refused: 1:25 notify: '|rm@x' is not a mail address: write user@host"),
    ("(count=99)", "refused: 1:25 count: 99 is more than the 2 slots of this machine"),
    ("(count=-1)", "refused: 1:25 count: -1 is not a number of slots; write 1 or more"),
    ("(count=2)(queue=short)", "refused: 1:25 count: 2 is more than the 1 slot of the queue short"),
    ("(queue=short)(walltime=50)", "refused: 1:38 walltime: 50 min is more than the 1 min of the queue short"),
    ("(queue=short)(cputime=90)", "refused: 1:38 cputime: 1 h 30 min is more than the 1 h of the queue short"),
    ("(queue=nosuch)", "refused: 1:25 there is no queue nosuch here: fork, short"),
    ("(runtimeenvironment=APPS/ROOT-6.20)", "submitted"),
    ('(runtimeenvironment>="APPS/ROOT-6.00")', "submitted"),
    (
        "(runtimeenvironment=FOO/BAR)",
        ("refused: 1:25 there is no runtime environment FOO/BAR here; enabled are APPS/ROOT-6.20"),
    ),
    (
        "(runtimeenvironment=APPS/ROOT-6.21)",
        ("refused: 1:25 there is no runtime environment APPS/ROOT-6.21 here; did you mean APPS/ROOT-6.20?"),
    ),
    (
        "(runtimeenvironment=ENV/PROXY)",
        (
            "refused: 1:25 there is no runtime environment ENV/PROXY enabled here: enable it "
            "with 'arexctl rte enable ENV/PROXY'"
        ),
    ),
    ('(inputfiles=("x" "https://h/x"))', "submitted"),
    ('(outputfiles=("x" "davs://h/x"))', "submitted"),
    ("(exectuable=/bin/true)", "refused: 1:25 Unknown attribute 'exectuable'; did you mean 'executable'?"),
    ("(nosuchthing=1)", "1:25 Unknown attribute 'nosuchthing': it is ignored"),
    (
        '(outputfiles=("x" "there/x"))',
        "1:37 output x: the relative target there/x has no effect: arcget copies the file",
    ),
]


@pytest.mark.parametrize(("typed", "learns"), TYPED)
def test_people_learn_at_submission_what_cannot_work(
    typed: str, learns: str, config: Configuration, tmp_path: Path
) -> None:
    outcome = submit(config, TRUE + typed, tmp_path)

    assert re.sub("line 1, column ([0-9]+):", r"1:\1", said(outcome)) == learns


@pytest.mark.parametrize("typed", [typed for typed, learns in TYPED if learns.startswith("refused")])
def test_scripts_get_a_warning_instead(typed: str, config: Configuration, tmp_path: Path) -> None:
    outcome = submit(config, TRUE + typed, tmp_path, strict=False)

    if typed == "(queue=nosuch)":
        assert said(outcome) == "refused: Requested queue nosuch is not allowed for this user"
    else:
        assert isinstance(outcome, Submitted)
        assert [remark.line for remark in outcome.warnings] == [1] * len(outcome.warnings) != []


@pytest.mark.parametrize("scheme", ["gsiftp", "srm", "rucio", "acix", "ftp", "gs"])
@pytest.mark.parametrize("attribute", ["inputfiles", "outputfiles"])
def test_every_scheme_without_a_transfer_method_is_refused(
    scheme: str, attribute: str, config: Configuration, tmp_path: Path
) -> None:
    outcome = submit(config, f'{TRUE}({attribute}=("x" "{scheme}://h/x"))', tmp_path)

    assert f"{attribute[:-5]} x: no transfer method for {scheme}: here" in said(outcome)


@pytest.mark.parametrize(
    ("scheme", "extra"), [("s3", "s3"), ("sftp", "sftp"), ("root", "xrootd"), ("xroots", "xrootd")]
)
def test_a_missing_package_is_named(
    scheme: str, extra: str, config: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "find_spec", lambda _: None)

    outcome = submit(config, f'{TRUE}(inputfiles=("x" "{scheme}://h/x"))', tmp_path)

    assert f"input x: {scheme}: needs a package that is not installed: pip install 'arex[{extra}]'" in said(outcome)


def test_the_schemes_are_those_of_the_service() -> None:
    assert findings.ALWAYS | findings.EXTRAS.keys() == registry.BUILT_IN.keys()


def test_a_granted_scheme_is_served(config: Configuration, tmp_path: Path) -> None:
    storage = StorageUrl(scheme="gs")
    granted = replace(config, staging=replace(config.staging, fsspec=(storage,)))

    outcome = submit(granted, f'{TRUE}(inputfiles=("x" "gs://bucket/x"))', tmp_path)

    assert isinstance(outcome, Submitted)


def test_a_description_without_executable_and_files_is_refused(config: Configuration, tmp_path: Path) -> None:
    assert said(submit(config, "&(arguments=a)", tmp_path)) == "refused: the description names no executable"
    lenient = submit(config, "&(arguments=a)", tmp_path, strict=False)
    assert said(lenient) == "the description names no executable"


def test_a_job_that_only_moves_files_is_a_warning(config: Configuration, tmp_path: Path) -> None:
    (tmp_path / "data").touch()

    outcome = submit(config, '&(inputfiles=("data" ""))(outputfiles=("data" ""))', tmp_path)

    assert said(outcome) == "there is no executable: the job only moves files"


def test_more_disk_than_there_is_is_a_warning(config: Configuration, tmp_path: Path) -> None:
    facts = os.statvfs(tmp_path)
    size_mb = facts.f_blocks * facts.f_frsize // 2**20

    assert isinstance(submit(config, f"{TRUE}(disk={size_mb})", tmp_path), Submitted)
    assert said(submit(config, f"{TRUE}(disk={size_mb})", tmp_path)) == "submitted"
    what = f"disk: {size_mb + 1} MB is more than the {size_mb} MB of the file system of session directories"
    assert said(submit(config, f"{TRUE}(disk={size_mb + 1})", tmp_path)).endswith(what)


def test_all_mistakes_are_shown_with_their_lines(config: Configuration, tmp_path: Path) -> None:
    outcome = submit(config, f"{TRUE}\n (walltime=abc)\n  (memory=lots)\n", tmp_path)

    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, findings.Mistakes)
    lines = outcome.error.explained().splitlines()
    assert [line[:16] for line in lines if line.startswith("line")] == ["line 2, column 3", "line 3, column 4"]
    assert lines[1:3] == ["   (walltime=abc)", "    ^"]


def test_the_line_of_a_limit_is_shown(config: Configuration, tmp_path: Path) -> None:
    outcome = submit(config, f"{TRUE}\n(count=99)", tmp_path)

    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, findings.Mistakes)
    assert outcome.error.explained().splitlines()[1:] == ["  (count=99)", "   ^"]


ADL = """<?xml version="1.0"?>
<ActivityDescription xmlns="http://www.eu-emi.eu/es/2010/12/adl">
<Application><Executable><Path>/bin/true</Path></Executable></Application>
<Resources>
%s
</Resources></ActivityDescription>"""


@pytest.mark.parametrize(
    ("element", "why"),
    [
        ("<WallTime>0</WallTime>", "walltime: 0 s is not possible"),
        ("<TotalCPUTime>-7</TotalCPUTime>", "cputime: -7 s is not possible"),
        ("<IndividualPhysicalMemory>0</IndividualPhysicalMemory>", "memory: 0 MB is not possible"),
        ("<QueueName>nosuch</QueueName>", "there is no queue nosuch here"),
        ("<SlotRequirement><NumberOfSlots>3</NumberOfSlots></SlotRequirement>", "count: 3 is more than the 2 slots"),
        ("<RuntimeEnvironment><Name>A</Name></RuntimeEnvironment>", "there is no runtime environment A"),
        ("<WallTme>60</WallTme>", "Unknown element WallTme; did you mean 'WallTime'?"),
    ],
)
def test_other_languages_are_examined_too(element: str, why: str, config: Configuration, tmp_path: Path) -> None:
    outcome = submit(config, ADL % element, tmp_path)

    assert said(outcome).startswith(f"refused: line 5: {why}")


def test_a_misspelt_attribute_of_jdl_is_refused(config: Configuration, tmp_path: Path) -> None:
    outcome = submit(config, '[ Executable = "/bin/true"; Argumentts = "a"; ]', tmp_path)

    assert said(outcome).endswith("Unknown attribute 'Argumentts'; did you mean 'Arguments'?")


def test_an_alternative_that_can_run_here_is_taken(config: Configuration, tmp_path: Path) -> None:
    outcome = submit(config, "&(executable=/bin/true)(|(queue=nosuch)(queue=short))", tmp_path)

    assert isinstance(outcome, Submitted)
    assert outcome.record.resources.queue == "short"


def test_limits_of_the_cluster_count_for_queues_without_their_own(config: Configuration, tmp_path: Path) -> None:
    limited = replace(config, cluster=replace(config.cluster, maxwalltime=timedelta(seconds=60)))

    outcome = submit(limited, f"{TRUE}(walltime=2)", tmp_path)

    assert said(outcome).endswith("walltime: 2 min is more than the 1 min of the queue fork")


def test_an_absolute_path_is_a_target(config: Configuration, tmp_path: Path) -> None:
    outcome = submit(config, f'{TRUE}(outputfiles=("r" "file://{tmp_path}/x")("s" "{tmp_path}/y"))', tmp_path)

    assert isinstance(outcome, Submitted)
    assert [file.targets[0].url for file in outcome.record.outputs] == [
        f"file://{tmp_path}/x",
        f"file://{tmp_path}/y",
    ]


def test_a_target_on_this_host_is_not_over_another_file_unasked(config: Configuration, tmp_path: Path) -> None:
    (tmp_path / "x").touch()

    refused = submit(config, f'{TRUE}(outputfiles=("r" "file://{tmp_path}/x"))', tmp_path)
    asked = submit(config, f'{TRUE}(outputfiles=("r" "file://{tmp_path}/x" "overwrite=yes"))', tmp_path)

    assert said(refused).endswith(f"output r: {tmp_path}/x already exists: remove it, or add the option overwrite=yes")
    assert isinstance(asked, Submitted)


def test_a_target_on_this_host_is_not_a_directory(config: Configuration, tmp_path: Path) -> None:
    outcome = submit(config, f'{TRUE}(outputfiles=("r" "file://{tmp_path}"))', tmp_path)

    assert said(outcome).endswith(f"output r: {tmp_path} is a directory: name the file in it")


@pytest.mark.parametrize("place", ["ctl/x", "session/a/b", "here/../ctl/x", "link/x"])
def test_a_target_on_this_host_is_not_among_the_files_of_the_service(
    place: str, config: Configuration, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "ctl")

    outcome = submit(config, f'{TRUE}(outputfiles=("r" "file://{tmp_path}/{place}"))', tmp_path)

    assert said(outcome).endswith("is in a directory of the service")


def test_labels_are_in_the_local_file_of_a_job(config: Configuration, tmp_path: Path) -> None:
    [job] = LocalPlugin(config).submit(TRUE, cwd=tmp_path, labels={"run": "7", "set": "a b"})

    assert isinstance(job, Submitted)
    lines = (tmp_path / "ctl" / f"job.{job.id}.local").read_text().splitlines()
    assert [line for line in lines if line.startswith("label=")] == ["label=run=7", "label=set=a b"]


def test_a_label_with_a_control_character_is_an_error(config: Configuration, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="label run: the value has control characters"):
        LocalPlugin(config).submit(TRUE, cwd=tmp_path, labels={"run": "a\nstatus=x"})


# --- mail -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mailing(config: Configuration) -> Configuration:
    return replace(config, service=replace(config.service, sendmail=Path("/usr/sbin/sendmail")))


def test_where_mail_is_sent_notify_is_no_reason_for_a_warning(mailing: Configuration, tmp_path: Path) -> None:
    assert "submitted" == said(submit(mailing, f'{TRUE}(notify="be me@example.org" "q you@example.org")', tmp_path))


def test_people_learn_which_addresses_are_beyond_the_limit_of_arc(mailing: Configuration, tmp_path: Path) -> None:
    outcome = submit(mailing, f'{TRUE}(notify="e a@x b@x c@x d@x e@x")', tmp_path)

    assert said(outcome).endswith("notify: only 3 addresses get mail, and not d@x, e@x")


def test_people_learn_that_no_mail_is_sent_when_a_job_is_accepted(mailing: Configuration, tmp_path: Path) -> None:
    adl = (
        '<ActivityDescription xmlns="http://www.eu-emi.eu/es/2010/12/adl"><Application><Executable><Path>/bin/true</Path>'
        "</Executable><Notification><Protocol>email</Protocol><Recipient>me@x</Recipient><OnState>ACCEPTED</OnState>"
        "</Notification></Application></ActivityDescription>"
    )

    assert said(submit(mailing, adl, tmp_path)).endswith("notify: no mail is sent to me@x when a job is ACCEPTED")
