"""
Long texts of other people's jobs: patterns that took the square of their length would need minutes, and be ended by the
time limit of each test.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from arex.errors import UnreadableOutput
from lrms.lsf.dialect import Form, LsfDialect, LsfOptions
from lrms.pbs.dialect import PbsDialect, PbsOptions, TorqueDialect
from tests.unit.lrms.samples import said

pytestmark = pytest.mark.timeout(120)

LINES: Final = "\n" * 400_000
OPEN: Final = "<Resource_List>" * 60_000


@pytest.fixture(autouse=True)
def _no_log() -> Iterator[None]:
    """What is logged about such texts would be millions of characters in the report of the test."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _repaired(text: str) -> None:
    """An entry of JSON that has to be parsed line by line."""
    out = f'{{"pbs_server":"s","Jobs":{{\n"1.s":{{\n"Job_Name":"x","Variable_List":{{"F":"{text}""}}\n}}}}\n}}\n'
    PbsDialect(PbsOptions(user="grid")).listed(said(out))


def _bjobs(text: str) -> None:
    out = f'{{\n "JOBS":1,\n "RECORDS":[ {{ "JOBID":"1",\n "JOB_NAME":"{text}\n] }}\n'
    LsfDialect(LsfOptions(), Form.JSON).listed(said(out))


def _torque(text: str) -> None:
    TorqueDialect(PbsOptions(user="grid")).listed(said(f"<Data><Job><Job_Id>1.s</Job_Id>{text}</Job></Data>"))


@pytest.mark.parametrize(
    ("parse", "text"),
    [(_repaired, LINES), (_bjobs, LINES), (_torque, OPEN)],
    ids=["JSON of qstat", "JSON of bjobs", "XML of Torque"],
)
def test_a_long_text_is_parsed_in_time(parse: Callable[[str], None], text: str) -> None:
    with contextlib.suppress(UnreadableOutput):
        parse(text)
