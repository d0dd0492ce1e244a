"""
Of one description we make the control files that ARC 6.17 makes: ``.grami``, ``.local``, ``.input``, ``.output``.

ARC's client writes the first two when it submits, its daemon all but the first when it accepts. There the jobs stay,
since they start in 2099.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from arex.controldir.codec import dump_entries, dump_local, parse_entries, parse_local
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.jobdesc.control.filelists import Ending, input_entries, local_from, output_entries
from arex.jobdesc.control.grami import build_grami, dump_grami
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.model.local import JobLocal
from tests.interop.corpus import inside
from tests.interop.grid import Account, Job, Site, site, until

_LATER: Final = '(starttime="2099-01-01 10:00:00")'
_X: Final = f"&(executable=/bin/true){_LATER}"
#: What follows from a description in ``.local``; a client knows the rest.
_DERIVED: Final = (
    *("jobreport", "args", "argscode", "lifetime", "notify", "processtime", "rerun", "downloads", "uploads"),
    *("jobname", "gmlog", "diskspace", "credentialserver", "freestagein", "activityid", "priority", "dryrun"),
)


def later(body: bytes) -> bytes:
    """A whole document of ADL around this."""
    start = b"<ng:StartTime>20990101100000Z</ng:StartTime></Application>"
    return inside(body.replace(b"</Application>", start))


DESCRIPTIONS: Final = {
    "plain": _X,
    "no program": f"&(jobname=x){_LATER}(outputfiles=(a http://localhost:1/a))(inputfiles=(a http://localhost:1/a))",
    "arguments": _X + """(arguments=a "b c" 'it''s' "say ""x"" " "$HOME" "a\\b" "é" "*" ";" "<&>")""",
    "an empty argument": _X + '(arguments=a "" b "")',
    "line breaks": _X + '(arguments="a\nb" "\n")(jobname="c\nd")(environment=(A "e\nf"))',
    "relative program": f"&(executable=run.sh){_LATER}",
    "program with a dot": f"&(executable=./run.sh){_LATER}",
    "program of the environment": '&(executable="$HOME/x")(starttime="2099-01-01 10:00:00")(inputfiles=("$HOME/x" "http://h/x"))',
    "stdin": _X + "(stdin=run.sh)(stdout=o)(stderr=e)",
    "joined": _X + "(stdout=o)(join=yes)(gmlog=log)",
    "environment": _X + """(environment=(A b)(C "d e")(E "")(F "it's")(G "$H"))""",
    "names": _X + '(jobname="my ""job""")(queue=fork)',
    "times": _X + '(cputime="2 hours")(walltime=PT90M)',
    "times of zero": _X + "(cputime=0)(walltime=0)",
    "gridtime": _X + "(gridtime=10)(count=3)",
    "benchmarks": _X + '(benchmarks=(a 1 "1 hour"))',
    "memory and disk": _X + "(memory=2000)(disk=500)",
    "memory below zero": _X + "(memory=-5)(disk=-5)",
    "memory of zero": _X + "(memory=0)",
    "slots": _X + "(count=4)",
    "slots per host": _X + "(count=4)(countpernode=2)",
    "slots and a host alone": _X + "(count=4)(countpernode=4)(exclusiveexecution=yes)",
    "a host alone without slots per host": _X + "(count=4)(exclusiveexecution=yes)",
    "runtimes": _X + '(runtimeenvironment=ENV/PROXY)(runtimeenvironment=A/b-1.0 "x y" z)(runtimeenvironment=C "")',
    "start": '&(executable=/bin/true)(starttime="20990101120000+0130")',
    "lifetime": _X + "(lifetime=61)",
    "lifetime of zero": _X + "(lifetime=0)",
    "rerun and priority": _X + "(rerun=2)(priority=70)",
    "rerun too often": _X + "(rerun=99)(priority=0)",
    "priority too high": _X + "(priority=1000)",
    "notify": _X + '(notify="be a@x" "q b@y c@z" "f d@w")',
    "notify deleted": _X + '(notify="d a@x" "bd b@y")',
    "accounting": _X + '(jobreport="https://a:8443;x=y/s")(jobreport="https://b/")(credentialserver="http://c/;x")',
    "dry run": _X + "(dryrun=yes)",
    "inputs": _X
    + '(inputfiles=(run.sh "")("a b" run.sh)(c "http://h/c?x=1" "cache=no" "threads=3")(d "gsiftp://h;b=2;a=1/d"))',
    "inputs that run": _X + "(inputfiles=(c http://h/c)(d http://h/d))(executables=c)(cache=copy)(ftpthreads=2)",
    "outputs": _X + '(outputfiles=(a "")(dir/ "")("@list" "")(b "http://h/b;x" "overwrite=yes")(c "/tmp/c"))',
    "outputs to keep": _X
    + '(outputfiles=(a "http://h/a" "preserve=yes" "mandatory=true")(b "http://h;preserve=no/b"))',
    "all outputs": _X + '(outputfiles=("/" ""))',
    "outputs with locations": _X + '(outputfiles=(a "lfc://h/a" "location=gsiftp://x/y" "threads=3"))',
    "exit code": later(
        b"<Application><Executable><Path>/bin/false</Path><FailIfExitCodeNotEqualTo>1</FailIfExitCodeNotEqualTo>"
        b"</Executable></Application>"
    ).decode(),
    "parallel": later(
        b"<Application><Executable><Path>/bin/true</Path></Executable></Application>"
        b"<Resources><ParallelEnvironment><Type>OpenMPI</Type><Version>4.1</Version><ProcessesPerSlot>2"
        b"</ProcessesPerSlot><ThreadsPerProcess>3</ThreadsPerProcess></ParallelEnvironment><SlotRequirement>"
        b"<NumberOfSlots>6</NumberOfSlots><SlotsPerHost useNumberOfSlots='true'/></SlotRequirement>"
        b"<IndividualVirtualMemory>5000000</IndividualVirtualMemory></Resources>"
    ).decode(),
    "targets": later(
        b"<Application><Executable><Path>/bin/true</Path></Executable></Application><DataStaging>"
        b"<OutputFile><Name>a</Name><Target><URI>http://h/a</URI><UseIfFailure>true</UseIfFailure></Target>"
        b"<Target><URI>ftp://h/b</URI><UseIfCancel>true</UseIfCancel><UseIfSuccess>false</UseIfSuccess></Target>"
        b"</OutputFile><OutputFile><Name>c</Name><Target><URI>file:///tmp/x</URI></Target></OutputFile></DataStaging>"
    ).decode(),
    "pushed": later(
        b"<ActivityIdentification><Name>p</Name><ng:ActivityOldID>a</ng:ActivityOldID><ng:ActivityOldID>b"
        b"</ng:ActivityOldID></ActivityIdentification><Application><Executable><Path>/bin/true</Path></Executable>"
        b"</Application><DataStaging><ClientDataPush>true</ClientDataPush></DataStaging>"
    ).decode(),
    "notified of all": later(
        b"<Application><Executable><Path>/bin/true</Path></Executable><Notification><Protocol>email</Protocol>"
        b"<Recipient>a@x</Recipient><OnState>ACCEPTED</OnState><OnState>TERMINAL</OnState></Notification></Application>"
    ).decode(),
}

