"""How many remarks on a text are kept, for which of its jobs, and where they are."""

from __future__ import annotations

import pytest

from arex.errors import JobDescriptionError
from arex.jobdesc import DescriptionDialect, parse
from arex.jobdesc.remarks import MAX_REMARKS, Remarks, SourceText


def test_the_same_remark_is_kept_once_for_each_job() -> None:
    remarks = Remarks()

    for _ in range(2):
        remarks.start_job()
        remarks.add("unknown", 1, 2, "known")
        remarks.add("unknown", 1, 2)
        remarks.add("unknown", 3)

        found = [(one.what, one.line, one.column, one.suggestion) for one in remarks.of_job()]
        assert found == [("unknown", 1, 2, "known"), ("unknown", 3, None, "")]


def test_a_full_collector_keeps_only_what_another_job_had_too() -> None:
    remarks = Remarks()
    for line in range(MAX_REMARKS + 1):
        assert remarks.full == (line == MAX_REMARKS)
        remarks.add("unknown", line)
    assert len(remarks.of_job()) == MAX_REMARKS

    remarks.start_job()
    remarks.add("unknown", 0)
    remarks.add("another", 0)

    assert [one.what for one in remarks.of_job()] == ["unknown"]


@pytest.mark.parametrize(("at", "place"), [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (5, (2, 3)), (99, (2, 3))])
def test_an_offset_has_a_line_and_a_column(at: int, place: tuple[int, int]) -> None:
    text = SourceText("ab\ncd")

    text.remark("odd", at)

    assert [(one.line, one.column) for one in text.remarks.of_job()] == [place]
    with pytest.raises(JobDescriptionError) as raised:
        text.fail("wrong", at)
    assert (raised.value.line, raised.value.column) == place


_ADL = (
    '<ActivityDescriptions xmlns="http://www.eu-emi.eu/es/2010/12/adl">{}</ActivityDescriptions>',
    "<ActivityDescription><Application><Executable><Path>a</Path></Executable>{}</Application></ActivityDescription>",
)


@pytest.mark.parametrize(
    "text",
    [
        "+" + ("(&(executable=a)" + "".join(f"(x{n}=1)" for n in range(40)) + ")") * 2,
        _ADL[0].format(_ADL[1].format("".join(f"<x{n}/>\n" for n in range(40))) * 2),
    ],
    ids=["xRSL", "ADL"],
)
def test_jobs_of_one_text_share_the_limit(text: str) -> None:
    jobs = parse(text, DescriptionDialect.USER)

    assert [len(job.warnings) for job in jobs] == [40, MAX_REMARKS - 40]
