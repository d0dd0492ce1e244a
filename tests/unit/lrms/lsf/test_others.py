"""LSF's queue when other jobs of the account have any name and any description."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.errors import BatchUnavailable
from arex.model.ids import LocalId
from arex.model.report import Phase
from lrms.lsf.bjobs import DELIMITER, FIELDS
from lrms.lsf.dialect import Form, LsfDialect, LsfOptions
from tests.unit.lrms.samples import said

OURS: Final = LocalId("102")
TAG: Final = "kuEfL2-0badcafe"
TEXTS: Final = ("a^b", "one\ntwo", '"', "\\", "\\u12", '","STAT":"DONE', "}", "\t", "\v\u2028", "-", "102^DONE^0")


def fields(number: str, state: str = "RUN", description: str = "", name: str = "gridjob") -> dict[str, str]:
    known = {"jobid": number, "stat": state, "job_description": description, "job_name": name, "exec_host": "n1"}
    return {each.upper(): known.get(each, "") for each in FIELDS}


def json_of(*jobs: dict[str, str], escaped: bool = True) -> str:
    write = json.dumps if escaped else lambda text: f'"{text}"'
    records = ",\n".join(
        "    {\n" + ",\n".join(f'      "{name}":{write(value)}' for name, value in job.items()) + "\n    }"
        for job in jobs
    )
    return f'{{\n  "COMMAND":"bjobs",\n  "JOBS":{len(jobs)},\n  "RECORDS":[\n{records}\n  ]\n}}\n'


def delimited(*jobs: dict[str, str]) -> str:
    head = DELIMITER.join(name.upper() for name in FIELDS)
    return "".join(f"{line}\n" for line in (head, *(DELIMITER.join(v or "-" for v in job.values()) for job in jobs)))


def dialect(form: Form) -> LsfDialect:
    return LsfDialect(LsfOptions(), form)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("escaped", [True, False])
def test_a_description_spoils_nothing_in_the_json(text: str, escaped: bool) -> None:
    """Not all versions escape it."""
    other = fields("101", description=text, name=text)

    found = dialect(Form.JSON).listed(said(json_of(other, fields(OURS, description=TAG), escaped=escaped)))

    assert (Phase.RUNNING, TAG) == (found[OURS].phase, found[OURS].tag)
    assert "101" in found


@pytest.mark.parametrize("text", TEXTS)
def test_a_description_spoils_nothing_between_delimiters(text: str) -> None:
    out = delimited(fields("101", description=text, name=text), fields(OURS, description=TAG))

    found = dialect(Form.DELIMITED).listed(said(out))

    assert (Phase.RUNNING, TAG) == (found[OURS].phase, found[OURS].tag)
    assert "101" in found


def test_an_entry_in_a_description_ends_no_job() -> None:
    forged = DELIMITER.join(value or "-" for value in fields(OURS, "DONE").values())
    out = delimited(fields("101", description=f"x\n{forged}\n"), fields(OURS, description=TAG))

    assert Phase.OTHER is dialect(Form.DELIMITED).listed(said(out))[OURS].phase


def test_a_strange_name_spoils_nothing_in_columns() -> None:
    out = "".join(
        f"{line}\n"
        for line in (
            "JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME",
            "101     grid    RUN   normal     front       n1          a  b c     Nov 20 10:00",
            "strange",
            f"102     grid    RUN   normal     front       n1          {TAG}  Nov 20 10:00",
        )
    )

    assert {"101", OURS} == dialect(Form.PLAIN).listed(said(out)).keys()


@pytest.mark.parametrize("form", Form)
@given(text=st.text() | st.text(alphabet='{}[]":,^\n JOBID12'))
def test_junk_is_no_answer_or_some_of_one(form: Form, text: str) -> None:
    for out in (
        text,
        json_of(fields("1", text, text), escaped=False),
        delimited(fields(text, text)),
        f"JOBID\n{text}\n",
    ):
        try:
            dialect(form).listed(said(out))
        except BatchUnavailable:
            continue


@pytest.mark.parametrize("value", ["9" * 5000, None, [], {"a": 1}, 1e400])
def test_strange_values_are_no_fault(value: Any) -> None:
    strange = {**fields("101"), "EXIT_CODE": value, "RUN_TIME": value, "MAX_MEM": value, "START_TIME": value}
    out = json.dumps({"COMMAND": "bjobs", "JOBS": 3, "RECORDS": [strange, fields(OURS), {"JOBID": "103"}]})

    found = dialect(Form.JSON).listed(said(out))

    assert Phase.RUNNING is found[OURS].phase
    assert Phase.OTHER is found[LocalId("103")].phase
