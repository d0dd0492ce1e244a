"""LSF's queue: answers of bjobs under tests/data."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest

from arex.errors import BatchUnavailable, UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase, Usage
from arex.process import Completed
from lrms.command.dialect import Seen
from lrms.lsf.bjobs import FIELDS
from lrms.lsf.dialect import REASONS, STATES, Form
from tests.unit.lrms.lsf.speech import dialect
from tests.unit.lrms.samples import recorded, said

pytestmark = pytest.mark.usefixtures("utc")
READERS: Final = {
    "lsf-10.1/bjobs-composed": Form.JSON,
    "lsf-10.1/bjobs-patience": Form.JSON,
    "lsf-9.1/bjobs-composed": Form.DELIMITED,
    "lsf-7/bjobs": Form.PLAIN,
}


def one(**fields: str) -> Seen:
    record = {name.upper(): fields.get(name, "") for name in FIELDS} | {"JOBID": "1"}
    return dialect().listed(said(json.dumps({"COMMAND": "bjobs", "JOBS": 1, "RECORDS": [record]})))[LocalId("1")]


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_kept_answer_reads(name: str) -> None:
    found = dialect(READERS[name]).listed(recorded(name))

    assert found
    assert all(seen.word and seen.phase is not Phase.OTHER for seen in found.values())


@pytest.mark.parametrize("name", sorted(READERS))
@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
def test_half_an_answer_is_no_answer(name: str, part: float) -> None:
    done = recorded(name)
    whole = done.out.rstrip()

    with pytest.raises(UnreadableOutput):
        dialect(READERS[name]).listed(replace(done, out=whole[: int(len(whole) * part)]))


def test_an_answer_with_fewer_jobs_than_it_announces_is_no_answer() -> None:
    with pytest.raises(UnreadableOutput):
        dialect().listed(said('{"COMMAND":"bjobs","JOBS":2,"RECORDS":[]}'))


@pytest.mark.parametrize("name", ["lsf-10.1/bjobs-composed", "lsf-9.1/bjobs-composed"])
def test_ends_are_distinguished(name: str) -> None:
    found = dialect(READERS[name]).listed(recorded(name))

    assert {localid: seen.cause for localid, seen in found.items() if seen.phase is Phase.ENDED} == {
        "22005": EndCause.EXIT_CODE,
        "22006": EndCause.EXIT_CODE,
        "22007": EndCause.WALLTIME,
        "22008": EndCause.CANCELLED,
        "22009": EndCause.SIGNAL,
    }
    assert found[LocalId("22005")] == Seen(
        phase=Phase.ENDED,
        word="DONE",
        tag="ok-1",
        cause=EndCause.EXIT_CODE,
        exit_code=0,
        nodes=("node19",),
        started=datetime(2018, 12, 28, 19, 56, tzinfo=UTC),
        ended=datetime(2018, 12, 28, 19, 57, tzinfo=UTC),
        usage=Usage(wall_s=1, user_s=1, max_rss_kb=5452595),
    )
    assert (found[LocalId("22009")].exit_code, found[LocalId("22009")].signal) == (137, 9)
    assert found[LocalId("22009")].nodes == ("node1", "node2")


@pytest.mark.parametrize("name", ["lsf-10.1/bjobs-composed", "lsf-9.1/bjobs-composed"])
def test_jobs_that_have_not_ended_are_seen_with_their_tags(name: str) -> None:
    found = dialect(READERS[name]).listed(recorded(name))

    assert {localid: (seen.phase, seen.tag) for localid, seen in found.items() if seen.phase is not Phase.ENDED} == {
        "22010": (Phase.QUEUED, "waits-10"),
        "22011": (Phase.HELD, ""),
        "22012[2]": (Phase.RUNNING, "arr-12"),  # by its name, where bjobs shows an array's number
        "22013[3]": (Phase.EXITING, "arr-13"),
    }


def test_an_old_lsf_lists_tags_and_states() -> None:
    found = dialect(Form.PLAIN).listed(recorded("lsf-7/bjobs"))

    assert {localid: (seen.phase, seen.tag, seen.nodes) for localid, seen in found.items()} == {
        "811659814": (Phase.QUEUED, "tag-1", ()),
        "811659815": (Phase.RUNNING, "tag-2", ("node7.example.org",)),
        "811659816[2]": (Phase.RUNNING, "arr-3", ("node1", "node2")),
        "811659817": (Phase.ENDED, "tag-4", ("node1",)),
    }


def test_no_jobs_is_an_answer() -> None:
    assert dialect().listed(recorded("lsf-10.1/bjobs-none")) == {}
    for form in Form:
        assert dialect(form).listed(said(err="No job found\n", code=255)) == {}


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize(
    "done",
    [
        said(),
        said("\x00\x7fELF"),
        said("null"),
        said('{"COMMAND":"bjobs"}'),
        said('{"COMMAND":"bjobs","JOBS":1,"RECORDS":[{"JOBID":"x; rm"}]}'),
        said("Keine Verbindung\n"),
        said(err="LSF is down. Please wait ...", code=255),
        said(err="Failed in an LSF library call: Communication time out", code=255),
    ],
)
def test_unparsable_output_is_no_answer(form: Form, done: Completed) -> None:
    with pytest.raises(BatchUnavailable):
        dialect(form).listed(done)


@pytest.mark.parametrize("word", sorted(STATES))
def test_every_state_has_its_phase(word: str) -> None:
    assert STATES[word] is one(stat=word).phase


def test_a_job_in_an_unknown_state_is_present() -> None:
    assert one(stat="DREAM").phase is Phase.OTHER


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_has_its_cause(reason: str) -> None:
    """Whatever the exit code says."""
    assert REASONS[reason] is one(stat="EXIT", exit_code="130", exit_reason=f"{reason}: job killed").cause


def test_an_unknown_reason_means_that_lsf_ended_the_job() -> None:
    assert one(stat="EXIT", exit_code="9", exit_reason="TERM_TOMORROW: job killed").cause is EndCause.CANCELLED_BY_LIMIT


def test_the_question_is_one_for_all_jobs() -> None:
    ids = [LocalId("1")]

    assert dialect().listing(ids).argv[:3] == ("bjobs", "-a", "-o")
    assert dialect().listing(ids).argv[-1] == "-json"
    assert "delimiter='^'" in dialect(Form.DELIMITED).listing(ids).argv[-1]
    assert dialect(Form.PLAIN).listing(ids).argv == ("bjobs", "-a", "-w")
