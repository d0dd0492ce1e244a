"""``arcsub --array`` at the shell."""

from __future__ import annotations

import pytest

from arex.cli import jobarray
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.userjobs.joblist import JobList
from tests.shell import User


def jobs(user: User) -> list[JobDescription]:
    found = []
    for job in user.plugin.jobs():
        text = user.plugin.store.read(job, "description")
        assert text is not None
        found += parse(text, DescriptionDialect.GRIDMANAGER)
    return sorted(found, key=lambda job: int(dict(job.labels)["index"]))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1-5", (1, 2, 3, 4, 5)),
        ("1-10:4", (1, 5, 9)),
        ("1,5,9", (1, 5, 9)),
        ("9, 1-2", (9, 1, 2)),
        ("0", (0,)),
        ("1-3,2-4", (1, 2, 3, 4)),
    ],
)
def test_indices_are_written_as_for_sbatch(text: str, found: tuple[int, ...]) -> None:
    assert jobarray.indices(text) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1-100%5", "a limit of running jobs (%N) is not supported: the queue limits them; leave it out"),
        ("x", "'x' is not an index or a range; write 1-100, 1-10:2 or 1,5,9"),
        ("", "'' is not an index or a range"),
        ("-1", "'-1' is not an index or a range"),
        ("5-1", "'5-1' is an empty range"),
        ("1-5:0", "'1-5:0' is an empty range"),
        ("1-10001", "more than 10000 jobs"),
        ("1-999999999", "more than 10000 jobs"),
    ],
)
def test_other_indices_are_a_usage_error(user: User, text: str, why: str) -> None:
    said = user.run("arcsub", f"--array={text}", "--", "/bin/true")

    assert said.code == 2
    assert why in " ".join(said.err.split())


def test_each_job_of_a_command_has_its_index(user: User) -> None:
    (user.home / "in2").touch()
    (user.home / "in4").touch()

    said = user.run(
        "arcsub", "--array", "2,4", "--name", "n{index}", "--input", "in{index}", "--output", "out{index}", "-o", "ids",
        "--", "/bin/echo", "{index}", "x{item}", "{other}",
    )  # fmt: skip

    assert said.code == 0, said.err
    found = jobs(user)
    parent = dict(found[0].labels)["parent"]
    assert said.out == f"Array submitted with jobid: {parent} (2 jobs)\n"
    assert [(job.name, job.arguments) for job in found] == [
        ("n2", ("2", "x2", "{other}")),
        ("n4", ("4", "x4", "{other}")),
    ]
    assert [job.inputs[0].name + job.outputs[0].name for job in found] == ["in2out2", "in4out4"]
    assert [job.labels for job in found] == [(("parent", parent), ("index", "2")), (("parent", parent), ("index", "4"))]
    assert found[0].environment == (("AREX_ARRAY_INDEX", "2"), ("AREX_ARRAY_ITEM", "2"))
    assert parent not in user.plugin.jobs()
    listed = [row["id"] for row in JobList(user.home / ".arc" / "jobs.dat").all()]
    assert (user.home / "ids").read_text().splitlines() == listed
    assert len(listed) == 2


def test_each_line_of_a_file_is_an_item(user: User) -> None:
    (user.home / "list.txt").write_text("alpha\n\n beta gamma \n$HOME\n")

    user.run("arcsub", "--array-file", "list.txt", "--", "/bin/echo", "{item}", "{index}")

    found = jobs(user)
    assert [job.arguments for job in found[:2]] == [("alpha", "1"), ("beta gamma", "2")]
    assert dict(found[2].environment)["AREX_COMMAND"] == "unset AREX_COMMAND; exec /bin/echo '$HOME' 3"
    assert [dict(job.environment)["AREX_ARRAY_ITEM"] for job in found] == ["alpha", "beta gamma", "$HOME"]


def test_a_file_without_lines_is_a_usage_error(user: User) -> None:
    (user.home / "list.txt").write_text("\n \n")

    said = user.run("arcsub", "--array-file", "list.txt", "--", "/bin/echo")

    assert said.code == 2
    assert "list.txt has no lines" in said.err


def test_an_array_has_one_source_of_indices(user: User) -> None:
    (user.home / "list.txt").write_text("a")

    said = user.run("arcsub", "--array", "1-2", "--array-file", "list.txt", "--", "/bin/true")

    assert said.code == 2
    assert "expected either --array or --array-file, not both" in said.err


def test_a_description_becomes_an_array_as_it_is(user: User) -> None:
    text = "&(executable=/bin/echo)(arguments={index})(environment=(A b))(jobname=n)"

    said = user.run("arcsub", "--array", "1-3", "-d", "INFO", "-e", text)

    found = jobs(user)
    assert [job.arguments for job in found] == [("{index}",)] * 3
    assert [dict(job.environment) for job in found] == [
        {"A": "b", "AREX_ARRAY_INDEX": str(index), "AREX_ARRAY_ITEM": str(index)} for index in (1, 2, 3)
    ]
    assert said.out.count("Job submitted with jobid: ") == 3


def test_an_array_is_made_of_one_job(user: User) -> None:
    two = user.run("arcsub", "--array", "1-3", "-e", "+(&(executable=/bin/a))(&(executable=/bin/b))")
    texts = user.run("arcsub", "--array", "1-3", "-e", "&(executable=/bin/a)", "-e", "&(executable=/bin/b)")
    broken = user.run("arcsub", "--array", "1-3", "-e", "&(executable")

    assert "an array is made of one job, but the description contains 2" in two.err
    assert "an array is made of one job description" in texts.err
    assert "-e: line 1, column 13" in broken.err
    assert (two.code, texts.code, broken.code) == (1, 2, 1)
    assert not (user.home / "ctl").exists()


def test_an_error_of_all_jobs_is_printed_once(user: User) -> None:
    said = user.run("arcsub", "--array", "1-50", "-e", "&(executable=/bin/true)(queue=nosuch)")

    assert said.code == 1
    assert said.err.count("there is no queue nosuch here: q1, q2") == 1
    assert "0 of 50 jobs were submitted" in said.out
    assert "Array submitted" not in said.out


def test_a_repeated_array_is_the_same(user: User) -> None:
    first, second = (
        user.run("arcsub", "--array", "1-3", "--submission-id", "mine", "--", "/bin/true", "{index}") for _ in range(2)
    )

    assert first.out == second.out
    assert first.out.endswith(" (3 jobs)\n")
    assert len(user.plugin.jobs()) == 3


def test_json_has_the_array(user: User) -> None:
    said = user.run("arcsub", "--json", "--array", "1-2", "--label", "run=7", "--", "/bin/true")

    [labels, _] = [dict(job.labels) for job in jobs(user)]
    assert labels == {"parent": said.json["array"], "index": "1", "run": "7"}
    assert len(said.json["jobs"]) == 2
