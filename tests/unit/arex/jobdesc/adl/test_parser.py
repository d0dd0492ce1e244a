"""ADL, read and written."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from arex.errors import JobDescriptionError
from arex.jobdesc.adl.parser import parse_adl, write_adl
from arex.jobdesc.model import Creation, JobDescription, Location, Resources
from tests import environments

FIXTURES = environments.DATA / "fixtures"
#: Descriptions that no ARC client wrote, besides those of the cases "hand...": xRSL, or compact ADL, posted by hand.
POSTED = {"acct1", "rest_1", "rest_2", "rest_3"}
HEAD = (
    '<ActivityDescription xmlns="http://www.eu-emi.eu/es/2010/12/adl"'
    ' xmlns:n="http://www.nordugrid.org/es/2011/12/nordugrid-adl">\n'
)
ADL_DESCRIPTIONS = sorted(
    path
    for path in FIXTURES.glob("*/ctl/*.description")
    if path.parts[-3] not in POSTED and not path.parts[-3].startswith("hand")
)


def job(body: str) -> JobDescription:
    (found,) = parse_adl(f"{HEAD}{body}</ActivityDescription>")
    return found


def resources(body: str) -> Resources:
    return job(f"<Resources>{body}</Resources>").resources


def test_there_are_enough_descriptions_of_real_clients() -> None:
    assert len(ADL_DESCRIPTIONS) >= 60


@pytest.mark.parametrize("path", ADL_DESCRIPTIONS, ids=lambda path: path.parts[-3])
def test_what_a_client_wrote_is_written_back_byte_for_byte(path: Path) -> None:
    written = path.read_bytes()

    (description,) = parse_adl(written.decode())

    assert written == write_adl(description).encode("ascii")


def test_a_list_of_activities_gives_as_many_jobs() -> None:
    jobs = "".join(
        f"<ActivityDescription><Application><Executable><Path>{path}</Path></Executable></Application>"
        "</ActivityDescription>"
        for path in ("/bin/a", "/bin/b")
    )
    text = f'<ActivityDescriptions xmlns="http://www.eu-emi.eu/es/2010/12/adl">{jobs}</ActivityDescriptions>'

    found = parse_adl(text)

    assert [one.executable for one in found] == ["/bin/a", "/bin/b"]


def test_bytes_are_rounded_up_to_megabytes() -> None:
    found = resources(
        "<IndividualPhysicalMemory>1</IndividualPhysicalMemory>"
        "<IndividualVirtualMemory>1048576</IndividualVirtualMemory>"
        "<DiskSpaceRequirement>1048577</DiskSpaceRequirement>"
    )

    assert (found.memory_mb, found.virtualmemory_mb, found.disk_mb) == (1, 1, 2)


def test_slots_per_host_can_follow_the_number_of_slots() -> None:
    found = resources(
        "<SlotRequirement><NumberOfSlots>6</NumberOfSlots><SlotsPerHost useNumberOfSlots='true'/></SlotRequirement>"
    )

    assert (found.slots, found.slots_per_host) == (6, 6)


def test_a_file_that_is_named_by_a_url_comes_from_there() -> None:
    (file,) = job("<DataStaging><InputFile><Name>http://h;a=b/x</Name></InputFile></DataStaging>").inputs

    assert ("http://h;a=b/x", (Location(url="http://h:80/x", options=(("a", "b"),)),)) == (file.name, file.sources)


def test_a_file_here_stays_one_whatever_its_name() -> None:
    body = "<InputFile><Name>a</Name><Source><URI>file:b:c</URI></Source></InputFile>"
    (file,) = job(f"<DataStaging>{body}</DataStaging>").inputs

    assert (Location(url="file:b:c"),) == file.sources


def test_every_recipient_is_notified_of_every_state() -> None:
    found = job(
        "<Application><Notification><Protocol>email</Protocol><Recipient>a@b</Recipient><Recipient>c@d</Recipient>"
        "<OnState>PREPROCESSING</OnState><OnState>TERMINAL</OnState></Notification></Application>"
    )

    assert [(one.recipient, one.states) for one in found.notifications] == [("a@b", "be"), ("c@d", "be")]


def test_a_creation_flag_survives() -> None:
    """The clients of ARC 6.17 lose it; it decides whether a file is overwritten."""
    found = job(
        "<DataStaging><OutputFile><Name>o</Name><Target><URI>http://a/b</URI>"
        "<CreationFlag>dontOverwrite</CreationFlag></Target></OutputFile></DataStaging>"
    )

    (again,) = parse_adl(write_adl(found, whole=True))

    assert Creation.DONT_OVERWRITE is again.outputs[0].targets[0].creation


def test_features_that_a_service_refuses_are_named() -> None:
    found = job(
        "<Application><PreExecutable><Path>a</Path></PreExecutable></Application><Resources><Coprocessor>x</Coprocessor></Resources>"
    )

    assert found.unsupported == ("PreExecutable", "Coprocessor")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("<a>", 1, 4),
        ("<a>\n<b>\n</a>", 3, 5),
        ("<a>\x01</a>", 1, 4),
        ("<a>&nosuch;</a>", 1, 12),
        ("<a b=c/>", 1, 6),
        ("<" * 100, 1, 2),
        ("<a>" * 300, 1, None),
        ("<a/>junk", 1, 5),
        ("<a xmlns='http://www.eu-emi.eu/es/2010/12/adl'/>", 1, None),
        ("<ActivityDescription/>", 1, None),
        ('<?xml version="1.1"?>' + HEAD + "</ActivityDescription>", 1, 20),
        (f"{HEAD}<x xmlns='relative'/></ActivityDescription>", 2, None),
        (f"{HEAD}<a:b/></ActivityDescription>", 2, None),
        ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', 1, 1),
        (f"{HEAD}<Resources>\n<WallTime>abc</WallTime></Resources></ActivityDescription>", 3, None),
        (f"{HEAD}<Resources><WallTime/></Resources></ActivityDescription>", 2, None),
        (f"{HEAD}<Resources><WallTime>{'9' * 5000}</WallTime></Resources></ActivityDescription>", 2, None),
        (f"{HEAD}<Resources><NetworkInfo>x</NetworkInfo></Resources></ActivityDescription>", 2, None),
        (f"{HEAD}<Resources><Benchmark/></Resources></ActivityDescription>", 2, None),
        (f"{HEAD}<DataStaging><InputFile/></DataStaging></ActivityDescription>", 2, None),
        (f"{HEAD}<DataStaging><ClientDataPush>x</ClientDataPush></DataStaging></ActivityDescription>", 2, None),
        (f"{HEAD}<Application><ExpirationTime>x</ExpirationTime></Application></ActivityDescription>", 2, None),
    ],
)
def test_invalid_text_is_an_error_with_its_place(text: str, line: int, column: int | None) -> None:
    with pytest.raises(JobDescriptionError) as caught:
        parse_adl(text)

    assert line == caught.value.line
    if column is not None:
        assert column == caught.value.column


@pytest.mark.parametrize(
    ("body", "line", "what", "suggestion"),
    [
        ("<Aplication/>", 2, "Unknown element Aplication: it is ignored", "Application"),
        ("<Application>\n<n:Input/></Application>", 3, "Element Input is in the wrong namespace: it is ignored", ""),
        ("<Application>\n<n:Priority>high</n:Priority></Application>", 3, "Priority counts as 0: ", ""),
        ("<Application><WipeTime>2 dasy</WipeTime></Application>", None, "", ""),
        ("<Application><n:StartTime>x</n:StartTime></Application>", 2, "StartTime is ignored: ", ""),
        ("<Application><Notification/></Application>", 2, "only the notification protocol email is supported", ""),
        (
            "<DataStaging><InputFile><Name>http://h/a</Name></InputFile></DataStaging>",
            2,
            "The name of the file is a URL, and its source, too: http://h/a",
            "",
        ),
        (
            "<DataStaging><InputFile><Name>a</Name><Source><URI>htp://h/a</URI></Source></InputFile></DataStaging>",
            2,
            "Unknown URL scheme 'htp'",
            "http",
        ),
    ],
)
def test_what_is_ignored_is_remarked_on(body: str, line: int | None, what: str, suggestion: str) -> None:
    found = [(one.line, one.suggestion) for one in job(body).warnings if one.what.startswith(what)]

    assert [(line, suggestion)] == found or (line is None and not found)


def test_entities_are_never_expanded() -> None:
    text = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>\n' + HEAD + "</ActivityDescription>"

    with pytest.raises(JobDescriptionError, match="document type"):
        parse_adl(text)


def test_a_control_character_that_xml_forbids_is_refused() -> None:
    with pytest.raises(JobDescriptionError, match="is not allowed in XML"):
        write_adl(JobDescription(executable="/bin/true", arguments=("\x1b",)))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Oslo", "America/New_York"])
def test_the_end_of_time_can_be_written(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the year 10000 where clocks are ahead."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        found = write_adl(job("<Application><ExpirationTime>9999-12-31T23:59:59Z</ExpirationTime></Application>"))
    finally:
        monkeypatch.undo()
        time.tzset()

    assert re.search(r"<ExpirationTime>(9999-12-31|10000-01-01) \d\d:59:59<", found)


def test_a_carriage_return_comes_back() -> None:
    description = JobDescription(executable="/bin/true", arguments=("a\r\nb", " c ", ""))

    assert [description] == parse_adl(write_adl(description))


def test_a_slot_requirement_always_has_a_number() -> None:
    """ARC takes a SlotRequirement without NumberOfSlots for an error, though its clients write one."""
    description = JobDescription(executable="/bin/true", resources=Resources(exclusive=True))

    (again,) = parse_adl(write_adl(description, whole=True))

    assert replace(description.resources, slots=1) == again.resources
    with pytest.raises(JobDescriptionError, match="NumberOfSlots"):
        parse_adl(write_adl(description))


def test_submitting_xrsl_needs_no_xml_library() -> None:
    """The start of a client command is counted in milliseconds, and lxml is a large part of it."""
    program = (
        "import sys; from arex.jobdesc import DescriptionDialect, parse\n"
        "from arex.jobdesc.adl.writer import write_adl\n"
        "from arex.jobdesc.client.complete import complete; from pathlib import Path\n"
        "print(write_adl(complete(parse('&(executable=/bin/true)', DescriptionDialect.USER)[0], Path()).description))\n"
        "print([name for name in sys.modules if 'lxml' in name])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.endswith("</ActivityDescription>\n\n[]\n")
