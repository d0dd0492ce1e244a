"""xRSL, written."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arex.errors import JobDescriptionError
from arex.jobdesc.client.complete import complete
from arex.jobdesc.model import (
    DescriptionDialect,
    InputFile,
    JobDescription,
    Location,
    Notification,
    Resources,
    Software,
)
from arex.jobdesc.xrsl.grammar import comments
from arex.jobdesc.xrsl.parser import parse_xrsl
from arex.jobdesc.xrsl.writer import write_xrsl
from tests import environments

DATA = environments.DATA
ARCSUB = DATA / "descriptions" / "arcsub-6.17"
TEXT = st.text(min_size=1, max_size=40)


@pytest.mark.parametrize("path", sorted(ARCSUB.glob("*.record")), ids=lambda path: path.stem)
def test_arcsub_and_we_keep_the_same_text_of_a_job(path: Path) -> None:
    (description,) = parse_xrsl(path.with_suffix(".xrsl").read_bytes().decode(), DescriptionDialect.USER)

    written = write_xrsl(complete(description, Path("/WORKDIR")).record)

    assert path.read_text().rstrip("\n") == written


def test_the_style_is_that_of_a_real_list_of_jobs() -> None:
    """The rows differ in ``clientxrsl`` and ``join``, which say nothing about the job."""
    rows = (DATA / "fixtures" / "_misc" / "sqlite" / "client_jobs_dat.txt").read_text()
    found = re.search(r"'(&\( executable .*?)\( clientxrsl", rows)
    assert found is not None
    (description,) = parse_xrsl(found[1], DescriptionDialect.USER)

    assert found[1] == write_xrsl(description)


@example(arguments=[""], name="0", value="(*")
@example(arguments=["(*", "*)"], name="(*)", value="x")
@given(arguments=st.lists(st.text(max_size=40), min_size=1), name=TEXT, value=st.text(max_size=40))
def test_any_string_comes_back(arguments: list[str], name: str, value: str) -> None:
    description = JobDescription(
        executable="/bin/true", arguments=tuple(arguments), name=name, environment=((name, value),)
    )

    text = write_xrsl(description)
    if any(end < 0 for _, end in comments(text)):  # ARC has no way to write that
        with pytest.raises(JobDescriptionError, match="End of comment not found"):
            parse_xrsl(text, DescriptionDialect.USER)
        return
    assert [description] == parse_xrsl(text, DescriptionDialect.USER)


def test_a_full_description_comes_back() -> None:
    description = JobDescription(
        executable="run.sh",
        stdout="o",
        stderr="e",
        rerun=2,
        priority=7,
        lifetime_s=90061,
        dryrun=True,
        notifications=(Notification(recipient="a@b", states="be"),),
        inputs=(
            InputFile(name="run.sh", sources=(Location(url="/home/me/run.sh"),), executable=True),
            InputFile(name="x", sources=(Location(url="http://h:80/x", options=(("a", "b"),), delegationid="12"),)),
        ),
        resources=Resources(
            runtimes=(Software(name="A", version="1", relation=">=", options=("x y",)), Software(name="B")),
            operating_systems=(Software(name="linux", version="5"),),
            node_access="inoutbound",
            excluded_queues=("a", "b"),
            memory_mb=5,
            slots=4,
            slots_per_host=2,
            exclusive=False,
            cputime_s=61,
            walltime_s=0,
        ),
    )

    assert [description] == parse_xrsl(write_xrsl(description), DescriptionDialect.USER)


def test_what_xrsl_cannot_express_is_lost() -> None:
    description = JobDescription(executable="/bin/true", exit_code=3)

    assert [replace(description, exit_code=None)] == parse_xrsl(write_xrsl(description), DescriptionDialect.USER)
