"""JDL: what its attributes mean, which jobs there are, and where a mistake is."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from arex.errors import JobDescriptionError
from arex.jobdesc.jdl.parser import parse_jdl
from arex.jobdesc.model import InputFile, JobDescription, Location, OutputFile, Program, Resources, Software, Target


def one(attributes: str) -> JobDescription:
    (job,) = parse_jdl(f'[ Executable = "/bin/true"; {attributes} ]')
    return job


def remarks(job: JobDescription) -> list[str]:
    return [remark.what for remark in job.warnings]


def test_a_whole_job_reads() -> None:
    job = one("""
        Arguments = "a 'b c' \\"d e\\" f\\\\ g"; StdInput = "i"; StdOutput = "o"; StdError = "e"; JobName = "n";
        Environment = { "A=1", "B=x=y" }; QueueName = "q"; RetryCount = 2; ExpiryTime = 0;
        Prologue = "p"; PrologueArguments = "1 '2 3'"; Epilogue = "/e";
    """)

    assert job == JobDescription(
        name="n",
        executable="/bin/true",
        arguments=("a", "b c", "d e", "f g"),
        stdin="i",
        stdout="o",
        stderr="e",
        environment=(("A", "1"), ("B", "x=y")),
        rerun=2,
        expiration=datetime(1970, 1, 1, tzinfo=UTC),
        resources=Resources(queue="q"),
        before=(Program(path="p", arguments=("1", "2 3"), exit_code=0),),
        after=(Program(path="/e", exit_code=0),),
    )


def test_inputs_are_local_or_remote_and_have_the_last_part_of_their_name() -> None:
    job = one('InputSandbox = {"a", "/b/c", "file:///d/e", "https://h/f", "*.x"};')

    assert job.inputs == (
        InputFile(name="a", sources=(Location(url="a"),)),
        InputFile(name="c", sources=(Location(url="/b/c"),)),
        InputFile(name="e", sources=(Location(url="/d/e"),)),
        InputFile(name="f", sources=(Location(url="https://h:443/f"),)),
        InputFile(name="*.x", sources=(Location(url="*.x"),), pattern=True),
    )


def test_a_base_stands_before_relative_inputs_only() -> None:
    job = one('InputSandbox = {"a", "/b"}; InputSandboxBaseURI = "https://h/dir";')

    assert [file.sources[0].url for file in job.inputs] == ["https://h:443/dir/a", "/b"]


def test_outputs_go_to_their_urls_or_stay() -> None:
    job = one('OutputSandbox = {"a", "b"}; OutputSandboxDestURI = {"gsiftp://localhost/x", "https://h/y"};')

    assert job.outputs == (OutputFile(name="a"), OutputFile(name="b", targets=(Target(url="https://h:443/y"),)))


def test_outputs_go_below_a_base() -> None:
    job = one('OutputSandbox = "d/a"; OutputSandboxBaseDestURI = "https://h/y";')

    assert job.outputs == (OutputFile(name="d/a", targets=(Target(url="https://h:443/y/a"),)),)


def test_a_wildcard_keeps_the_whole_session_directory() -> None:
    job = one('OutputSandbox = {"*.root", "a"};')

    assert job.outputs == (OutputFile(name="a"), OutputFile(name="/"))
    assert remarks(job) == ["A wildcard in OutputSandbox keeps the whole session directory"]


@pytest.mark.parametrize(
    ("condition", "wanted", "rest"),
    [
        ("other.GlueCEPolicyMaxWallClockTime >= 60", Resources(walltime_s=3600), ""),
        ("60 <= other.GlueCEPolicyMaxWallClockTime", Resources(walltime_s=3600), ""),
        ("other.gluecepolicymaxcputime > 60", Resources(cputime_s=3660), ""),
        ("( (other.GlueHostMainMemoryRAMSize>=512) ) && a == b", Resources(memory_mb=512), "a == b"),
        ("(other.A || other.B) && x", Resources(), "(other.A || other.B) && x"),
        ("other.GlueHostMainMemoryRAMSize >= 5 || x", Resources(), "(other.GlueHostMainMemoryRAMSize >= 5 || x)"),
        ("!(other.GlueHostMainMemoryRAMSize >= 5)", Resources(), "!(other.GlueHostMainMemoryRAMSize >= 5)"),
        ("other.GlueHostMainMemoryRAMSize <= 5", Resources(), "other.GlueHostMainMemoryRAMSize <= 5"),
        (
            'Member("A-1.2", other.GlueHostApplicationSoftwareRunTimeEnvironment)',
            Resources(runtimes=(Software(name="A", version="1.2"),)),
            "",
        ),
        ("true", Resources(), ""),
    ],
)
def test_requirements_are_understood_where_they_are_plain(condition: str, wanted: Resources, rest: str) -> None:
    job = one(f"Requirements = {condition};")

    assert (job.resources, job.requirements) == (wanted, rest)
    assert bool(rest) == bool(job.warnings)


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ("CPUNumber = 8;", Resources(slots=8)),
        ('NodeNumber = "8";', Resources(slots=8)),
        ("CpuNumber = 8; HostNumber = 2;", Resources(slots=8, slots_per_host=4)),
        ("CPUNumber = 8; SMPGranularity = 4;", Resources(slots=8, slots_per_host=4)),
        (
            "SMPGranularity = 4; HostNumber = 2; WholeNodes = true;",
            Resources(slots=8, slots_per_host=4, exclusive=True),
        ),
        ("SMPGranularity = 4;", Resources(slots=4, slots_per_host=4)),
        ("HostNumber = 2; WholeNodes = true;", Resources(slots=2, slots_per_host=1, exclusive=True)),
    ],
)
def test_cores_can_be_requested_in_many_ways(attributes: str, wanted: Resources) -> None:
    assert wanted == one(attributes).resources


def test_one_counter_has_the_larger_number_of_attempts() -> None:
    job = one("RetryCount = 1; ShallowRetryCount = 3;")

    assert job.rerun == 3
    assert "RetryCount and ShallowRetryCount" in remarks(job)[0]


def test_an_attribute_without_effect_is_kept_with_a_remark() -> None:
    job = one('VirtualOrganisation = "atlas"; Executabel = {"x",  1}; MyOwn = 1 + 2;')

    assert job.unused == (("VirtualOrganisation", '"atlas"'), ("Executabel", '{"x", 1}'), ("MyOwn", "1 + 2"))
    assert [remark.suggestion for remark in job.warnings] == ["", "Executable", ""]


def test_a_job_may_be_named_by_its_tags() -> None:
    assert one('UserTags = [ jobname = "x" ];').name == "x"


def test_a_collection_shares_attributes() -> None:
    jobs = parse_jdl("""[
      Type = "collection"; InputSandbox = {"a", "b"}; StdOutput = "o"; Executable = "x";
      Nodes = { [ NodeName = "n"; ], [ StdOutput = "p"; InputSandbox = { root.InputSandbox[1], "c" }; ],
                [ InputSandbox = root.InputSandbox; ] };
    ]""")

    assert [(job.name, job.stdout, [file.name for file in job.inputs]) for job in jobs] == [
        ("n", "o", ["a", "b"]),
        ("", "p", ["b", "c"]),
        ("", "o", ["a", "b"]),
    ]


def test_a_parameter_is_replaced_everywhere() -> None:
    jobs = parse_jdl("""[
      JobType = "Parametric"; Parameters = {"a", 7}; Executable = "x_PARAM_"; Arguments = "_PARAM_ _PARAM_";
      Environment = { "P=_PARAM_" }; Rank = other.R_PARAM_;
    ]""")

    assert [(job.executable, job.arguments, job.environment[0][1], job.rank) for job in jobs] == [
        ("xa", ("a", "a"), "a", "other.Ra"),
        ("x7", ("7", "7"), "7", "other.R7"),
    ]


@pytest.mark.parametrize(
    ("count", "wanted"),
    [
        ("Parameters = 3;", ["0", "1", "2"]),
        ("Parameters = 20; ParameterStart = 10; ParameterStep = 5;", ["10", "15"]),
        ("Parameters = 0; ParameterStart = 2; ParameterStep = -1;", ["2", "1"]),
    ],
)
def test_parameters_may_be_counted(count: str, wanted: list[str]) -> None:
    jobs = parse_jdl(f'[ JobType = "Parametric"; Executable = "_PARAM_"; {count} ]')

    assert wanted == [job.executable for job in jobs]


def test_a_number_without_quotes_may_be_the_parameter() -> None:
    jobs = parse_jdl('[ JobType="Parametric"; Executable="x"; CPUNumber = _PARAM_; Parameters = {1, 4}; ]')

    assert [job.resources.slots for job in jobs] == [1, 4]


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ('[ Executable = "a"\n  StdOutput = "b"; ]', (2, 3), "';' is missing before 'StdOutput'"),
        ('[ Executable = "a; ]', (1, 16), 'no closing "'),
        ("[ A = 1", (1, 1), r"Missing \] for the bracket \["),
        ("[ A = {1, 2; ]", (1, 7), "{ is not closed"),
        ("[ A = 1; ] x", (1, 12), "Unexpected text after"),
        ("[ A = 1; a = 2; ]", (1, 10), "multiply defined"),
        ("[ A = 10K; ]", (1, 7), "'10K' is not a number"),
        ("[ A = 99999999999999999999; ]", (1, 7), "too large"),
        ("[ A = 010; ]", (1, 7), "begins with 0"),
        ("[ '' = 1; ]", (1, 3), "no meaning here"),
        ('[ A = "\\0"; ]', (1, 8), "is not allowed in a string"),
        ("[ A = ; ]", (1, 3), "'A' has no value"),
        ("[ A 1; ]", (1, 5), "'=' is missing behind 'A'"),
        ('[ B = 1;\n A = {"x",}; ]', (2, 2), "The value of 'A' cannot be parsed"),
        ("[ A = [ b = 1 + ] ]", (1, 9), "The value of 'b' cannot be parsed"),
        ("[ A = " + "{" * 50 + "}" * 50 + "]", (1, 47), "nested more than 40"),
        ("[ A = " + "1+" * 5000 + "1 ]", (1, 2008), "More than 1000 operators"),
        ("[ Executable = test; ]", (1, 3), "must be a string, in quotes"),
        ('[ Executable = strcat("a", "b"); ]', (1, 3), "must be a string, in quotes"),
        ('[ Arguments = "a \'b"; ]', (1, 3), "unterminated quote"),
        ('[ Environment = {"A"}; ]', (1, 3), "not NAME=VALUE"),
        ('[ Type = "dag"; ]', (1, 3), "wait for each other"),
        ("[ Dependencies = {}; ]", (1, 3), "wait for each other"),
        ('[ Type = "Collection"; ]', (1, 1), "needs Nodes"),
        ('[ Type = "Collection"; Nodes = {[file="x"]}; ]', (1, 34), "separate file"),
        ('[ JobType = "Parametric"; Parameters = 99999; A="_PARAM_"; ]', (1, 27), "99999 jobs"),
        ('[ InputSandbox = {"a", "b/a"}; ]', (1, 3), "two files with the name 'a'"),
        ('[ InputSandbox = "nowhere:x"; ]', (1, 3), "no host in the URL"),
        ('[ OutputSandbox = {"a"}; OutputSandboxDestURI = {}; ]', (1, 26), "0 entries"),
        ('[ OutputSandbox = "*"; OutputSandboxBaseDestURI = "https://h/"; ]', (1, 3), "can't have a target"),
        ('[ Requirements = "x"; ]', (1, 3), "without quotes"),
        ("[ CPUNumber = 0; ]", (1, 3), "whole number, 1 or more"),
        ("[ CPUNumber = 3; HostNumber = 2; ]", (1, 18), "not a multiple"),
        ("[ ]", (1, 1), "no attributes"),
    ],
)
def test_a_mistake_has_its_place(text: str, place: tuple[int, int], what: str) -> None:
    with pytest.raises(JobDescriptionError, match=what) as caught:
        parse_jdl(text)

    assert place == (caught.value.line, caught.value.column)


def test_many_jobs_of_a_long_text_are_refused() -> None:
    with pytest.raises(JobDescriptionError, match="are too much"):
        parse_jdl(f'[ JobType = "Parametric"; Parameters = 9999; A = "_PARAM_"; B = "{"x" * 5000}"; ]')


def test_without_the_library_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "classad2", None)

    with pytest.raises(JobDescriptionError, match=r"pip install 'arex\[jdl\]'"):
        parse_jdl('[ Executable = "x" ]')