#: Where we differ from ARC 6.17, in which file, and why that is better for the user.
WANTED: Final = {
    ("lifetime", ".local"): "6.17 writes one raw byte that nothing can read",
    ("a host alone without slots per host", ".grami"): "6.17 forgets the wish for a node of one's own",
}


@pytest.fixture(scope="module")
def place(account: Account, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A directory that ARC's daemon has made and left."""
    with site(account, "files", lambda: bool(request.session.testsfailed)) as here:
        here.start_real()
        here.stop_real()
        here.pidfile.touch()
        here.account.own(here.pidfile)
        here.write("run.sh", "#!/bin/sh\n", mode=0o755)
        yield here


@pytest.fixture(scope="module")
def theirs(place: Site) -> dict[str, Job]:
    """What ARC made of all of them, in one go."""
    jobs = place.arc_submit(*DESCRIPTIONS.values(), name="files")
    place.start_real()
    until(
        lambda: all(place.file(job, "input").exists() and place.file(job, "output").exists() for job in jobs),
        60,
        lambda: "\n".join(place.tell(job) for job in jobs if not place.file(job, "output").exists()),
    )
    place.stop_real()
    return dict(zip(DESCRIPTIONS, jobs, strict=True))


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_the_same_control_files(place: Site, theirs: dict[str, Job], name: str) -> None:
    job = theirs[name]
    # as a service reads it: line feeds are dropped
    [description] = parse(place.text(job, "description").replace("\n", ""), DescriptionDialect.GRIDMANAGER)
    base = parse_local(place.file(job, "local").read_bytes())

    found = {
        ".grami": our_grami(place, job, description, base),
        ".local": our_local(description, base),
        ".input": without_credentials(input_entries(description, str)),
        ".output": without_credentials(output_entries(description, Ending.SUCCESS, str)),
    }
    expected = {
        ".grami": place.text(job, "grami"),
        ".local": place.file(job, "local").read_bytes().decode("utf-8", "replace"),
        ".input": without_credentials(parse_entries(place.file(job, "input").read_bytes())),
        ".output": without_credentials(parse_entries(place.file(job, "output").read_bytes())),
    }

    wanted = {suffix for case, suffix in WANTED if case == name}
    assert wanted == {suffix for suffix in found if found[suffix] != expected[suffix]} & wanted
    for suffix in expected.keys() - wanted:
        assert expected[suffix].splitlines() == found[suffix].splitlines(), suffix


def our_grami(place: Site, job: Job, description: JobDescription, base: JobLocal) -> str:
    local = local_from(description, base)
    grami = build_grami(
        description, local, jobid=JobId(job.id), session=place.session / job.id, controldir=place.control
    )
    return dump_grami(grami).decode()


def our_local(description: JobDescription, base: JobLocal) -> str:
    """The fields that a description decides, as we decide them."""
    blank = JobLocal()
    fields: dict[str, object] = {name: getattr(blank, name) for name in _DERIVED}
    stripped = replace(base, **fields, odd=())  # type: ignore[arg-type]
    stripped = replace(stripped, lifetime=timedelta(days=7))  # what the daemon gives where nothing is wanted
    return dump_local(local_from(description, stripped, max_rerun=2)).decode()


def without_credentials(entries: list[FileEntry]) -> str:
    return dump_entries([replace(entry, credential="") for entry in entries]).decode()
