"""``arcproxy`` at the shell, and credentials that are named to ``arcsub`` and ``arcrenew``."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex import credentials
from arex.cli import entry
from arex.cli.proxyinfo import ITEMS
from tests import environments
from tests.integration.credentials.authority import USER, Authority, openssl
from tests.shell import Said, User

RECORDED = environments.DATA / "credentials" / "voms.pem"
REMOTE = '&(executable=/bin/true)(inputfiles=(a "https://ce.example.org/a"))'


@pytest.fixture
def owner(user: User, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> User:
    """A user with a certificate where every tool looks."""
    monkeypatch.setattr(entry, "COMMANDS", {**entry.COMMANDS, "arcproxy": "arex.cli.arcproxy:command"})
    monkeypatch.setenv("X509_USER_PROXY", str(user.home / "proxy"))
    (user.home / ".globus").mkdir()
    for name, source in (("usercert.pem", authority.directory / "user.pem"), ("userkey.pem", authority.key())):
        (user.home / ".globus" / name).write_bytes(source.read_bytes())
        (user.home / ".globus" / name).chmod(0o600)
    return user


def make(owner: User, *options: str) -> Said:
    said = owner.run("arcproxy", *options)
    assert 0 == said.code, said.err
    return said


# --- making -----------------------------------------------------------------------------------------------------------


def test_a_proxy_is_made_as_arc_says_it(owner: User, authority: Authority) -> None:
    said = make(owner)

    end = credentials.read(owner.home / "proxy").expires
    assert said.out == (
        f"Your identity: {USER}\nProxy generation succeeded\n"
        f"Your proxy is valid until: {end.astimezone():%Y-%m-%d %H:%M:%S}\n"
    )
    assert timedelta(hours=11, minutes=59) < end - datetime.now(UTC) <= timedelta(hours=12)
    assert authority.verifies(owner.home / "proxy")


def test_files_and_constraints_are_taken_as_arc_takes_them(owner: User, authority: Authority) -> None:
    wishes = ("validityPeriod=1h", "keybits=1024", "proxyPolicy=mine", "signingAlgorithm=sha512")
    constraints = [word for wish in wishes for word in ("-c", wish)]
    make(owner, "-C", str(authority.directory / "user.pem"), "-K", str(authority.key()), "-P", "other", *constraints)
    items = [
        word
        for name in ("validityPeriod", "keybits", "proxyPolicy", "signingAlgorithm", "type", "path")
        for word in ("-i", name)
    ]

    said = owner.run("arcproxy", "-P", "other", *items)

    [period_s, *others] = said.out.splitlines()
    assert 3600 <= int(period_s) <= 3900
    assert ["1024", "mine", "sha512", "RFC anyLanguage proxy", "other"] == others


def test_a_proxy_can_be_made_from_a_proxy(owner: User, authority: Authority) -> None:
    make(owner)
    make(owner, "-C", "proxy", "-P", "second", "-c", "policyLanguage=limited", "-c", "pathLength=2")

    assert authority.verifies(owner.home / "second")
    assert "limited" in owner.run("arcproxy", "-P", "second", "-i", "type").out


def test_a_passphrase_is_taken_from_standard_input_or_a_file(owner: User) -> None:
    key = owner.home / ".globus/userkey.pem"
    openssl("rsa", "-in", key, "-aes128", "-passout", "pass:open sesame", "-out", key)
    (owner.home / "word").write_text("open sesame\nmore\n")

    assert 0 == owner.run("arcproxy", "-p", "key=stdin", stdin=b"open sesame\n").code
    assert 0 == owner.run("arcproxy", "-p", "all=file:word").code
    (owner.home / "proxy").unlink()
    for argv, why in (
        (["-p", "key=stdin"], "wrong passphrase"),
        ([], "no terminal to enter it"),
        (["-p", 'key="open sesame"'], "command line is visible"),
        (["-p", "key=telepathy"], "expected int, stdin"),
        (["-p", "shoe=stdin"], "expected key or all"),
    ):
        said = owner.run("arcproxy", *argv, stdin=b"wrong\n")
        assert 0 != said.code
        assert why in said.err
        assert "sesame" not in said.out + said.err.replace('key="open sesame"', "")
    assert not (owner.home / "proxy").exists()


def test_a_terminal_is_asked_without_an_echo(owner: User) -> None:
    """A real terminal: what is typed is not shown."""
    key = owner.home / ".globus/userkey.pem"
    openssl("rsa", "-in", key, "-aes128", "-passout", "pass:open sesame", "-out", key)
    code = (
        "import os, pty, sys\n"
        "pid, fd = pty.fork()\n"
        "if pid == 0:\n"
        "    os.execv(sys.executable, [sys.executable, '-c', 'import sys; from arex.cli import entry; "
        'entry.COMMANDS = {**entry.COMMANDS, "arcproxy": "arex.cli.arcproxy:command"}; '
        'sys.exit(entry.call("arcproxy", []))\'])\n'
        "said = b''\n"
        "while b'private key' not in said: said += os.read(fd, 1000)\n"
        "os.write(fd, b'open sesame\\n')\n"
        "try:\n"
        "    while True: said += os.read(fd, 1000)\n"
        "except OSError: pass\n"
        "sys.stdout.write(said.decode()); sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(environments.ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, check=False, capture_output=True, text=True)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "Proxy generation succeeded" in done.stdout
    assert "sesame" not in done.stdout


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["-C", "/none"], "cannot read the certificate"),
        (["-c", "validtyPeriod=1h"], "unknown constraint"),
        (["-c", "keybits=1"], "is not supported"),
        (["-c", "keybits=many"], "keybits constraint is wrong: many"),
        (["-c", "validityPeriod=soon"], "The period that you set: soon can't be recognized."),
        (["-c", "validityEnd=2020-01-01T00:00:00Z"], "is before start time"),
        (["-c", "signingAlgorithm=md5"], "expected one of sha1"),
        (["-S", "atlas"], "voms-proxy-init -voms VO"),
        (["-L", "myproxy.example.org"], "myproxy-logon"),
        (["-r"], "Cannot remove proxy file at"),
        (["-I"], "Cannot find file at"),
    ],
)
def test_what_can_not_be_is_one_sentence_and_exit_code_1(owner: User, argv: list[str], why: str) -> None:
    said = owner.run("arcproxy", *argv)

    assert (1, "") == (said.code, said.out)
    assert why in said.err
    assert not (owner.home / "proxy").exists()


def test_a_user_without_a_certificate_is_told_where_one_belongs(owner: User) -> None:
    (owner.home / ".globus/usercert.pem").unlink()

    assert "no certificate found in" in owner.run("arcproxy").err


def test_without_the_package_the_cure_is_named(owner: User) -> None:
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from arex.cli import entry\n"
        "entry.COMMANDS = {**entry.COMMANDS, 'arcproxy': 'arex.cli.arcproxy:command'}\n"
        "sys.exit(entry.call('arcproxy', []))"
    )
    environ = {**os.environ, "HOME": str(owner.home), "PYTHONPATH": str(environments.ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, check=False, capture_output=True, text=True)

    assert 1 == done.returncode
    assert "pip install arex[x509]" in done.stderr


# --- telling ----------------------------------------------------------------------------------------------------------


def test_all_about_a_proxy_is_told_in_the_lines_of_arc(owner: User) -> None:
    make(owner)
    lines = owner.run("arcproxy", "-I").out.splitlines()

    assert [line.partition(":")[0] for line in lines] == [
        "Subject", "Issuer", "Identity", "Time left for proxy", "Proxy path", "Proxy type", "Proxy key length",
        "Proxy signature",
    ]  # fmt: skip
    assert f"Identity: {USER}" == lines[2]
    assert lines[3].startswith("Time left for proxy: 11 hours 59 minutes")
    assert lines[5].endswith("RFC compliant impersonation proxy - RFC inheritAll proxy")


def test_what_an_organisation_says_is_told_as_not_verified(owner: User) -> None:
    said = owner.run("arcproxy", "-I", "-P", RECORDED)
    document = owner.run("arcproxy", "-I", "-P", RECORDED, "--json").json

    assert "VO testers (not verified)" in said.out
    assert "attribute : /testers/staff/Role=Admin/Capability=NULL\n" in said.out
    assert "testers\n" == owner.run("arcproxy", "-i", "vomsVO", "-P", RECORDED).out
    assert [False] == [each["verified"] for each in document["credential"]["voms"]]


def test_every_item_has_an_answer(owner: User) -> None:
    make(owner)
    said = owner.run("arcproxy", *(word for name in ITEMS for word in ("-i", name)))

    assert (0, len(ITEMS)) == (said.code, len(said.out.splitlines()))


def test_an_unknown_item_is_an_error(owner: User) -> None:
    make(owner)
    said = owner.run("arcproxy", "-i", "bogus", "-i", "identity")

    assert (1, f"{USER}\n", "ERROR: Information item 'bogus' is not known\n") == (said.code, said.out, said.err)


def test_a_check_says_what_is_wrong(owner: User, authority: Authority, tmp_path: Path) -> None:
    make(owner)
    (tmp_path / "none").mkdir()

    good = owner.run("arcproxy", "--check", "-T", authority.trusted)
    bad = owner.run("arcproxy", "--check", "-T", tmp_path / "none", "--json")

    assert (0, "No problems found with this proxy.\n") == (good.code, good.out)
    assert 1 == bad.code
    assert ["no trusted authority issued it" in each["what"] for each in bad.json["findings"]] == [True]


def test_a_proxy_is_removed(owner: User) -> None:
    make(owner)

    assert 0 == owner.run("arcproxy", "-r").code
    assert not (owner.home / "proxy").exists()


# --- for jobs ---------------------------------------------------------------------------------------------------------


def test_arcsub_gives_a_named_proxy_to_its_jobs(owner: User) -> None:
    make(owner, "-P", "named")
    said = owner.run("arcsub", "--proxy", "named", "-e", "&(executable=/bin/true)")
    [job] = owner.plugin.jobs()

    assert 0 == said.code
    assert (owner.home / "named").read_bytes() == owner.plugin.store.read(job, "proxy")


def test_arcsub_delegates_a_named_token_and_does_not_print_it(owner: User) -> None:
    (owner.home / "t").write_text("opaque-secret-token\n")
    said = owner.run("arcsub", "--token", "t", "-e", "&(executable=/bin/true)", "-d", "DEBUG")
    [job] = owner.plugin.jobs()

    assert 0 == said.code
    assert owner.plugin.one(job).delegationid
    assert "opaque" not in said.out + said.err
    holding = [path for path in owner.home.rglob("*") if path.is_file() and b"opaque" in path.read_bytes()]
    assert {"t", "delegations"} == {path.relative_to(owner.home / "ctl").parts[0].partition(".")[0]
                                    if "ctl" in path.parts else path.name for path in holding}  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["--proxy", "t"], "contains no certificate"),
        (["--token", "proxy"], "contains no token"),
        (["--token", "t", "--proxy", "proxy"], "cannot be used together"),
        (["--proxy", "nowhere"], "cannot read the credential nowhere: No such file"),
    ],
)
def test_arcsub_takes_no_file_of_the_other_kind(owner: User, argv: list[str], why: str) -> None:
    make(owner)
    (owner.home / "t").write_text("opaque-secret-token\n")

    said = owner.run("arcsub", *argv, "-e", "&(executable=/bin/true)")

    assert 0 != said.code
    assert why in said.err
    assert [] == owner.plugin.jobs()


def test_arcrenew_says_who_else_got_it(owner: User) -> None:
    make(owner)
    for _ in range(3):
        assert 0 == owner.run("arcsub", "-e", REMOTE).code
    job, *others = owner.plugin.jobs()
    make(owner, "-c", "validityPeriod=20h")

    said = owner.run("arcrenew", job)
    document = owner.run("arcrenew", "--json", job).json

    assert said.out == (
        "Jobs processed: 1, renewed: 1\nOther jobs that share the credential and have the new one, too: 2\n"
    )
    assert sorted([job, *others]) == document["sharing"]
    fresh = (owner.home / "proxy").read_bytes()
    assert [fresh] * 3 == [owner.plugin.store.read(each, "proxy") for each in (job, *others)]


# --- what only other programs can do ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "program"),
    [
        (("-S", "testers"), "voms-proxy-init"),
        (("-o", "/testers:Admin"), "voms-proxy-init"),
        (("-L", "host.example.org", "-M", "GET"), "myproxy-logon"),
        (("-F",), "use -C"),
    ],
)
def test_a_function_that_is_missing_names_its_substitute(owner: User, words: tuple[str, ...], program: str) -> None:
    said = owner.run("arcproxy", *words)

    assert 1 == said.code
    assert program in said.err
    assert not (owner.home / "proxy").exists()


def test_an_empty_organisation_asks_for_none(owner: User) -> None:
    make(owner, "-S", "", "-s", "/etc/vomses", "-H", "-O")

    assert USER == credentials.read(owner.home / "proxy").identity
