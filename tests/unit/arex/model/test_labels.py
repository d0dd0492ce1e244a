"""Labels of jobs, in annotations of ADL."""

from __future__ import annotations

from dataclasses import replace

import pytest

from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.jobdesc.adl.writer import write_adl
from arex.model import labels


def test_labels_survive_the_way_to_the_service() -> None:
    job = JobDescription(executable="/bin/true", annotations=("mine",), labels=(("parent", "x"), ("a.b", "c = d")))

    (again,) = parse(write_adl(job), DescriptionDialect.GRIDMANAGER)

    assert again == job


@pytest.mark.parametrize(
    "text", ["arex-label", "arex-label x", "arex-label =x", "arex-label a b=c", "arex-label k=a\nb", "Arex-label a=b"]
)
def test_only_exactly_this_form_is_a_label(text: str) -> None:
    job = JobDescription(executable="/bin/true", annotations=(text,))

    (again,) = parse(write_adl(job), DescriptionDialect.GRIDMANAGER)

    assert (again.labels, again.annotations) == ((), (text,))


def test_the_first_of_two_labels_of_one_name_counts() -> None:
    texts = labels.as_annotations((("a", "1"),)) + labels.as_annotations((("a", "2"),))

    assert labels.from_annotations(texts) == ((("a", "1"),), ("arex-label a=2",))


def test_a_job_without_labels_is_written_as_arc_writes_it() -> None:
    job = JobDescription(executable="/bin/true")

    assert write_adl(replace(job, labels=())) == write_adl(job)
    assert "Annotation" not in write_adl(job)
