"""Payloads that set traps for the service, against a real daemon."""

from __future__ import annotations

import pytest

from arex.controldir.layout import Mark
from tests.faults.service import Service, wait_for
from tests.faults.strange import sh

pytestmark = pytest.mark.timeout(600)
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
            "printf '%s\\n' exitcode walltime usertime kerneltime maxresidentmemory lrmsstarttime | "
            "xargs -I@ sh -c 'printf @=; head -c 9000 /dev/zero | tr [:cntrl:] 9; echo' >>$HOME.diag"
        ),
        "",
    ),
    "comment is a link": ("ln -sf {canary}/precious $HOME.comment", ""),
    "comment is a directory": ("rm -f $HOME.comment; mkdir $HOME.comment", ""),
    "comment is junk": ("head -c 300000 /dev/urandom >>$HOME.comment", ""),
    "record is junk": ("ls -d $HOME.lrms/* | xargs -I@ sh -c 'head -c 3000 /dev/urandom >@/pid'", ""),
    "record is a directory": ("ls -d $HOME.lrms/* | xargs -I@ sh -c 'rm -f @/pid; mkdir @/pid @/done'", ""),
    "record is a pipe": ("ls -d $HOME.lrms/* | xargs -I@ sh -c 'rm -f @/pid; mkfifo @/pid @/done'", ""),
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

    site.reaches(job, "FINISHED", limit_s=90)
    site.mark(job, Mark.RESTART)
    wait_for(lambda: not site.store.has_mark(job, Mark.RESTART), 90, lambda: site.tell(job))
    site.reaches(job, "FINISHED", limit_s=90)
    site.cleans(job)
    assert not (site.root / "stolen").exists()
    assert [] == [path for path in (site.root / "stolen.d").rglob("*") if path.is_file()]
