"""xRSL, read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.errors import JobDescriptionError
from arex.jobdesc.adl.writer import write_adl
from arex.jobdesc.client.complete import complete
from arex.jobdesc.model import DescriptionDialect, InputFile, JobDescription
from arex.jobdesc.remarks import MAX_REMARKS
from arex.jobdesc.xrsl.parser import parse_xrsl
from tests import environments

ARCSUB = environments.DATA / "descriptions" / "arcsub-6.17"
LOCAL_FILES = (
    "a b", "ddmendpoints.json", "loc.txt", "queues.json", "run.sh", "run_pilot.sh", "stdin.txt", "taskJobData.out",
)  # fmt: skip


def user(text: str) -> JobDescription:
    (found,) = parse_xrsl(text, DescriptionDialect.USER)
    return found


def service(text: str) -> JobDescription:
    (found,) = parse_xrsl(text, DescriptionDialect.GRIDMANAGER)
    return found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the user stands: the local files of the recorded descriptions."""
    for name in LOCAL_FILES:
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("path", sorted(ARCSUB.glob("*.xrsl")), ids=lambda path: path.stem)
def test_arcsub_and_we_make_the_same_adl_of_a_user_s_file(path: Path, directory: Path) -> None:
    (description,) = parse_xrsl(path.read_bytes().decode(), DescriptionDialect.USER)

    written = write_adl(complete(description, directory).description)

    assert path.with_suffix(".adl").read_bytes() == written.encode()


def test_units_are_the_reader_s() -> None:
    text = "&(executable=/bin/true)(walltime=60)(cputime=2)(lifetime=3)"

    assert (
        user(text).resources.walltime_s,
        user(text).resources.cputime_s,
        user(text).lifetime_s,
    ) == (3600, 120, 180)
    assert (
        service(text).resources.walltime_s,
        service(text).resources.cputime_s,
        service(text).lifetime_s,
    ) == (60, 2, 3)


def test_the_service_ignores_what_is_for_clients() -> None:
    found = service("&(executable=/bin/true)(stdout=o)(stderr=e)(join=yes)(gridtime=5)(clientxrsl=x)(action=request)")

    assert (found.stdout, found.stderr, found.resources.cputime_s) == ("o", "e", None)


def test_the_service_reads_sizes_and_checksums_of_uploads() -> None:
    found = service('&(executable=/bin/true)(inputfiles=(a "")(b "17")(c "17.108525713")(d ".5")(e "*.*"))')

    assert [file.announced for file in found.inputs] == ["", "17", "17.108525713", "", ""]
    assert all(file == InputFile(name=file.name, announced=file.announced) for file in found.inputs)


def test_a_client_excludes_queues_and_the_service_does_not() -> None:
    text = "&(executable=/bin/true)(queue!=a)(queue!=b)"

    assert user(text).resources.excluded_queues == ("a", "b")
    with pytest.raises(JobDescriptionError, match="used at 'queue'"):
        service(text)


def test_a_negative_lifetime_counts_as_missing() -> None:
    assert (None, 60) == (user("&(lifetime=PT99Y)").lifetime_s, user("&(lifetime=1)").lifetime_s)


def test_an_output_to_a_file_of_the_client_stays_for_the_client() -> None:
    (output,) = user("&(executable=a)(outputfiles=(b 'file://[::1/a'))").outputs

    assert () == output.targets


def test_names_lose_case_and_underscores() -> None:
    assert user("&('exeCutable'=/bin/true)(\"Job_Name\"=x)").name == "x"


def test_a_plus_makes_several_jobs() -> None:
    found = parse_xrsl(
        "+(&(executable=a)(jobname=1))(+(&(executable=b))(|(executable=c)(executable=d)))", DescriptionDialect.USER
    )

    assert [one.executable for one in found] == ["a", "b", "c"]
    assert [one.executable for one in found[2].alternatives] == ["d"]


