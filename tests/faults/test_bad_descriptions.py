"""Descriptions that are none, and characters in those that are, against a real daemon."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from arex.model.ids import new_job_id
from tests.faults.service import Service
from tests.faults.strange import TRUE, dangling, link, pipe
from tests.trees import everything_below

pytestmark = pytest.mark.timeout(600)


# --- descriptions -----------------------------------------------------------------------------------------------------


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
        """Those of other tests may still lose files."""
        return {path.name.split(".")[1] for path in everything_below(site.ctl) if path.name.startswith("job.")}

    before = jobs()

    assert "missing.sh" in site.refusal('&(executable="missing.sh")')
    assert jobs() <= before


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


@pytest.mark.parametrize("kind", [_missing, link, dangling, pipe], ids=lambda kind: kind.__name__.strip("_"))
def test_a_description_that_is_no_file_fails_the_job(site: Service, kind: Callable[[Service, Path], None]) -> None:
    job = new_job_id()
    (site.sessions / job).mkdir()
    kind(site, site.path(job, "description"))
    site.path(job, "local").touch()
    (site.ctl / "accepting" / f"job.{job}.status").write_text("ACCEPTED")
    site.ring(job)

    assert site.fails(job).startswith("Could not process job description")
    site.cleans(job)


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
