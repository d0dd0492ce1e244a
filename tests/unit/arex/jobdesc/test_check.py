"""What a service refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from arex.errors import JobRefused
from arex.jobdesc import DescriptionDialect, parse
from arex.jobdesc.check import check
from arex.jobdesc.model import Creation, InputFile, JobDescription, OutputFile, Program, Resources, Software, Target
from tests import environments

FIXTURES = environments.DATA / "fixtures"
CLIENTS = sorted(FIXTURES.glob("[!h]*/ctl/*.description"))
JOB = JobDescription(executable="/bin/true")


def of(resources: Resources) -> JobDescription:
    return replace(JOB, resources=resources)


@pytest.mark.parametrize("path", CLIENTS, ids=lambda path: path.parts[-3])
def test_nothing_that_a_real_service_ran_is_refused(path: Path) -> None:
    for description in parse(path.read_bytes(), DescriptionDialect.GRIDMANAGER):
        check(description)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (replace(JOB, before=(Program(path="x"),)), "Pre-executables are not supported by this service"),
        (replace(JOB, after=(Program(path="x"),)), "Post-executables are not supported by this service"),
        (replace(JOB, resources=Resources(coprocessor="x")), "Coprocessor is not supported yet."),
        (of(Resources(slots=4, slots_per_host=3)), "SlotsPerHost exceeding NumberOfSlots is not supported"),
        (of(Resources(slots=2, slots_per_host=4)), "SlotsPerHost exceeding NumberOfSlots is not supported"),
        (of(Resources(slots=4, slots_per_host=0)), "SlotsPerHost must be at least 1, not 0"),
        (of(Resources(slots_per_host=2)), "SlotsPerHost needs NumberOfSlots"),
        (of(Resources(slots=0)), "NumberOfSlots must be at least 1, not 0"),
        (of(Resources(queue="x")), "Requested queue x is not allowed for this user"),
        (of(Resources(runtimes=(Software(name="A", version="1", relation=">="),))), "A-1 is not resolved"),
        (
            replace(JOB, outputs=(OutputFile(name="o", targets=(Target(url="http://h", creation=Creation.APPEND),)),)),
            "CreationFlag APPEND is not supported",
        ),
    ],
)
def test_a_refusal_says_why(description: JobDescription, message: str) -> None:
    with pytest.raises(JobRefused, match=message.replace(".", r"\.")):
        check(description, queues=["main"])


def named(attribute: str, name: str) -> JobDescription:
    match attribute:
        case "inputfiles":
            return replace(JOB, inputs=(InputFile(name=name),))
        case "outputfiles":
            return replace(JOB, outputs=(OutputFile(name=name),))
        case "executable":
            return replace(JOB, executable=name)
        case "stdin":
            return replace(JOB, stdin=name)
        case "stdout":
            return replace(JOB, stdout=name)
        case "stderr":
            return replace(JOB, stderr=name)
        case _:
            return replace(JOB, gmlog=name)


ATTRIBUTES = ["inputfiles", "outputfiles", "executable", "stdin", "stdout", "stderr", "gmlog"]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize("name", ["..", "../x", "a/../../x", "a/..", "a\nb", "a\0b", "a\rb", "x" * 5000])
def test_a_name_that_leads_out_is_refused_and_named(attribute: str, name: str) -> None:
    with pytest.raises(JobRefused, match=f"Bad name for {attribute}|{attribute}: a NUL"):
        check(named(attribute, name))


@pytest.mark.parametrize("attribute", ["inputfiles", "stdout", "stderr", "gmlog"])
def test_an_absolute_name_is_refused(attribute: str) -> None:
    with pytest.raises(JobRefused, match=f"Bad name for {attribute}: /etc/passwd must be relative"):
        check(named(attribute, "/etc/passwd"))


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("stdin", "/dev/null"),
        ("executable", "/bin/true"),
        ("executable", "$HOME/x"),
        ("executable", "./run.sh"),
        ("outputfiles", "/"),
        ("outputfiles", "/results/"),
        ("outputfiles", "@list"),
        ("outputfiles", "a..b/...c"),
        ("inputfiles", "sub/dir.txt"),
        ("stdout", "o u t.txt"),
        ("stderr", "err's.txt"),
    ],
)
def test_names_of_honest_jobs_pass(attribute: str, name: str) -> None:
    check(named(attribute, name))


@pytest.mark.parametrize("name", ["@../x", "@a/../../b", "//../x"])
def test_a_dynamic_list_can_not_lead_out(name: str) -> None:
    with pytest.raises(JobRefused, match="outputfiles"):
        check(named("outputfiles", name))


@pytest.mark.parametrize("name", ["", "A=B"])
def test_a_variable_has_a_proper_name(name: str) -> None:
    with pytest.raises(JobRefused, match="environment"):
        check(replace(JOB, environment=((name, "x"),)))