def test_alternatives_are_added_not_multiplied() -> None:
    """As in ARC: the second choice starts from the first way that the first choice left."""
    found = user("&(executable=a)(|(jobname=1)(jobname=2))(|(memory=1)(memory=2))")

    assert [(one.name, one.resources.memory_mb) for one in (found, *found.alternatives)] == [
        ("1", 1),
        ("2", 1),
        ("1", 2),
    ]


def test_a_variable_holds_from_its_definition_to_the_end_of_its_branch() -> None:
    found = user("&(executable=$(A))(rslsubstitution=(A a))(&(rslsubstitution=(B b))(jobname=$(A)$(B)))(stdout=x$(B))")

    assert ("", "ab", "x") == (found.executable, found.name, found.stdout)
    assert ["Variable 'A' is not defined here: it is empty", "Variable 'B' is not defined here: it is empty"] == [
        one.what for one in found.warnings
    ]


def test_comments_are_blanks() -> None:
    assert user("&(* x *)(executable(* (y) *)=/bin/x)(arguments=a(* *)b 'c#d')").arguments == ("a", "b", "c#d")


ERRORS = {
    "&": (1, 2),
    "&(": (1, 3),
    "&()": (1, 3),
    "&(executable": (1, 13),
    "&(executable=": (1, 14),
    "&(executable=a": (1, 15),
    "&(executable=a))": (1, 16),
    "&(executable=a)\n  junk": (2, 3),
    '&(executable="a': (1, 14),
    "&(executable='a": (1, 14),
    "&(executable=^xa": (1, 14),
    "&(executable=^": (1, 14),
    "&(executable=a)(* no end": (1, 16),
    "&(executable=a\n#)": (2, 2),
    "&(executable=$(": (1, 16),
    "&(executable=$(A)": (1, 18),
    "&(executable=a b)": (1, 3),
    "&(executable=(a))": (1, 14),
    "&(executable=a)(executable=b)": (1, 17),
    "&(executable=a)(arguments=a&b)": (1, 28),
    "&(executable=a)(=b)": (1, 17),
    "&(executable=a)(+(&(jobname=a)))": (1, 17),
    "&(executable=a)\n(count=x)": (2, 2),
    f"&(executable=a)(count={'9' * 5000})": (1, 17),
    "&(executable=a)(environment=A b)": (1, 29),
    "&(executable=a)(environment=(A))": (1, 29),
    "&(executable=a)(inputfiles=(a))": (1, 28),
    "&(executable=a)(executables=b)": (1, 17),
    "&(executable=a)(ftpthreads=11)": (1, 17),
    "&(executable=a)(join=yes)": (1, 17),
    "&(executable=a)(join=yes)(stdout=o)(stderr=e)": (1, 17),
    "&(executable=a)(gridtime=1)(cputime=1)": (1, 17),
    "&(executable=a)(action=request)": (1, 17),
    "&(executable=a)(notify='zz a@b')": (1, 17),
    "&(executable=a)(notify=b)": (1, 17),
    "&(executable=a)(rslsubstitution=a)(jobname=b)": (1, 33),
    "(" * 1000: (1, 1),
    "&(arguments=" + "(" * 1000: (1, 263),
    "&" + "(|(a=1)(a=2))" * 1200: (1, 10054),
    "&" + "|(" * 1000: (1, 2),
    "&" + "(&" * 1000: (1, 502),
    "&(executable=a)(arguments='(*')": (1, 28),
    "&(executable=a)(arguments=b(c))": (1, 28),
    "&((executable=a))": (1, 3),
    "&(executable=a)(inputfiles=(b 'x:y'))": (1, 28),
    "&(executable=a)(runtimeenvironment=)": (1, 17),
    "&(executable=a)(count=5x)": (1, 17),
    "&(executable=a)(countpernode=2)": (1, 17),
}


