"""SLURM's queue when other jobs of the account have any text in their comments."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.errors import BatchUnavailable
from arex.model.report import EndCause, Phase
from lrms.slurm.answers import FIELDS
from tests.unit.lrms.samples import said
from tests.unit.lrms.slurm.speech import dialect, line

pytestmark = pytest.mark.usefixtures("utc")
OURS: Final = line(id="72", state="NODE_FAIL", comment="kuEfL2-0badcafe")
#: What squeue prints of a comment.
_MOST: Final = dict(FIELDS)["Comment"]


@pytest.mark.parametrize(
    "comment", ["plot A|plot B", "|" * 200, "one\ntwo", "\n", "\r\n\v\f\u2028", "CLUSTER: x\n", "x" * 10_000, "ä" * 200]
)
def test_a_comment_spoils_nothing_but_itself(comment: str) -> None:
    found = dialect().listed(said(line(id="71", comment=comment) + OURS))

    assert {"71", "72"} == found.keys()
    assert (Phase.RUNNING, Phase.ENDED) == (found["71"].phase, found["72"].phase)  # type: ignore[index]
    assert (EndCause.NODE_FAILURE, "kuEfL2-0badcafe") == (found["72"].cause, found["72"].tag)  # type: ignore[index]


@pytest.mark.parametrize("index", ["0-9999999", "0-9999999,0-9999998", "1-1001%2"])
def test_a_large_array_of_another_program_is_one_entry(index: str) -> None:
    found = dialect().listed(said(line(id="71", index=index) + OURS))

    assert 2 == len(found)
    assert EndCause.NODE_FAILURE is found["72"].cause  # type: ignore[index]


def test_an_entry_in_a_comment_is_no_entry() -> None:
    """Neither one of full width, of which squeue prints the beginning only, nor one that is narrower."""
    for forged in (line(id="72", state="COMPLETED"), "72|72|N/A|COMPLETED|0|None|n1|N/A|N/A|arex|kuEfL2-0badcafe|\n"):
        found = dialect().listed(said(OURS + line(id="71", comment=f"\n{forged}")))

        assert {"71": Phase.RUNNING, "72": Phase.ENDED} == {localid: seen.phase for localid, seen in found.items()}
        assert EndCause.NODE_FAILURE is found["72"].cause  # type: ignore[index]


@given(st.text())
def test_whatever_a_comment_is_the_other_job_is_seen(comment: str) -> None:
    found = dialect().listed(said(line(id="71", comment=comment[:_MOST]) + OURS))

    assert EndCause.NODE_FAILURE is found["72"].cause  # type: ignore[index]


@given(st.text(max_size=80).filter(lambda text: "\n" not in text))
def test_whatever_a_reason_is_the_state_is_seen(reason: str) -> None:
    """A site's plugins write it."""
    found = dialect().listed(said(line(id="71", reason=reason) + OURS))

    assert Phase.RUNNING is found["71"].phase  # type: ignore[index]


@given(st.text())
def test_junk_of_squeue_and_sacct_is_no_answer_or_some_of_one(text: str) -> None:
    for parse in (dialect().listed, dialect().accounted):
        try:
            parse(said(text))
            parse(said(text + OURS))
        except BatchUnavailable:
            continue


@pytest.mark.parametrize("number", ["9" * 5000, "1_" + "9" * 5000, "-1", "٣"])
def test_numbers_that_are_none_are_no_fault(number: str) -> None:
    fields = ("7", number, "RUNNING", number, number, number)
    names = ("id", "index", "state", "code", "start", "end")

    found = dialect().listed(said(line(**dict(zip(names, fields, strict=True))) + OURS))

    assert "72" in found
    assert {} == dialect().accounted(said(f"{number}|FAILED|{number}|{number}|{number}|n|None\n"))


def test_times_are_asked_as_seconds_of_the_epoch() -> None:
    """Local times occur twice at the end of summer time."""
    [seen] = dialect().listed(said(line(start="1795168800"))).values()

    assert {"SLURM_TIME_FORMAT": "%s"} == dialect().listing(()).env
    assert seen.started is not None
    assert 1795168800 == seen.started.timestamp()
