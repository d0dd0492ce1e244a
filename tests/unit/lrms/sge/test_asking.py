"""Grid Engine's queue: answers of qstat, recorded from version 8.1.9."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.errors import BatchUnavailable, UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import Phase
from arex.process import Completed
from lrms.command.dialect import Seen
from tests.unit.lrms.sge.speech import dialect, listing, recorded

pytestmark = pytest.mark.usefixtures("utc")


def seen(text: str) -> dict[LocalId, Seen]:
    return dict(dialect().listed(Completed(("qstat", "-xml"), 0, text, "")))


def test_one_query_is_about_all_jobs_of_this_account() -> None:
    assert "qstat -xml -r -s prsz -u '$user'" == shlex.join(dialect().listing([LocalId("1")]).argv)


def test_a_listing_says_where_every_job_is() -> None:
    found = dialect().listed(recorded("qstat-mixed"))

    assert {
        "18.1": Phase.RUNNING,
        "34": Phase.SUSPENDED,
        "24": Phase.QUEUED,
        "31": Phase.ENDED,
        "37": Phase.HELD,
        "39": Phase.QUEUED,
        "41.1": Phase.HELD,
        "41.9": Phase.HELD,
        "29": Phase.ENDED,
        "6.3": Phase.ENDED,
    } == {
        localid: found[LocalId(localid)].phase
        for localid in ("18.1", "34", "24", "31", "37", "39", "41.1", "41.9", "29", "6.3")
    }
    assert "41" not in found


def test_a_listing_says_which_attempt_a_job_is_and_where_it_runs() -> None:
    found = dialect().listed(recorded("qstat-mixed"))

    assert (
        Seen(
            phase=Phase.RUNNING,
            word="r (all.q)",
            tag="id2-aa",
            nodes=("node1",),
            started=datetime(2026, 11, 20, 14, 51, 40, tzinfo=UTC),
        )
        == (found[LocalId("18.4")])
    )
    assert "" == found[LocalId("8")].tag


def test_a_job_being_deleted_is_on_its_way_out() -> None:
    assert Phase.EXITING is seen(listing(state="dr"))[LocalId("7")].phase


@pytest.mark.parametrize(
    ("states", "phase"),
    [
        ("qw Rq w", Phase.QUEUED),
        ("hqw hRwq", Phase.HELD),
        ("r t hr Rr Rt hRr", Phase.RUNNING),
        ("s ts S tS T tT Rs Rts RS RtS RT RtT", Phase.SUSPENDED),
        ("Eqw Ehqw EhRqw z", Phase.ENDED),
        ("dr dt dRr dRt ds dS dT dRs dRS dRT dEqw", Phase.EXITING),
        ("? _", Phase.OTHER),
    ],
)
def test_every_state_of_the_manual_has_a_phase(states: str, phase: Phase) -> None:
    assert {phase} == {seen(listing(state=state))[LocalId("7")].phase for state in states.split()}


@pytest.mark.parametrize(
    ("state", "lingers", "vague"),
    [("Eqw", True, True), ("Ehqw", True, True), ("dEqw", False, False), ("z", False, True), ("r", False, False)],
)
def test_a_job_that_could_not_start_stays_until_it_is_taken_away(state: str, lingers: bool, vague: bool) -> None:
    """Of every end the listing says nothing but that it came."""
    found = seen(listing(state=state))[LocalId("7")]

    assert (lingers, vague) == (found.lingers, found.vague)


@pytest.mark.parametrize(
    ("tasks", "ids"),
    [
        ("3", ["7.3"]),
        ("1-3:1", ["7.1", "7.2", "7.3"]),
        ("1,4-8:2", ["7.1", "7.4", "7.6", "7.8"]),
        ("1-2", ["7.1", "7.2"]),
    ],
)
def test_a_line_may_stand_for_many_children(tasks: str, ids: list[str]) -> None:
    assert ids == list(seen(listing(f"<tasks>{tasks}</tasks>")))


def test_a_child_that_runs_is_not_ended_because_others_are() -> None:
    text = listing("<tasks>1</tasks>").replace("</queue_info>", "").replace("<job_info></job_info>", "</queue_info>")
    text = text.replace(
        "</queue_info>",
        "<job_list><JB_job_number>7</JB_job_number><state>z</state><tasks>1-2:1</tasks></job_list></queue_info>",
    )

    found = seen(text)

    assert {"7.1": Phase.RUNNING, "7.2": Phase.ENDED} == {localid: each.phase for localid, each in found.items()}


def test_names_that_need_quoting_are_read() -> None:
    assert len(dialect().listed(recorded("qstat-hostile-names"))) == 7


def test_no_jobs_is_an_answer() -> None:
    assert {} == dialect().listed(recorded("qstat-none"))


def test_a_qmaster_that_does_not_answer_is_no_answer() -> None:
    with pytest.raises(BatchUnavailable, match="got send error") as caught:
        dialect().listed(recorded("qstat-down"))
    assert not isinstance(caught.value, UnreadableOutput)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.99])
def test_half_an_answer_is_no_answer(part: float) -> None:
    whole = recorded("qstat-mixed")

    with pytest.raises(UnreadableOutput):
        dialect().listed(replace(whole, out=whole.out[: int(len(whole.out) * part)]))


@pytest.mark.parametrize("text", ["", "nonsense", "<a/>", "<job_info><job_list/></job_info>", "\x00\x01"])
def test_invalid_output_is_no_answer(text: str) -> None:
    with pytest.raises(UnreadableOutput):
        seen(text)


@given(st.text())
def test_any_text_is_an_answer_or_none(text: str) -> None:
    for parse in (dialect().listed, dialect().accounted):
        try:
            answers = [parse(Completed(argv, 0, text, "")) for argv in (("qstat", "-xml"), ("qacct",))]
        except BatchUnavailable:
            continue
        assert all(isinstance(seen.phase, Phase) for answer in answers for seen in answer.values())
