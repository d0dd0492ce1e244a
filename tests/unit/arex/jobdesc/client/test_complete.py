"""What a client adds to a description."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from arex.errors import JobDescriptionError
from arex.jobdesc import DescriptionDialect, parse
from arex.jobdesc.client.complete import ClientUpload, CompletedDescription, complete


def completed(text: str, directory: Path) -> CompletedDescription:
    return complete(parse(text, DescriptionDialect.USER)[0], directory)


def test_executable_and_stdin_become_inputs(tmp_path: Path) -> None:
    for name in ("run.sh", "in", "data"):
        (tmp_path / name).touch()

    found = completed('&(executable=run.sh)(stdin=in)(inputfiles=(other data)(u "http://h/u"))', tmp_path)

    assert (
        ClientUpload(path=tmp_path / "data", name="other"),
        ClientUpload(path=tmp_path / "run.sh", name="run.sh", executable=True),
        ClientUpload(path=tmp_path / "in", name="in"),
    ) == found.uploads
    assert [file.name for file in found.description.inputs] == ["other", "u", "run.sh", "in"]
    assert [file.name for file in found.description.inputs if file.sources] == ["u"]


def test_a_listed_executable_is_marked_and_not_added(tmp_path: Path) -> None:
    found = completed('&(executable=run.sh)(inputfiles=(run.sh "http://h/x"))', tmp_path)

    assert [(file.name, file.executable) for file in found.description.inputs] == [("run.sh", True)]
    assert found.uploads == ()


def test_absolute_paths_are_of_the_other_side(tmp_path: Path) -> None:
    found = completed("&(executable=/bin/cat)(stdin=/dev/null)", tmp_path)

    assert found.description.inputs == ()


def test_stdout_stderr_and_gmlog_become_outputs(tmp_path: Path) -> None:
    found = completed('&(executable=/x)(stdout=o)(stderr=e)(gmlog=l)(outputfiles=(e ""))', tmp_path)

    assert [file.name for file in found.description.outputs] == ["e", "o", "l"]


def test_the_same_file_twice_is_completed_once(tmp_path: Path) -> None:
    (tmp_path / "run.sh").touch()
    found = completed("&(executable=run.sh)(stdin=run.sh)(stdout=o)(stderr=e)", tmp_path)

    again = complete(found.record, Path("/elsewhere"))

    assert (found.record, found.uploads) == (again.record, again.uploads)


def test_file_urls_are_local(tmp_path: Path) -> None:
    (tmp_path / "x").touch()

    found = completed(
        f'&(executable=/x)(inputfiles=(a "file://{tmp_path}/x")(b "file://localhost{tmp_path}/x"))', tmp_path
    )

    assert [tmp_path / "x"] * 2 == [upload.path for upload in found.uploads]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing", r"^there is no file missing in /.* \(the description wants it\)$"),
        ("/nowhere/missing", r"^there is no file /nowhere/missing \(the description wants it\)$"),
        ("data", "^data is a directory: name its files one by one$"),
        ("/dev/null", "^the input /dev/null is not a regular file$"),
        ("plain/below", "^the input file /.*/plain/below cannot be read: Not a directory$"),
    ],
)
def test_a_local_input_must_be_a_file(name: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "plain").touch()

    with pytest.raises(JobDescriptionError, match=why):
        completed(f"&(executable=/x)(inputfiles=(a {name}))", tmp_path)


def test_remote_files_and_dynamic_lists_need_a_delegation(tmp_path: Path) -> None:
    plain = completed('&(executable=/x)(outputfiles=(a ""))', tmp_path)
    listed = completed('&(executable=/x)(outputfiles=(@a ""))', tmp_path)
    remote = completed('&(executable=/x)(inputfiles=(a "http://h/x"))', tmp_path)
    sent = completed('&(executable=/x)(outputfiles=(a "http://h/x"))', tmp_path)

    assert [one.needs_delegation for one in (plain, listed, remote, sent)] == [False, True, True, True]


def test_what_is_sent_has_no_alternatives(tmp_path: Path) -> None:
    found = completed("&(executable=/x)(|(jobname=a)(jobname=b))", tmp_path)

    assert replace(found.record, alternatives=()) == found.description
    assert [one.name for one in found.record.alternatives] == ["b"]
