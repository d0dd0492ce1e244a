"""
What strangers, users and payloads can put into the way of the service, against a real daemon.

After each case the daemon has logged no internal error, another job finishes, and a directory that belongs to
no job is what it was, to the nanosecond.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arex.controldir.layout import Mark, Place
from arex.model.ids import JobId, new_job_id
from arex.model.state import State
from tests.faults.service import Service, serving, wait_for

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("bad")) as service:
        yield service


@pytest.fixture
def site(daemon: Service) -> Iterator[Service]:
    yield daemon
    daemon.unharmed()


def sh(script: str, more: str = '(stdout="out")(stderr="err")') -> str:
    """A job that runs this shell text."""
    quoted = script.replace('"', '""')
    return f'&(executable="/bin/sh")(arguments="-c" "{quoted}"){more}'


TRUE = '&(executable="/bin/true")'

# --- descriptions ---------------------------------------------------------------------------------------------------


def test_an_executable_that_is_not_there_fails_the_job_and_names_it(site: Service) -> None:
    job = site.submit('&(executable="/no/such/program")(stderr="err")')

    assert "LRMS error" in site.fails(job)
    assert "/no/such/program" in (site.sessions / job / "err").read_text()


def test_an_interpreter_that_is_not_there_fails_the_job_and_names_it(site: Service) -> None:
    (site.root / "script").write_text("#!/no/such/interpreter\n", encoding="utf-8")

    job = site.submit('&(executable="script")(stderr="err")(inputfiles=("script" ""))')

    assert "LRMS error" in site.fails(job)
    assert "/no/such/interpreter" in site.path(job, "errors").read_text()


def test_a_file_that_the_client_does_not_have_is_refused_before_anything_is_written(site: Service) -> None:
    def jobs() -> set[str]:
        """Those of other tests may still have files come and go."""
        return {path.name.split(".")[1] for path in site.ctl.rglob("job.*")}

    before = jobs()

    assert "missing.sh" in site.refusal('&(executable="missing.sh")')
    assert before == jobs()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"&(executable=/bin/true)(jobname=\xff\xfe)", "line 1, column 33: not UTF-8"),
        (b"\x00\x01\x02\x80", "line 1"),
        (b"", "empty"),
        (b"&(executable=", "line 1"),
        (b"<?xml version='1.0'?><ActivityDescription", "line 1"),
        (b"&(executable=/bin/true)(nosuchattribute=1", "line 1"),
        (b"&" + b"(" * 5000, "line 1"),
        (b"+" + b"(&" * 5000, "line 1"),
        (b"<a>" * 5000, "line 1"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "line 1"),
    ],
    ids=["latin1", "junk", "empty", "cut", "cut xml", "unclosed", "nested", "nested multi", "nested xml", "entity"],
)
def test_a_description_that_does_not_read_is_refused_with_its_place(site: Service, text: bytes, told: str) -> None:
    """The client says in one sentence where; the service, given the same, fails the job with the same words."""
    refusal = site.refusal(text)
    job = site.by_hand(text)

    assert told in refusal
    assert len(refusal.splitlines()) == 1
    assert site.fails(job).startswith("Could not process job description")
    site.cleans(job)


def test_ten_megabytes_of_description_are_refused_by_client_and_service(site: Service) -> None:
    text = b'&(executable="/bin/true")(arguments="' + b"x" * (10 << 20) + b'")'

    assert "too big" in site.refusal(text)
    job = site.by_hand(text)
    assert site.fails(job).startswith("Could not process job description")
    site.cleans(job)


def _missing(_site: Service, _path: Path) -> None:
    """Nothing is there."""


def _link(site: Service, path: Path) -> None:
    path.symlink_to(site.canary / "precious")


def _directory(_site: Service, path: Path) -> None:
    path.mkdir()


def _pipe(_site: Service, path: Path) -> None:
    os.mkfifo(path)


def _dangling(site: Service, path: Path) -> None:
    path.symlink_to(site.canary / "new")


def _junk(_site: Service, path: Path) -> None:
    path.write_bytes(JUNK)


@pytest.mark.parametrize("kind", [_missing, _link, _dangling, _pipe], ids=lambda kind: kind.__name__.strip("_"))
def test_a_description_that_is_no_file_fails_the_job(site: Service, kind: Callable[[Service, Path], None]) -> None:
    job = new_job_id()
    (site.sessions / job).mkdir()
    kind(site, site.path(job, "description"))
    site.path(job, "local").touch()
    (site.ctl / "accepting" / f"job.{job}.status").write_text("ACCEPTED")
    site.ring(job)

    assert site.fails(job).startswith("Could not process job description")
    site.cleans(job)


# --- strange content of control files -----------------------------------------------------------------------------

_dice = random.Random(20261120)
JUNK = bytes(_dice.randrange(256) for _ in range(3000)) + b"\n\0\n=\n==\n\\\n/ \\ /\n" + b"9" * 6000 + b"\n"
SUFFIXES = (
    "description",
    "local",
    "grami",
    "input",
    "output",
    "input_status",
    "output_status",
    "errors",
    "diag",
    "failed",
    "xml",
    "lrms_job",
    "lrms_done",
    "statistics",
    "proxy",
    "acl",
)


class Held:
    """A job that is kept in a state until it is let go."""

    def __init__(self, site: Service, name: str) -> None:
        self.site = site
        self.gate = site.root / f"gate.{new_job_id()}"
        self.job = getattr(self, name)()

    def accepted(self) -> JobId:
        job = self.site.submit(sh("exit 0", '(starttime="2099-01-01 00:00:00")'))
        wait_for(self.site.path(job, "errors").exists, 20, "it is taken up")
        return job

    def preparing(self) -> JobId:
        job = self.site.by_hand('&(executable="/bin/true")(inputfiles=("later" ""))')
        self.site.reaches(job, "PREPARING")
        return job

    def inlrms(self) -> JobId:
        os.mkfifo(self.gate)
        job = self.site.submit(sh(f"read x <{self.gate}"))
        self.site.reaches(job, "INLRMS")
        wait_for((self.site.sessions / job / "out").exists, 20, "its payload runs")
        return job

    def finished(self) -> JobId:
        job = self.site.submit(TRUE)
        self.site.reaches(job, "FINISHED")
        return job

    def let_go(self) -> None:
        """Whatever it waits for is there now."""
        if self.gate.exists():
            with self.gate.open("w") as gate:
                gate.write("go\n")
            self.gate.unlink()
        if self.site.state(self.job) != "FINISHED":
            (self.site.sessions / self.job / "later").touch()
            wait_for(lambda: self.moved_on() or self.cancelled(), 20, lambda: self.site.tell(self.job))

    def moved_on(self) -> bool:
        self.site.ring(self.job)
        return self.site.state(self.job) not in {"ACCEPTED", "PREPARING"}

    def cancelled(self) -> bool:
        """The last resort of its owner."""
        if self.site.state(self.job) in {"ACCEPTED", "PREPARING"}:
            self.site.mark(self.job, Mark.CANCEL)
        return False


HOLDS = ("accepted", "preparing", "inlrms", "finished")


@pytest.mark.parametrize("hold", HOLDS)
def test_junk_in_any_control_file_leaves_a_job_that_ends_and_goes(site: Service, hold: str) -> None:
    held = {suffix: Held(site, hold) for suffix in SUFFIXES}

    for suffix, one in held.items():
        site.path(one.job, suffix).write_bytes(JUNK)
    for one in held.values():
        one.let_go()

    for suffix, one in held.items():
        wait_for(lambda: site.state(one.job) == "FINISHED", 30, lambda: (suffix, site.tell(one.job)))  # noqa: B023
        if hold == "finished":
            site.mark(one.job, Mark.RESTART)
        site.cleans(one.job)
        assert not (site.sessions / one.job).exists()


@pytest.mark.parametrize("kind", [_link, _dangling, _directory, _pipe], ids=lambda kind: kind.__name__.strip("_"))
@pytest.mark.parametrize("hold", HOLDS)
def test_what_is_no_file_is_not_followed_and_the_job_goes_on_without_it(
    site: Service, hold: str, kind: Callable[[Service, Path], None]
) -> None:
    """A job may wait while it is there; as soon as it is gone, the job can be cancelled and removed."""
    held = {suffix: Held(site, hold) for suffix in SUFFIXES}

    for suffix, one in held.items():
        path = site.path(one.job, suffix)
        path.unlink(missing_ok=True)
        kind(site, path)
    for one in held.values():
        site.ring(one.job)
        if one.gate.exists():
            one.let_go()
    site.unharmed()

    for suffix, one in held.items():
        path = site.path(one.job, suffix)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        elif not path.is_file() or path.is_symlink():
            path.unlink(missing_ok=True)
        one.let_go()
    for suffix, one in held.items():
        wait_for(lambda: site.state(one.job) == "FINISHED", 30, lambda: (suffix, site.tell(one.job)))  # noqa: B023
        site.cleans(one.job)


@pytest.mark.parametrize("data", [b"", b"NONSENSE", b"INLRMS:R", b"PENDING:", b"\xff" * 100, b"A" * 9000, JUNK])
def test_a_status_file_that_says_nothing_ends_the_job_with_that_cause(site: Service, data: bytes) -> None:
    job = new_job_id()
    (site.sessions / job).mkdir()
    site.path(job, "description").write_text(TRUE)
    site.path(job, "local").touch()
    (site.ctl / "accepting" / f"job.{job}.status").write_bytes(data)
    site.ring(job)

    assert site.fails(job).startswith("Failed reading status of the job")
    site.cleans(job)


@pytest.mark.parametrize("word", [state.value for state in State if state not in {State.UNDEFINED, State.DELETED}])
def test_a_job_that_begins_in_any_state_out_of_nothing_ends(site: Service, word: str) -> None:
    """No list, no grami, no local id, no session: whatever is missing is a reason to fail, not to fall."""
    job = site.by_hand(None, state=State(word), session=False)

    site.reaches(job, "FINISHED")
    site.cleans(job)


@pytest.mark.parametrize(
    "line",
    [
        b"cleanuptime=99991231235959Z",
        b"cleanuptime=00000000000000Z",
        b"lifetime=999999999999999999",
        b"lifetime=-5",
        b"processtime=99999999999999Z",
        b"localid=" + b"9" * 5000,
        b"localid=1",
        b"localid=-1",
        b"localid=/etc/passwd",
        b"rerun=999999999999999999",
        b"failedstate=DELETED",
        b"priority=-999999999999999999",
        b"argscode=x",
        b"args=\\",
        b"lrms=../../nothing",
        b"delegationid=../../../../etc/passwd",
        b"gmlog=..",
        b"gmlog=/",
        b"=" * 100000,
    ],
    ids=lambda line: line[:40].decode(),
)
@pytest.mark.parametrize("state", [State.ACCEPTED, State.INLRMS, State.FINISHED, State.DELETED])
def test_values_that_make_no_sense_in_local_do_not_fell_the_service(site: Service, line: bytes, state: State) -> None:
    job = site.by_hand(TRUE, line + b"\n", state=state)

    if line.startswith(b"lrms=") and state is State.ACCEPTED:
        wait_for(lambda: "no batch system" in site.log.read_text(errors="replace"), 10, "the log has a warning")
        site.reaches(job, "SUBMIT")
        os.unlink(site.store.layout.status_file(Place.PROCESSING, job))
        return
    if state in {State.ACCEPTED, State.INLRMS}:
        site.reaches(job, "FINISHED")
    site.ring(job)
    if state is not State.DELETED:
        site.cleans(job)


def test_a_local_id_of_another_job_takes_nothing_from_that_job(site: Service) -> None:
    """Neither its watch, when the false owner is cancelled, nor its life."""
    honest = Held(site, "inlrms")
    local = site.store.read_local(honest.job)
    assert local is not None
    assert local.localid is not None

    thief = site.by_hand(TRUE, f"localid={local.localid}\nlrms=fork\n".encode(), state=State.INLRMS)
    site.mark(thief, Mark.CANCEL)
    site.reaches(thief, "CANCELING", "FINISHED")

    assert "INLRMS" == site.state(honest.job)
    honest.let_go()
    site.finishes(honest.job)
    site.reaches(thief, "FINISHED", limit_s=50)


def test_lists_that_lead_everywhere_fail_their_jobs(site: Service) -> None:
    """``.input`` and ``.output`` written by hand into a running job."""
    outside = f"/../../canary/precious file://{site.root}/arc.conf\n".encode()
    cases = {
        "input": [outside, b"/x file:///etc/hosts%00\n", b"/x nosuchscheme://h/p\n", b"/later 12x.y\n", b"x:y z:z\n"],
        "output": [
            outside,
            b"/out file:///\n",
            b"/out file://otherhost/x\n",
            b"/../../canary/\n",
            b"/@../../canary/precious\n",
            b"/ \n",
            b"\\ \n",
            f"/out file://{site.canary}/precious\n".encode(),
        ],
    }
    held = [
        (suffix, data, Held(site, "preparing" if suffix == "input" else "inlrms"))
        for suffix, several in cases.items()
        for data in several
    ]
    for suffix, data, one in held:
        site.path(one.job, suffix).write_bytes(data)
    for _, _, one in held:
        one.let_go()

    for _, _, one in held:
        site.reaches(one.job, "FINISHED")
        site.cleans(one.job)


def test_inputs_that_never_end_do_not_hold_the_service(site: Service) -> None:
    """A pipe, a device and a directory as the source of a file."""
    os.mkfifo(site.root / "pipe")
    jobs = [
        site.by_hand(f'&(executable="/bin/true")(inputfiles=("x" "file://{source}"))')
        for source in (site.root / "pipe", Path("/dev/zero"), site.canary, Path("/proc/self/mem"))
        for _ in range(4)
    ]

    for job in jobs:
        assert "Failed in data staging" in site.fails(job)
        site.cleans(job)
    (site.root / "pipe").unlink()


# --- names that lead out ----------------------------------------------------------------------------------------------

OUT = ("../canary/precious", "a/../../canary/precious", "/CANARY/precious", "..", "x/..", "/", "a\nb")


@pytest.mark.parametrize("name", OUT)
@pytest.mark.parametrize(
    "text",
    [
        '&(executable="NAME")',
        '&(executable="/bin/cat")(stdin="NAME")',
        '&(executable="/bin/echo")(stdout="NAME")',
        '&(executable="/bin/ls")(arguments="/no")(stderr="NAME")',
        '&(executable="/bin/echo")(gmlog="NAME")',
        '&(executable="/bin/true")(inputfiles=("NAME" ""))',
        '&(executable="/bin/true")(outputfiles=("NAME" ""))',
        '&(executable="/bin/true")(outputfiles=("@NAME" ""))',
        '&(executable="/bin/true")(outputfiles=("NAME/" "file:///CANARY/x/"))',
    ],
    ids=["executable", "stdin", "stdout", "stderr", "gmlog", "input", "output", "list", "directory"],
)
def test_names_that_lead_out_of_the_session_are_refused_by_client_and_service(
    site: Service, text: str, name: str
) -> None:
    """What ARC allows stays allowed: absolute programs and standard inputs, and ``/`` as all of the session."""
    text = text.replace("NAME", name).replace("/CANARY", str(site.canary))
    outcome = site.offer(text)
    job = site.by_hand(text)

    site.reaches(job, "FINISHED")
    refused = not hasattr(outcome, "session")
    if refused:
        error = str(outcome.error)  # type: ignore[union-attr]
        assert error
        assert len(error.splitlines()) == 1
    else:
        site.reaches(outcome.id, "FINISHED")  # type: ignore[union-attr]
        site.cleans(outcome.id)  # type: ignore[union-attr]
    if ".." in name.split("/"):
        assert refused
        assert "leads out of the session directory" in site.store.failure(job)
    site.cleans(job)


@pytest.mark.parametrize(
    "path",
    [
        "{canary}",
        "{canary}/",
        "{canary}/below",
        "{session}",
        "{session}/",
        "{session}/..",
        "/",
        "",
        ".",
        "..",
        "canary",
        "{session}/@JOB@/..",
        "{session}/@JOB@/../../canary",
        "{ctl}",
        "{session}/OTHER",
        "{session}/OTHER.lrms",
        "{session}/@JOB@\0",
        "{links}/@JOB@",
        "{session}/" + "x" * 5000,
    ],
)
@pytest.mark.parametrize("state", [State.ACCEPTED, State.PREPARING, State.INLRMS, State.FINISHING, State.FINISHED])
def test_a_session_directory_that_is_not_the_jobs_own_is_left_alone(site: Service, state: State, path: str) -> None:
    """Whatever ``.local`` says is the session: nothing in it is read, pruned or removed, also not by a clean."""
    links = site.root / "links"
    links.mkdir(exist_ok=True)
    other = new_job_id()
    for name in (other, f"{other}.lrms"):
        (site.sessions / name).mkdir()
        (site.sessions / name / "result").write_text("of another job", encoding="utf-8")
    text = path.format(canary=site.canary, session=site.sessions, ctl=site.ctl, links=links).replace("OTHER", other)
    job = new_job_id()
    (links / job).symlink_to(site.canary)
    (site.sessions / job).mkdir()
    site.path(job, "description").write_text(f'{TRUE}(gmlog=log)(outputfiles=(x ""))')
    site.path(job, "local").write_text(f"gmlog=log\nlocalid=1\nsessiondir={text.replace('@JOB@', job)}\n")
    site.path(job, "output").write_bytes(b"")
    before = sorted(path.name for path in site.sessions.iterdir())
    place = {State.ACCEPTED: "accepting", State.FINISHED: "finished"}.get(state, "processing")
    (site.ctl / place / f"job.{job}.status").write_text(state)
    site.ring(job)

    site.reaches(job, "FINISHED")
    if state is not State.FINISHED and text:
        assert "sessiondir=" in site.store.failure(job)
    if text:
        assert set(before) <= {path.name for path in site.sessions.iterdir()} | {job}
    site.cleans(job)
    for name in (other, f"{other}.lrms"):
        assert "of another job" == (site.sessions / name / "result").read_text()
    assert (links / job).is_symlink()
    assert site.ctl.is_dir()
    assert site.untouched


# --- payloads ---------------------------------------------------------------------------------------------------------

ATTACKS = {
    "output is a link": ("ln -s {canary}/precious out2; ln -s {canary} dir", '(outputfiles=("out2" "")("dir/" ""))'),
    "output below a link": ("ln -s {canary} dir", '(outputfiles=("dir/precious" "")("dir/new" ""))'),
    "sends what a link names": (
        "ln -s {canary}/precious out2; echo '/out2 file://{root}/stolen' >list",
        '(outputfiles=("@list" ""))',
    ),
    "sends a directory of links": (
        "ln -s {canary} dir; echo '/dir/ file://{root}/stolen.d/' >list",
        '(outputfiles=("@list" ""))',
    ),
    "log directory is a link": ("ln -s {canary} log", '(gmlog="log")'),
    "log directory is a file": ("echo >log", '(gmlog="log")'),
    "log below a link": ("ln -s {canary} deep", '(gmlog="deep/log")'),
    "log file is a link": (
        "mkdir log; ln -s {canary}/precious log/errors; ln -s {canary}/new log/local",
        '(gmlog="log")',
    ),
    "list leads out": (
        r"printf '../../canary/precious\n/../../canary/below/\n' >list",
        '(outputfiles=("@list" ""))',
    ),
    "list is absolute": ("echo {canary}/precious >list", '(outputfiles=("@list" ""))'),
    "list sends from outside": (
        "echo '../../canary/precious file://{root}/stolen' >list",
        '(outputfiles=("@list" ""))',
    ),
    "list is a link": ("ln -s {canary}/precious list", '(outputfiles=("@list" ""))'),
    "list is a pipe": ("mkfifo list", '(outputfiles=("@list" ""))'),
    "list is junk": ("head -c 300000 /dev/urandom >list", '(outputfiles=("@list" ""))'),
    "list is huge": ("yes /x | head -c 12000000 >list", '(outputfiles=("@list" ""))'),
    "session is a link": (
        "cd ..; mv $OLDPWD $OLDPWD.moved; ln -s {canary} $OLDPWD",
        '(outputfiles=("x" ""))(gmlog="log")',
    ),
    "session is a file": ("cd ..; rm -rf $OLDPWD; echo >$OLDPWD", '(outputfiles=("x" ""))(gmlog="log")'),
    "session is gone": ("cd ..; rm -rf $OLDPWD", '(outputfiles=("x" ""))(gmlog="log")'),
    "diag is a link": ("rm -f ../*$HOME.diag; ln -sf {canary}/precious $HOME.diag", ""),
    "diag is a directory": ("rm -f $HOME.diag; mkdir $HOME.diag", ""),
    "diag is a pipe": ("rm -f $HOME.diag", ""),
    "diag lies": (
        (
            "for k in exitcode walltime usertime kerneltime maxresidentmemory lrmsstarttime; do "
            "printf '%s=' $k; head -c 9000 /dev/zero | tr '\\0' 9; echo; done >>$HOME.diag"
        ),
        "",
    ),
    "comment is a link": ("ln -sf {canary}/precious $HOME.comment", ""),
    "comment is a directory": ("rm -f $HOME.comment; mkdir $HOME.comment", ""),
    "comment is junk": ("head -c 300000 /dev/urandom >>$HOME.comment", ""),
    "record is junk": ("for d in $HOME.lrms/*; do head -c 3000 /dev/urandom >$d/pid; done", ""),
    "record is a directory": ("for d in $HOME.lrms/*; do rm -f $d/pid; mkdir $d/pid $d/done; done", ""),
    "record is a pipe": ("for d in $HOME.lrms/*; do rm -f $d/pid; mkfifo $d/pid $d/done; done", ""),
    "run directory is a link": ("rm -rf $HOME.lrms; ln -s {canary} $HOME.lrms", ""),
    "run directory is a file": ("rm -rf $HOME.lrms; echo >$HOME.lrms", ""),
    "directories without bits": ("mkdir -p a/b/c; echo >a/b/c/d; chmod 0 a/b/c a/b a", '(outputfiles=("x" ""))'),
    "names of every kind": (
        r"touch -- '-rf' 'a b' '*' \"$(printf 'a\nb\377')\"; mkdir '..x'",
        '(outputfiles=("x" ""))',
    ),
    "very deep": ("for i in $(seq 300); do mkdir d; cd d; done; echo >f", '(outputfiles=("x" ""))'),
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_a_payload_can_not_lead_the_service_out_of_its_session(site: Service, attack: str) -> None:
    """The job ends, the restart that follows and the removal touch nothing outside."""
    script, more = ATTACKS[attack]
    places = {"{canary}": str(site.canary), "{root}": str(site.root)}
    for word, path in places.items():
        script, more = script.replace(word, path), more.replace(word, path)

    job = site.submit(sh(f"{script}; exit 0", f'(rerun="1")(stdout="out"){more}'))

    site.reaches(job, "FINISHED", limit_s=40)
    site.mark(job, Mark.RESTART)
    wait_for(lambda: not site.store.has_mark(job, Mark.RESTART), 20, lambda: site.tell(job))
    site.reaches(job, "FINISHED", limit_s=40)
    site.cleans(job)
    assert not (site.root / "stolen").exists()
    assert [] == [path for path in (site.root / "stolen.d").rglob("*") if path.is_file()]


# --- characters -------------------------------------------------------------------------------------------------------

HOSTILE = (
    "; touch CANARY/x #",
    "$(touch CANARY/x)",
    "`touch CANARY/x`",
    "' ; touch CANARY/x ; '",
    '" ; touch CANARY/x ; "',
    "\\",
    "\\'",
    "a\nb=c\n",
    "a\rb",
    "\t",
    "*",
    "-rf",
    "--",
    "%s%n",
    "é\u202e\U0001f600",
    "&&",
    "|",
    ">CANARY/x",
    "{}",
    "~",
    "$HOME",
    "<b>&amp;</b>",
    "]]>",
    "\x01\x7f",
    "x" * 3000,
)


def _xrsl(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_characters_in_xrsl_are_only_characters(site: Service, hostile: str) -> None:
    """Refused in one line, or run with exactly that text; only arguments expand, as ARC's do."""
    text = hostile.replace("CANARY", str(site.canary))
    word = _xrsl(text)
    fields = [
        f"(jobname={word})",
        f"(queue={word})",
        f'(environment=("V" {word}))',
        f"(environment=({word} v))",
        f"(stdout={word})",
        f"(stderr={word})",
        f"(gmlog={word})",
        f'(outputfiles=({word} ""))',
        f"(runtimeenvironment={word})",
        f"(stdin={word})",
        f'(inputfiles=({word} ""))',
        f"(notify={_xrsl('b ' + text)})",
        f"(acl={word})",
        f"(clientsoftware={word})",
        f"(hostname={word})",
        f"(starttime={word})",
        f"(lifetime={word})",
        f"(cputime={word})",
    ]
    jobs = []
    for field in fields:
        out = "" if field.startswith("(stdout") else '(stdout="out")'
        description = f'&(executable="/usr/bin/env"){out}{field}'
        outcome = site.offer(description)
        if hasattr(outcome, "session"):
            jobs.append((field, outcome.id))  # type: ignore[union-attr]
        else:
            assert len(str(outcome.error).splitlines()) == 1, outcome
        if not field.startswith("(inputfiles"):
            kept = "" if field.startswith("(outputfiles") else '(outputfiles=("out" ""))'
            jobs.append((field, site.by_hand(f"{description}{kept}")))

    for field, job in jobs:
        site.reaches(job, "FINISHED")
        if field.startswith('(environment=("V"') and not site.store.failure(job):
            assert f"V={text}".replace("\n", "").encode() in (site.sessions / job / "out").read_bytes()
        site.cleans(job)


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_characters_in_adl_and_local_are_only_characters(site: Service, hostile: str) -> None:
    text = hostile.replace("CANARY", str(site.canary))
    plain = "".join(c for c in text if c >= " " or c in "\t\n\r")
    xml = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    adl = (
        '<ActivityDescription xmlns="http://www.eu-emi.eu/es/2010/12/adl"><ActivityIdentification><Name>@</Name>'
        "</ActivityIdentification><Application><Executable><Path>/usr/bin/env</Path></Executable>"
        "<Output>out</Output><Environment><Name>V</Name><Value>@</Value></Environment></Application>"
        "<DataStaging><OutputFile><Name>out</Name></OutputFile></DataStaging></ActivityDescription>"
    ).replace("@", xml)
    keys = (
        "subject",
        "jobname",
        "queue",
        "gmlog",
        "notify",
        "lrms",
        "interface",
        "globalid",
        "clientname",
        "projectname",
    )
    lines = text.replace("\n", " ").replace("\r", " ")
    local = "".join(f"{key}={lines}\n" for key in keys if key not in {"lrms", "queue"}).encode()

    sent = site.offer(adl)
    jobs = [sent.id] if hasattr(sent, "session") else []  # type: ignore[union-attr]
    jobs += [site.by_hand(adl), site.by_hand(TRUE, local), site.by_hand(TRUE, local + b"\xff\xfe=\xff\n")]

    for job in jobs:
        site.reaches(job, "FINISHED")
    for job in jobs:
        site.cleans(job)
    last = (site.root / "jobs.log").read_bytes().splitlines()
    assert all(re.match(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (Started|Finished) - job id: ", line) for line in last)


# --- names of jobs, and the pipe --------------------------------------------------------------------------------------

NAMES = (
    b"a b",
    b"",
    b".",
    b"..",
    b"$(reboot)",
    b"`x`",
    b"a\nb",
    b"\xff\xfe",
    b"x" * 200,
    b"-rf",
    b";",
    b"'",
    b"a'b",
    b"*",
    b"\x01",
)


def test_strange_names_in_the_control_directory_are_nobodys_jobs(site: Service) -> None:
    made = []
    for place, name in itertools.product(("accepting", "processing", "finished", "restarting"), NAMES):
        for end in (b"status", b"cancel", b"clean", b"restart"):
            odd = os.path.join(os.fsencode(site.ctl), place.encode(), b"job." + name + b"." + end)
            with open(odd, "wb") as file:
                file.write(b"ACCEPTED")
            made.append(odd)
    for place in ("accepting", "processing", "finished", "restarting"):
        directory = site.ctl / place / f"job.{new_job_id()}.status"
        directory.mkdir()
        link = site.ctl / place / f"job.{new_job_id()}.status"
        link.symlink_to(site.canary / "precious")
        pipe = site.ctl / place / f"job.{new_job_id()}.status"
        os.mkfifo(pipe)
        for path in (directory, link, pipe):
            site.ring(JobId(path.name[4:-7]))

    site.unharmed()
    time.sleep(2.5)  # two scans of everything

    for made_path in made:
        with contextlib.suppress(FileNotFoundError):  # "-rf" is a name like any other
            os.unlink(made_path)


def test_noise_in_the_pipe_is_answered_with_a_scan(site: Service) -> None:
    noise = random.Random(1).randbytes(200_000)
    with open(site.ctl / "gm.fifo", "wb", buffering=0) as pipe:
        pipe.write(noise)
        pipe.write(b"x" * 100_000 + b"\0")
        pipe.writelines(name + b"\0" + name + b"\n" for name in NAMES)
        pipe.write(b"../../canary\0job.x\0" + b"\0" * 50_000)


def test_a_flood_of_unknown_jobs_in_the_pipe_passes(site: Service) -> None:
    """Two seconds of as many messages as a process can write; a real job gets through soon after."""
    stop = threading.Event()

    def flood() -> None:
        with open(site.ctl / "gm.fifo", "wb", buffering=0) as pipe:
            for number in itertools.count():
                pipe.write(b"".join(b"%054d\0" % (100 * number + each) for each in range(70)))
                if stop.is_set():
                    return

    thread = threading.Thread(target=flood)
    thread.start()
    time.sleep(2)
    job = site.submit(TRUE)
    stop.set()
    thread.join()

    site.finishes(job, limit_s=20)


def test_a_flood_of_marks_for_unknown_jobs_passes(site: Service) -> None:
    for _ in range(300):
        for mark in Mark:
            site.store.set_mark(new_job_id(), mark)

    site.unharmed()
