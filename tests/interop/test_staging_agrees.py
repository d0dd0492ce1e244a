"""
Jobs with files of every kind through ARC's ``arcsub`` to our daemon and to A-REX 6.17: the same ends, the same files.

Both daemons see the same web servers, each below a separate path. What differs on purpose is in ``KEPT``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import pytest

from tests.interop.grid import Account, Job, Site, site
from tests.interop.web import Web, web

WITHIN: Final = 300.0
#: ``Failed in data staging: Failed checking source replica``
KIND_WORDS: Final = 8
BIG: Final = bytes(range(256)) * 20_000  # 5 MB
FILES: Final = {
    "in.txt": b"from the web\n",
    "two.txt": b"second\n",
    "tool.sh": b"#!/bin/sh\necho tool: $*\n",
    "dir/deep.txt": b"deep\n",
    "empty": b"",
    "big.bin": BIG,
    "a b.txt": b"blank\n",
}


@dataclass(frozen=True)
class Case:
    """One job: HTTP and HTTPS stand for the two servers, UP for a place to send files to."""

    script: str
    more: str = ""
    fails: bool = False
    sent: tuple[str, ...] = ()  #: names below UP that must arrive
    stays: tuple[str, ...] = ()  #: names in the session directory afterwards, beside out and err


def puts(name: str, target: str, *options: str) -> str:
    return f'(outputfiles=("{name}" "{target}"{"".join(f" {chr(34)}{option}{chr(34)}" for option in options)}))'


CASES: Final[Mapping[str, Case]] = {
    "upload": Case("cat mine.txt", '(inputfiles=("mine.txt" "mine.txt"))'),
    "upload another name": Case("cat yours.txt", '(inputfiles=("yours.txt" "mine.txt"))'),
    "upload executable": Case("./run.sh a b", '(inputfiles=("run.sh" "run.sh"))(executables="run.sh")'),
    "http": Case("cat in.txt", '(inputfiles=("in.txt" "HTTP/in.txt"))'),
    "two of http": Case("cat in.txt two.txt", '(inputfiles=("in.txt" "HTTP/in.txt")("two.txt" "HTTP/two.txt"))'),
    "http another name": Case("cat here", '(inputfiles=("here" "HTTP/in.txt"))'),
    "http into a directory": Case("cat d/e/in", '(inputfiles=("d/e/in" "HTTP/dir/deep.txt"))'),
    "http executable": Case("./tool.sh x", '(inputfiles=("tool.sh" "HTTP/tool.sh"))(executables="tool.sh")'),
    "http empty": Case("wc -c <empty", '(inputfiles=("empty" "HTTP/empty"))'),
    "http big": Case("cksum <big", '(inputfiles=("big" "HTTP/big.bin"))'),
    "http moved": Case("cat in", '(inputfiles=("in" "HTTP/moved/in.txt"))'),
    "http no cache": Case("cat in", '(inputfiles=("in" "HTTP/in.txt" "cache=no"))'),
    "upload and http": Case("cat mine.txt in", '(inputfiles=("mine.txt" "mine.txt")("in" "HTTP/in.txt"))'),
    "http missing": Case("cat in", '(inputfiles=("in" "HTTP/missing/in.txt"))', fails=True),
    "http forbidden": Case("cat in", '(inputfiles=("in" "HTTP/forbidden/in.txt"))', fails=True),
    "http broken": Case("cat in", '(inputfiles=("in" "HTTP/broken/in.txt"))', fails=True),
    "no server": Case("cat in", '(inputfiles=("in" "http://localhost:1/in.txt"))', fails=True),
    "https with a proxy": Case("cat in", '(inputfiles=("in" "HTTPS/in.txt"))'),
    "https out with a proxy": Case("echo secret >x", puts("x", "HTTPS/UP/x"), sent=("x",)),
    "output stays": Case("echo made >x", '(outputfiles=("x" ""))', stays=("x",)),
    "output out": Case("echo made >x", puts("x", "HTTP/UP/x"), sent=("x",)),
    "output out another name": Case("echo made >x", puts("x", "HTTP/UP/y"), sent=("y",)),
    "two out": Case("echo 1 >x; echo 2 >y", '(outputfiles=("x" "HTTP/UP/x")("y" "HTTP/UP/y"))', sent=("x", "y")),
    "output not made": Case("true", puts("x", "HTTP/UP/x"), fails=True),
    "output refused": Case("echo made >x", puts("x", "HTTP/forbidden/x"), fails=True, stays=("x",)),
    "directory stays": Case("mkdir -p d/e; echo 1 >d/a; echo 2 >d/e/b", '(outputfiles=("d/" ""))',
                            stays=("d/a", "d/e/b")),
    "directory out": Case("mkdir -p d/e; echo 1 >d/a; echo 2 >d/e/b", puts("d/", "HTTP/UP/d"),
                          sent=("d/a", "d/e/b")),
    "list": Case("echo 1 >x; echo 2 >y; echo x >list; echo y >>list", '(outputfiles=("@list" ""))',
                 stays=("list", "x", "y")),
    "list out": Case("echo 1 >x; echo x HTTP/UP/listed >list", '(outputfiles=("@list" ""))',
                     sent=("listed",)),
    "everything stays": Case("echo 1 >x; mkdir d; echo 2 >d/y", '(outputfiles=("/" ""))', stays=("x", "d/y")),
    "in and out": Case("cat in >x", '(inputfiles=("in" "HTTP/in.txt"))(outputfiles=("x" "HTTP/UP/x"))', sent=("x",)),
    "failed, kept": Case("echo made >x; exit 3", puts("x", "HTTP/UP/x"), fails=True),
    "failed, preserved": Case("echo made >x; exit 3", puts("x", "HTTP/UP/x", "preserve=yes"), fails=True, sent=("x",)),
    "input is output": Case("echo more >>in", '(inputfiles=("in" "HTTP/in.txt"))(outputfiles=("in" "HTTP/UP/in"))',
                            sent=("in",)),
}  # fmt: skip


#: What ours keeps and 6.17 loses: a list of outputs stays where nothing is sent, but goes where something is.
KEPT: Final[Mapping[str, tuple[str, ...]]] = {"list out": ("list",)}


@dataclass
class End:
    """What one daemon made of a case."""

    job: Job
    failed: bool
    failure: str
    session: dict[str, bytes] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Played:
    ours: dict[str, End]
    theirs: dict[str, End]
    secure: Web


def play(here: Site, plain: Web, secure: Web, up: str) -> dict[str, End]:
    here.write("mine.txt", "mine\n")
    here.write("run.sh", "#!/bin/sh\necho ran $*\n", 0o755)
    names, texts = list(CASES), []
    for number, case in enumerate(CASES.values()):
        text = f'&(executable="/bin/sh")(arguments="-c" "{case.script}")(stdout="out")(stderr="err"){case.more}'
        text = text.replace("HTTPS/", secure.url("")).replace("HTTP/", plain.url(""))
        texts.append(text.replace("UP/", f"{up}/{number}/"))
    jobs = here.arc_submit(*texts)
    here.wait(jobs, "FINISHED", within=WITHIN)
    ends = {}
    for number, (name, job) in enumerate(zip(names, jobs, strict=True)):
        failure = here.text(job, "failed")
        top, below = here.session / job.id, f"{up}/{number}/"
        files = {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        given = {**plain.given, **secure.given}
        sent = {path.removeprefix(below): data for path, data in given.items() if path.startswith(below)}
        ends[name] = End(job, bool(failure.strip()), failure, files, sent)
    return ends


@pytest.fixture(scope="module")
def played(account: Account, request: pytest.FixtureRequest) -> Iterator[Played]:
    failed = lambda: bool(request.session.testsfailed)  # noqa: E731
    with web() as plain, web(tls=True) as secure:
        for server in (plain, secure):
            server.files.update(FILES)
        with site(account, "theirs", failed, wakeup=2) as there, site(account, "mine", failed) as here:
            there.start_real()
            here.start_ours()
            theirs = play(there, plain, secure, "theirs")
            yield Played(play(here, plain, secure, "ours"), theirs, secure)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CASES)
def test_the_end_is_the_same(played: Played, name: str) -> None:
    ours, theirs = played.ours[name], played.theirs[name]

    assert CASES[name].fails == theirs.failed, theirs.failure
    assert theirs.failed == ours.failed, f"{theirs.failure}\n---\n{ours.failure}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CASES)
def test_the_files_are_the_same(played: Played, name: str) -> None:
    ours, theirs, case = played.ours[name], played.theirs[name], CASES[name]

    assert theirs.sent == ours.sent
    assert theirs.session == {file: data for file, data in ours.session.items() if file not in KEPT.get(name, ())}
    assert set(case.sent) == set(ours.sent)
    assert set(case.stays) <= set(ours.session)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.fails])
def test_the_failure_is_of_the_same_kind(played: Played, name: str) -> None:
    """What was tried, in the words of 6.17; what the server said follows and may be said better."""
    ours, theirs = (end.failure.split()[:KIND_WORDS] for end in (played.ours[name], played.theirs[name]))

    assert theirs == ours


@pytest.mark.timeout(600)
def test_the_proxy_of_the_owner_was_shown(played: Played) -> None:
    assert any("Test User" in subject for subject in played.secure.clients)
