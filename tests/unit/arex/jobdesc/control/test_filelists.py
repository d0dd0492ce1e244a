"""File lists and the fields of ``.local``, against what a real A-REX wrote."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from arex.controldir.codec import parse_entries, parse_local
from arex.jobdesc import DescriptionDialect, parse
from arex.jobdesc.control.filelists import Ending, input_entries, kept_inputs, local_from, output_entries
from arex.jobdesc.model import Creation, InputFile, JobDescription, Location, OutputFile, RemoteLogging, Target
from arex.model.files import FileEntry
from arex.model.local import JobLocal
from tests import environments

FIXTURES = environments.DATA / "fixtures"
#: ``.local`` files of which the client alone has written the lines in question; client_push has seen a daemon.
CLIENT_LOCALS = sorted(FIXTURES.glob("client_*/ctl/*.local"))
DERIVED = (
    "jobreport", "queue", "args", "argscode", "notify", "processtime", "rerun", "downloads", "uploads",
    "jobname", "gmlog", "delegationid", "diskspace", "credentialserver", "freestagein", "activityid",
    "transfershare", "priority", "dryrun",
)  # fmt: skip


def case(name: str) -> tuple[JobDescription, JobLocal, Path]:
    (path,) = (FIXTURES / name).glob("ctl/*.description")
    (description,) = parse(path.read_bytes(), DescriptionDialect.GRIDMANAGER)
    return description, parse_local(path.with_suffix(".local").read_bytes()), path


def credential(local: JobLocal) -> object:
    def path(delegationid: str) -> str:
        name = delegationid or local.delegationid or ""
        return f"/CONTROLDIR/delegations.user1/{name[:3]}/{name[3:6]}/{name[6:9]}/{name[9:]}" if name else ""

    return path


def no_credential(_: str) -> str:
    return ""


@pytest.mark.parametrize("name", ["a2", "cancel_preparing", "hello", "missing", "rest_3", "slowin_preparing"])
def test_inputs_are_listed_as_arc_lists_them(name: str) -> None:
    description, local, path = case(name)

    expected = parse_entries(path.with_suffix(".input").read_bytes())

    assert expected == input_entries(description, credential(local))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a1", Ending.SUCCESS),
        ("acl", Ending.SUCCESS),
        ("cancel_accepted", Ending.CANCEL),
        ("cancel_inlrms", Ending.CANCEL),
        ("dynout", Ending.SUCCESS),
        ("fail3", Ending.FAILURE),
        ("fail_finishing", Ending.SUCCESS),
        ("hello", Ending.SUCCESS),
        ("mc", Ending.SUCCESS),
        ("slowout_finishing", Ending.SUCCESS),
        ("special", Ending.FAILURE),
        ("upl", Ending.SUCCESS),
    ],
)
def test_outputs_are_listed_as_arc_lists_them(name: str, ending: Ending) -> None:
    description, local, path = case(name)

    expected = parse_entries(path.with_suffix(".output").read_bytes())

    assert expected == output_entries(description, ending, credential(local))  # type: ignore[arg-type]


def test_a_failed_job_that_may_run_again_keeps_what_the_client_uploaded() -> None:
    description, _, path = case("rest_3")

    expected = parse_entries(path.with_suffix(".output").read_bytes())

    assert expected == [*output_entries(description, Ending.FAILURE, no_credential), *kept_inputs(description)]


@pytest.mark.parametrize("path", CLIENT_LOCALS, ids=lambda path: path.parts[-3])
def test_the_description_gives_the_fields_that_the_client_wrote(path: Path) -> None:
    (description,) = parse(path.with_suffix(".description").read_bytes(), DescriptionDialect.GRIDMANAGER)
    written = parse_local(path.read_bytes())

    found = local_from(description, JobLocal(queue=written.queue, delegationid=written.delegationid))

    assert {key: getattr(written, key) for key in DERIVED} == {key: getattr(found, key) for key in DERIVED}


def test_a_requested_lifetime_is_seconds() -> None:
    """ARC 6.17 writes one raw byte, which nothing can read."""
    description, written, _ = case("client_opts")

    assert written.lifetime is None
    assert timedelta(hours=2) == local_from(description).lifetime


def test_what_the_description_does_not_say_stays() -> None:
    base = JobLocal(lifetime=timedelta(days=7), queue="q", delegationid="1", transfershare="s", subject="/CN=me")

    found = local_from(JobDescription(executable="x"), base)

    kept = ("lifetime", "queue", "delegationid", "transfershare", "subject")
    assert [getattr(base, key) for key in kept] == [getattr(found, key) for key in kept]


def test_reruns_are_capped() -> None:
    assert local_from(JobDescription(executable="x", rerun=7), max_rerun=5).rerun == 5


def test_no_string_adds_a_line() -> None:
    """A line feed in a name would add a key to ``.local``."""
    bad = "a\nsubject=/CN=another user"

    found = local_from(
        JobDescription(
            executable=bad, arguments=(bad,), name=bad, gmlog=bad, delegationid=bad, activity_ids=(bad,),
            remote_logging=(RemoteLogging(url=bad),), credential_services=(bad,),
        )
    )  # fmt: skip

    assert not [one.name for one in fields(found) if "\n" in str(getattr(found, one.name))]


def test_options_and_flags_of_files_are_in_their_urls() -> None:
    description = JobDescription(
        inputs=(
            InputFile(
                name="run", executable=True, sources=(Location(url="http://h:80/d/f", options=(("cache", "no"),)),)
            ),
            InputFile(name="up", executable=True),
            InputFile(name="sized", announced="17.3"),
        ),
        outputs=(
            OutputFile(
                name="o",
                targets=(Target(url="http://h:80/o", creation=Creation.DONT_OVERWRITE), Target(url="ftp://h:21/o")),
            ),
        ),
        delegationid="abc",
    )

    assert [
        FileEntry("/run", "http://h:80;cache=no;exec=yes/d/f", "abc"),
        FileEntry("/up"),
        FileEntry("/sized", "17.3"),
    ] == input_entries(description, str)
    assert [
        FileEntry("/o", "http://h:80;overwrite=no/o", "abc"),
        FileEntry("/o", "ftp://h:21/o", "abc"),
    ] == output_entries(description, Ending.SUCCESS, str)
    assert [FileEntry("/o")] == output_entries(description, Ending.CANCEL, str)


def test_preserve_is_for_every_end() -> None:
    target = Target(url="http://h:80/o", options=(("preserve", "yes"),))
    description = JobDescription(outputs=(OutputFile(name="o", targets=(target,)),))

    entries = [output_entries(description, ending, no_credential) for ending in Ending]

    assert [[FileEntry("/o", "http://h:80/o")]] * 3 == entries


def test_client_data_push_is_a_bare_slash() -> None:
    assert [FileEntry("/")] == input_entries(JobDescription(client_data_push=True), no_credential)
