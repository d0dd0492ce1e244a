"""Grid Engine's answers with texts of other jobs in them, and with records of earlier jobs."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.errors import BatchUnavailable
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase
from lrms.sge.dialect import SgeDialect, SgeOptions
from tests.unit.lrms.samples import said
from tests.unit.lrms.sge.speech import listing

pytestmark = pytest.mark.usefixtures("utc")
OURS: Final = LocalId("12")


def dialect() -> SgeDialect:
    return SgeDialect(SgeOptions())


def entry(number: str, name: str, state: str = "r") -> str:
    values = {"JB_job_number": number, "JB_name": name, "state": state, "full_job_name": name}
    elements = "".join(f"      <{key}>{value}</{key}>\n" for key, value in values.items())
    return f'    <job_list state="running">\n{elements}    </job_list>\n'


def answer(*entries: str) -> str:
    return f"<?xml version='1.0'?>\n<job_info>\n  <queue_info>\n{''.join(entries)}  </queue_info>\n</job_info>\n"


@pytest.mark.parametrize("name", ["a<b", "a&b", "\0", "\x1b", "\uffff", "<job_list>", "</state>", "ü~ü"])
def test_a_name_that_is_not_escaped_spoils_only_its_entry(name: str) -> None:
    found = dialect().listed(said(answer(entry("11", name), entry(OURS, "run~job1-0badcafe"))))

    assert (Phase.RUNNING, "job1-0badcafe") == (found[OURS].phase, found[OURS].tag)


def test_an_entry_without_a_state_is_a_job_that_is_present() -> None:
    found = dialect().listed(said(answer(entry("11", "x", ""), entry(OURS, "y"))))

    assert {"11": Phase.OTHER, OURS: Phase.RUNNING} == {localid: seen.phase for localid, seen in found.items()}


def test_half_an_answer_is_no_answer() -> None:
    whole = answer(entry("11", "a&b"), entry(OURS, "y"))

    for cut in range(len(whole) // 2, len(whole) - 1):
        with pytest.raises(BatchUnavailable):
            dialect().listed(said(whole[:cut]))


@given(st.text() | st.text(alphabet="<>/&job_list JB_number12state"))
def test_junk_is_no_answer_or_some_of_one(text: str) -> None:
    for done in (
        said(text),
        said(answer(entry(text, text, text))),
        said(answer(text)),
        said(text, argv="qstat -xml"),
        said(f"<detailed_job_info>{text}</detailed_job_info>", argv="qstat -xml"),
        said(f"=====\njobnumber {text}\nfailed {text}\nexit_status {text}\n", argv="qacct"),
    ):
        for parse in (dialect().listed, dialect().accounted):
            try:
                parse(done)
            except BatchUnavailable:
                continue


def record(number: str, name: str = "run~job1-0badcafe", failed: str = "0") -> str:
    return (
        f"==============================================================\nqname        all.q\nhostname     n9\n"
        f"owner        grid\njobname      {name}\njobnumber    {number}\ntaskid       undefined\n"
        f"start_time   Fri Nov 20 10:00:00 2026\nend_time     Fri Nov 20 10:05:00 2026\nfailed       {failed}\n"
        f"exit_status  0\nru_wallclock 300s\n"
    )


def test_a_record_tells_its_tag() -> None:
    """Another job of the same number has another one."""
    assert "job1-0badcafe" == dialect().accounted(said(record("12"), argv="qacct"))[OURS].tag


def test_a_strange_record_does_not_matter_to_the_others() -> None:
    out = record("11", failed="9" * 400) + "=====\nnothing\n" + record("12")

    assert EndCause.EXIT_CODE is dialect().accounted(said(out, argv="qacct"))[OURS].cause


@pytest.mark.parametrize("tasks", ["1-9999999:1", "1-900000000:1,5", "1-1000,1001"])
def test_a_large_array_of_another_program_is_one_entry(tasks: str) -> None:
    found = dialect().listed(said(listing(f"<tasks>{tasks}</tasks>")))

    assert {"7.1": Phase.OTHER} == {localid: seen.phase for localid, seen in found.items()}