@pytest.mark.parametrize("text", ERRORS, ids=lambda text: text[:40].replace("\n", "|"))
def test_invalid_text_is_an_error_with_line_and_column(text: str) -> None:
    with pytest.raises(JobDescriptionError) as caught:
        parse_xrsl(text, DescriptionDialect.USER)

    assert ERRORS[text] == (caught.value.line, caught.value.column)


@pytest.mark.parametrize(
    ("text", "what", "column", "suggestion"),
    [
        ("(walltme=60)", "Unknown attribute 'walltme': it is ignored", 17, "walltime"),
        ("(Exectuable=60)", "Unknown attribute 'Exectuable': it is ignored", 17, "executable"),
        ("(nosuchthing=60)", "Unknown attribute 'nosuchthing': it is ignored", 17, ""),
        ("(jobtype=x)", "The Globus attribute 'jobtype' is not supported: it is ignored", 17, ""),
        ("(memory=lots)", "Value of 'memory' attribute counts as 0: not a whole number: 'lots'", 17, ""),
        ("(memory=2XB)", "Value of 'memory' attribute counts as 2: '2XB' has more than a number", 17, ""),
        ("(cputime='2 fortnights')", "Value of 'cputime' attribute counts as 0 seconds: 'f' is not a unit", 17, ""),
        ("(cputime='2 huors')", "The word 'huors' in 'cputime' is not a unit of time", 17, "hours"),
        ("(cputime='1 month')", "The word 'month' in 'cputime' is not a unit of time", 17, ""),
        (
            "(starttime=soon)",
            "Value of 'starttime' attribute is ignored: not a time, such as 2026-11-20T08:49:00Z: 'soon'",
            17,
            "",
        ),
        ("(arguments=a $(B))", "Variable 'B' is not defined here: it is empty", 29, ""),
        ("(priority=700)", "priority is too large: it counts as 100", 17, ""),
        ("(nodeaccess=x)", "Value 'x' of 'nodeaccess' and what follows is ignored", 17, ""),
        ("(notify='' a@x)", "An empty text in 'notify' has no effect", 17, ""),
        ("(memory<5)", "'<' counts as '=' at attribute 'memory'", 17, ""),
        ("(inputfiles=(a 'htps://h/a'))", "Unknown URL scheme 'htps'", 28, "https"),
        ("(acl=everybody)", "Value of 'acl' attribute is ignored", 17, ""),
        ("(dryrun=true)", "Value of 'dryrun' attribute counts as 'no'", 17, ""),
    ],
)
def test_what_has_no_effect_is_remarked_on(text: str, what: str, column: int, suggestion: str) -> None:
    (remark,) = user(f"&(executable=a){text}").warnings

    assert remark.what.startswith(what)
    assert (1, column, suggestion) == (remark.line, remark.column, remark.suggestion)


def test_there_are_only_so_many_remarks() -> None:
    assert len(user("&(executable=a)" + "(x=1)" * 1000).warnings) == MAX_REMARKS


def test_jobs_compare_without_their_remarks() -> None:
    assert user("&(executable=a)(x=1)") == user("&(executable=a)")


def test_variables_can_not_explode() -> None:
    """Each doubles the one before: thirty are a gigabyte."""
    text = "&(executable=a)(rslsubstitution=(v0 xxxxxxxxxx)"
    text += "".join(f"(v{number} $(v{number - 1})$(v{number - 1}))" for number in range(1, 40)) + ")"

    with pytest.raises(JobDescriptionError, match="too much text"):
        parse_xrsl(text, DescriptionDialect.USER)


@given(st.text(alphabet="&|+()=\"'^#$!<>* \nabcA_*", max_size=200))
def test_any_text_gives_jobs_or_an_error_with_its_place(text: str) -> None:
    try:
        found = parse_xrsl(text, DescriptionDialect.USER)
    except JobDescriptionError as exc:
        assert exc.line is not None  # noqa: PT017 - both ways are right
        assert exc.column is not None  # noqa: PT017 - the same
    else:
        assert found
