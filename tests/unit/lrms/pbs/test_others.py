"""The queue of PBS when jobs of other accounts have any text in their environments."""

from __future__ import annotations

import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.errors import BatchUnavailable, UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase
from lrms.pbs.dialect import PbsDialect, TorqueDialect
from tests.unit.lrms.pbs.speech import FLAVOURS, dialect
from tests.unit.lrms.samples import said

pytestmark = pytest.mark.usefixtures("utc")
OURS: Final = LocalId("802.srv")
FUNCTION: Final = '() {  local tool=$1;\n if [ -n "$tool" ]; then\n eval `/opt/tools/use sh $tool`;\n fi\n}'
FORGED: Final = "x\n\nJob Id: 802.srv\n    job_state = F\n    Exit_status = 0\n    Job_Owner = grid@front\n\n"


def as_text(user: str = "") -> PbsDialect:
    """A dialect that has learned that there is no JSON."""
    spoken = dialect(user=user)
    with pytest.raises(UnreadableOutput):
        spoken.listed(said(err="qstat: invalid option -- 'F'", code=2))
    assert "json" not in spoken.listing(()).argv
    return spoken


def text_of(value: str) -> str:
    return (
        "Job Id: 801.srv\n    Job_Name = other\n    Job_Owner = anna@front\n    job_state = R\n"
        f"    Variable_List = PBS_O_HOME=/home/anna,F={value},PBS_O_SHELL=/bin/bash\n    substate = 42\n\n"
        "Job Id: 802.srv\n    Job_Name = gridjob\n    Job_Owner = grid@front\n    job_state = R\n"
        "    Variable_List = PBS_O_HOME=/home/grid,AREX_TAG=kuEfL2-0badcafe\n    substate = 42\n\n"
    )


def json_of(value: str) -> str:
    """As OpenPBS prints it, which does not escape values in all versions."""
    jobs = "".join(
        f'        "{number}.srv":{{\n            "Job_Name":"{name}",\n'
        f'            "Job_Owner":"{owner}@front",\n            "job_state":"R",\n'
        f'            "Variable_List":{{\n                "F":"{text}",\n'
        f'                "AREX_TAG":"{tag}"\n            }},\n'
        f'            "substate":42\n        }}{comma}\n'
        for number, name, owner, text, tag, comma in (
            (801, "other", "anna", value, "", ","),
            (802, "gridjob", "grid", "", "kuEfL2-0badcafe", ""),
        )
    )
    return f'{{\n    "timestamp":1,\n    "pbs_server":"srv",\n    "Jobs":{{\n{jobs}    }}\n}}\n'


@pytest.mark.parametrize("value", [FUNCTION, "a\n\nb", "a = b", "\n    job_state = F\n", '"', "\\", "\t", "\n\tx"])
def test_an_environment_spoils_nothing_in_the_text(value: str) -> None:
    found = as_text().listed(said(text_of(value)))

    assert {"801.srv", OURS} == found.keys()
    assert (Phase.RUNNING, "kuEfL2-0badcafe") == (found[OURS].phase, found[OURS].tag)
    assert Phase.RUNNING is found[LocalId("801.srv")].phase


@pytest.mark.parametrize("value", [FUNCTION, json.dumps(FUNCTION)[1:-1], "\\x", '"', '","AREX_TAG":"', "}", "\\", "\0"])
def test_an_environment_spoils_nothing_in_the_json(value: str) -> None:
    found = dialect().listed(said(json_of(value)))

    assert {"801.srv", OURS} == found.keys()
    assert (Phase.RUNNING, "kuEfL2-0badcafe") == (found[OURS].phase, found[OURS].tag)


def test_an_entry_in_an_environment_ends_no_job() -> None:
    """It cannot be distinguished from the job's own, so that neither counts: the job is present."""
    for value in (FORGED, FORGED * 2):
        found = as_text().listed(said(text_of(value)))

        assert Phase.OTHER is found[OURS].phase
        assert found[OURS].cause is None


def xml_of(*owners: str) -> str:
    jobs = "".join(
        f"<Job><Job_Id>80{n}.srv</Job_Id><Job_Owner>{owner}</Job_Owner><job_state>R</job_state>"
        "<Variable_List>AREX_TAG=kuEfL2-0badcafe</Variable_List></Job>"
        for n, owner in enumerate(owners, 1)
    )
    return f"<Data>{jobs}</Data>\n"


