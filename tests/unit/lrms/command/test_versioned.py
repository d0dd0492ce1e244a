"""Which dialect is used, and when the version is queried."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from arex.errors import BatchUnavailable, UnreadableOutput
from arex.process import Completed
from lrms.command.dialect import Call
from lrms.command.versioned import FixedDialect, VersionedDialect
from lrms.pbs.dialect import PbsOptions, TorqueDialect, source_of

OPENPBS = "pbs_version = 23.06.06\n"
TORQUE = "Version: 6.1.3\n"


class Answers:
    """Runs nothing: each query gets the next answer; an empty one is silence."""

    def __init__(self, *answers: str) -> None:
        self.left = list(answers)
        self.calls: list[Call] = []

    async def run(self, call: Call) -> Completed:
        self.calls.append(call)
        await asyncio.sleep(0)
        if not (text := self.left.pop(0)):
            raise BatchUnavailable("no answer")
        return Completed(call.argv, 0, text, "")


def source() -> VersionedDialect:
    return source_of(PbsOptions(bin=Path("/opt/pbs/bin")))


async def test_the_version_is_queried_once_however_many_ask_at_the_same_time() -> None:
    versioned, answers = source(), Answers(TORQUE)

    dialects = await asyncio.gather(*(versioned.dialect(answers.run) for _ in range(3)))

    assert [("/opt/pbs/bin/qstat", "--version")] == [call.argv for call in answers.calls]
    assert len({id(each) for each in dialects}) == 1
    assert isinstance(dialects[0], TorqueDialect)
    assert "OpenPBS" == str(versioned.first)


async def test_without_an_answer_the_next_operation_queries_again() -> None:
    versioned, answers = source(), Answers("", "nonsense", OPENPBS)

    with pytest.raises(BatchUnavailable):
        await versioned.dialect(answers.run)
    with pytest.raises(UnreadableOutput):
        await versioned.dialect(answers.run)

    assert "OpenPBS" == str(await versioned.dialect(answers.run))
    assert 3 == len(answers.calls)


async def test_a_fixed_dialect_needs_no_query() -> None:
    dialect = TorqueDialect(PbsOptions())

    assert dialect is await FixedDialect(dialect).dialect(Answers().run)
