"""HTCondor's queue and history when single ads cannot be parsed."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.errors import BatchUnavailable
from arex.model.ids import LocalId
from arex.model.report import Phase
from lrms.htcondor.dialect import CondorDialect, CondorOptions
from tests.unit.lrms.samples import said

OURS: Final = LocalId("12.0")


def dialect() -> CondorDialect:
    return CondorDialect(CondorOptions())


def ad(cluster: str, more: str = "", status: str = "2") -> str:
    numbers = {"ClusterId": cluster, "ProcId": "0", "JobStatus": status}
    attributes = "".join(f'    <a n="{name}"><i>{value}</i></a>\n' for name, value in numbers.items())
    return f"<c>\n{attributes}{more}</c>\n"


def answer(*ads: str) -> str:
    return f'<?xml version="1.0"?>\n<!DOCTYPE classads SYSTEM "classads.dtd">\n<classads>\n{"".join(ads)}</classads>\n'


STRANGE: Final = (
    '<a n="JobStartDate"><r>nonsense</r></a>',
    '<a n="JobStartDate"><r>1e999</r></a>',
    '<a n="HoldReason"><s>a < b & c</s></a>',
    '<a n="HoldReason"><s>\uffff\0</s></a>',
    "<a><s>nameless</s></a>",
    '<a n="ArexTag"><i>' + "9" * 5000 + "</i></a>",
)


@pytest.mark.parametrize("more", STRANGE)
def test_a_strange_ad_spoils_only_itself(more: str) -> None:
    tag = '<a n="ArexTag"><s>job1-0badcafe</s></a>'

    found = dialect().listed(said(answer(ad("11", more), ad("12", tag))))

    assert (Phase.RUNNING, "job1-0badcafe") == (found[OURS].phase, found[OURS].tag)


def test_an_ad_without_a_status_is_a_job_that_is_present_and_no_record() -> None:
    out = answer(ad("11", status="x"), ad("12", status="4"))

    assert {"11.0": Phase.OTHER, OURS: Phase.ENDED} == {
        localid: seen.phase for localid, seen in dialect().listed(said(out)).items()
    }
    assert {OURS} == dialect().accounted(said(out)).keys()


@given(st.text() | st.text(alphabet='<>/&"= acnsir12'))
def test_junk_is_no_answer_or_some_of_one(text: str) -> None:
    for out in (text, answer(text), answer(ad(text, text, text)), answer(ad("1", text))):
        try:
            dialect().listed(said(out))
        except BatchUnavailable:
            continue


def test_half_an_answer_is_no_answer() -> None:
    whole = answer(ad("11", "<"), ad("12"))

    for cut in range(len(whole) // 2, len(whole) - 1):
        with pytest.raises(BatchUnavailable):
            dialect().listed(said(whole[:cut]))


def owned(cluster: str, owner: str) -> str:
    return ad(cluster, f'<a n="Owner"><s>{owner}</s></a><a n="ArexTag"><s>job1-0badcafe</s></a>')


def test_a_super_user_of_the_queue_sees_its_own_jobs() -> None:
    spoken = CondorDialect(CondorOptions(user="grid"))

    assert {OURS} == spoken.listed(said(answer(owned("11", "anna"), owned("12", "grid")))).keys()


def test_where_our_account_has_another_name_all_jobs_count() -> None:
    spoken = CondorDialect(CondorOptions(user="grid"))

    assert {"11.0", OURS} == spoken.listed(said(answer(owned("11", "grid01"), owned("12", "grid01")))).keys()
