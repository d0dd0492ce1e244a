"""Readers of what strangers write, each with real texts to begin from and with what must hold whatever they read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from arex.controldir import codec, confined_fs
from arex.errors import ArexError
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.jobdesc.adl.writer import write_adl
from arex.jobdesc.check import check
from arex.jobdesc.client.convert import Language, convert
from arex.jobdesc.control.filelists import Ending, input_entries, local_from, output_entries
from arex.jobdesc.control.grami import build_grami, dump_grami, parse_grami
from arex.model.ids import JobId
from tests.interop.corpus import corpus

DATA: Final = Path(__file__).parents[1] / "data"


#: More than one job, and without its brackets.
JDL: Final = (
    (
        b'# two\n[ Type = "Collection"; InputSandbox = {"a"}; Executable = "x"; Nodes = { [ Arguments = "1 \'2 3\'"; ],'
        b' [ InputSandbox = {root.InputSandbox[0], "gsiftp://h/b"}; JobType = "Parametric"; Parameters = {1, "u"};'
        b' StdOutput = "o_PARAM_"; ] }; ]'
    ),
    b'Executable = "/bin/echo"; Arguments = "\\"a b\\" c"; // end\nOutputSandbox = {"o", "e"};\n',
)


class Broken(AssertionError):
    """A promise does not hold for this input."""


@dataclass(frozen=True)
class Target:
    name: str
    read: Callable[[bytes], object]
    seeds: Sequence[bytes]


def job(data: bytes, dialect: DescriptionDialect) -> None:
    """Parse, and whatever a service would accept of it must stay in its session directory and write again."""
    for one in parse(data, dialect):
        with contextlib.suppress(ArexError):
            check(one)
            accepted(one)


def jdl(data: bytes) -> None:
    """As for other languages; and what is written as JDL again says the same, or tells what it leaves out."""
    jobs = parse(data, DescriptionDialect.USER)
    for one in jobs[:20]:
        with contextlib.suppress(ArexError):
            check(replace(one, before=(), after=()))
            accepted(one)
        with contextlib.suppress(ArexError):
            found = convert(one, Language.JDL)
            again = convert(parse(found.text, DescriptionDialect.USER)[0], Language.JDL)
            if again.text != found.text:
                raise Broken("what is written as JDL changes when it is written again")


def accepted(one: JobDescription) -> None:
    for entry in (*input_entries(one, lambda _: ""), *output_entries(one, Ending.SUCCESS, lambda _: "")):
        name = entry.pfn.removeprefix("/@") if entry.pfn.startswith("/@") else entry.pfn
        if name != "/" and ".." in name.split("/"):
            raise Broken(f"a name leads out of the session directory: {entry.pfn!r}")
        if name != "/":
            confined_fs.parts_of(name)
    grami = build_grami(one, local_from(one), jobid=JobId("x"), session=Path("/s"), controldir=Path("/c"))
    if parse_grami(dump_grami(grami)).args != grami.args:
        raise Broken("the arguments do not survive .grami")
    write_adl(one)


def local(data: bytes) -> None:
    """Once written by us, it reads and writes the same every time."""
    ours = codec.dump_local(codec.parse_local(data))
    if codec.dump_local(codec.parse_local(ours)) != ours:
        raise Broken(".local changes each time it is written")


def entries(data: bytes) -> None:
    read = codec.parse_entries(data)
    if codec.parse_entries(codec.dump_entries(read)) != read:
        raise Broken("a file list changes when it is written")


def fixtures(suffix: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((DATA / "fixtures").glob(f"*/ctl/**/job.*.{suffix}"))][:60]


def descriptions(start: bytes) -> list[bytes]:
    """All of the corpus and of the real jobs in one language."""
    texts = [*corpus().values(), *fixtures("description")]
    return [text for text in texts if text.lstrip().startswith(start)]


def targets() -> list[Target]:
    xrsl, adl = descriptions(b"&") + descriptions(b"+"), descriptions(b"<")
    return [
        Target("xrsl of a user", lambda data: job(data, DescriptionDialect.USER), xrsl),
        Target("xrsl at the service", lambda data: job(data, DescriptionDialect.GRIDMANAGER), xrsl),
        Target("adl", lambda data: job(data, DescriptionDialect.GRIDMANAGER), adl),
        Target("jdl of a user", jdl, [*descriptions(b"["), *JDL]),
        Target(".local", local, fixtures("local")),
        Target(".grami", parse_grami, fixtures("grami")),
        Target(".input and .output", entries, [*fixtures("input"), *fixtures("output"), b"/a http://h/b /c\n"]),
        Target(".input_status", codec.parse_input_status, [*fixtures("input_status"), b"\n/a\n/b\\ c\n"]),
        Target(".status", codec.parse_status, [*fixtures("status"), b"PENDING:PREPARING\n"]),
        Target(".diag", codec.parse_diag, [*fixtures("diag"), b"exitcode=0\nWallTime=1.2s\n"]),
        Target(".lrms_done", codec.parse_lrms_done, [b"0 \n", b"3 Job finished with wrong exit code - 3 != 0\n"]),
    ]