@pytest.mark.parametrize("form", ["text", "JSON", "repaired JSON", "XML"])
def test_a_job_of_another_account_is_not_listed_whatever_its_tag(form: str) -> None:
    tagged = ",AREX_TAG=kuEfL2-0badcafe"
    spoken, out = {
        "text": (as_text(user="grid"), text_of(tagged)),
        "JSON": (dialect(user="grid"), json_of('","AREX_TAG":"kuEfL2-0badcafe')),
        "repaired JSON": (dialect(user="grid"), json_of('x"y","AREX_TAG":"kuEfL2-0badcafe')),
        "XML": (dialect(TorqueDialect, user="grid"), xml_of("anna@front", "grid@front")),
    }[form]

    assert {OURS} == spoken.listed(said(out)).keys()


@pytest.mark.parametrize("kind", FLAVOURS)
def test_without_a_name_of_our_account_all_jobs_are_listed(kind: type[PbsDialect]) -> None:
    out = xml_of("anna@front", "grid@front") if kind is TorqueDialect else json_of("x")

    assert {"801.srv", OURS} == dialect(kind).listed(said(out)).keys()


def test_a_queue_of_other_accounts_only_is_an_answer() -> None:
    assert {} == dialect(TorqueDialect, user="grid").listed(said(xml_of("anna@front")))
    assert {} == dialect(user="otto").listed(said(json_of("x")))
    assert {} == as_text(user="otto").listed(said(text_of("x")))


@pytest.mark.parametrize("owner", ["", "grid@front"])
def test_an_owner_in_an_environment_is_none(owner: str) -> None:
    """OpenPBS has printed quotation marks in values as they are, so that the rest looks like attributes."""
    found = dialect(user="grid").listed(said(json_of(f'x"}},"Job_Owner":"{owner}","Y":{{"Z":"')))

    assert {OURS} == found.keys()


def test_a_second_entry_of_a_job_in_json_counts_too() -> None:
    jobs = ",".join(f'"802.srv":{{"Job_Owner":"grid@front","job_state":"{letter}"}}' for letter in "RF")
    found = dialect(user="grid").listed(said(f'{{"pbs_server":"srv","Jobs":{{{jobs}}}}}'))

    assert {OURS: Phase.OTHER} == {localid: seen.phase for localid, seen in found.items()}


@pytest.mark.parametrize("status", ["0", "-29"])
def test_how_a_job_has_ended_is_not_believed_where_an_environment_may_say_it(status: str) -> None:
    """The forged entry is complete, and so are those around it: the text does not show which is which."""
    head = "    Job_Owner = grid@front\n    job_state = F\n"
    forged = f"x\n    substate = 42\n\nJob Id: 803.srv\n{head}    Exit_status = {status}\n    Variable_List = A=1"

    seen = as_text(user="grid").listed(said(text_of(forged)))[LocalId("803.srv")]

    assert (Phase.ENDED, None, None) == (seen.phase, seen.cause, seen.exit_code)


def test_how_a_job_has_ended_is_believed_before_all_jobs_of_other_accounts() -> None:
    ours = "Job Id: 1.srv\n    Job_Owner = grid@front\n    job_state = F\n    Exit_status = 3\n\n"
    found = as_text(user="grid").listed(said(ours + text_of("x")))

    assert (EndCause.EXIT_CODE, 3) == (found[LocalId("1.srv")].cause, found[LocalId("1.srv")].exit_code)


@given(st.text())
def test_whatever_an_environment_is_the_other_job_is_seen(value: str) -> None:
    assert OURS in as_text().listed(said(text_of(value)))
    assert OURS in dialect().listed(said(json_of(value)))


@pytest.mark.parametrize("kind", FLAVOURS)
@given(text=st.text() | st.text(alphabet='{}[]":,\\\n JobId.12<>/Data'))
def test_junk_is_no_answer_or_some_of_one(kind: type[PbsDialect], text: str) -> None:
    for out in (text, f"{text}\n\n", f'{{"pbs_server":"x","Jobs":{text}}}', f"<Data><Job>{text}</Job></Data>"):
        try:
            dialect(kind).listed(said(out))
        except BatchUnavailable:
            continue


@pytest.mark.parametrize(
    "values",
    ["null", "[]", '{"job_state":[]}', '{"mtime":"%s"}' % ("9" * 400), '{"Exit_status":"%s"}' % ("9" * 5000)],
)
def test_a_strange_entry_is_a_job_that_is_present(values: str) -> None:
    out = f'{{"pbs_server":"srv","Jobs":{{"801.srv":{values},"802.srv":{{"job_state":"R"}}}}}}'

    found = dialect().listed(said(out))

    assert Phase.RUNNING is found[OURS].phase
    assert Phase.OTHER is found[LocalId("801.srv")].phase


def test_json_that_is_too_deep_is_no_answer() -> None:
    with pytest.raises(BatchUnavailable):
        dialect().listed(said('{"pbs_server":"srv","Jobs":' + "[" * 100_000))
