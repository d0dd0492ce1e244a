from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any

import pytest

from arex.config.model import ArexBlock, Configuration, QueueBlock
from arex.config.values import MaxJobs


def test_a_record_is_a_dataclass_that_replace_and_fields_understand() -> None:
    changed = replace(ArexBlock(), maxrerun=1)

    assert is_dataclass(changed)
    assert changed.maxrerun == 1
    assert "maxrerun" in {each.name for each in fields(changed)}


def test_a_record_is_immutable() -> None:
    block = ArexBlock()

    with pytest.raises(FrozenInstanceError):
        setattr(block, "maxrerun", 1)  # noqa: B010  (a plain assignment would not pass the type checker)
    with pytest.raises(FrozenInstanceError):
        delattr(block, "maxrerun")


@pytest.mark.parametrize("values", [{}, {"name": "q", "nonsense": 1}])
def test_a_record_takes_its_fields_and_nothing_else(values: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        QueueBlock(**values)


def test_records_are_equal_by_content_and_type() -> None:
    assert MaxJobs(total=3) == MaxJobs(total=3)
    assert hash(MaxJobs(total=3)) == hash(MaxJobs(total=3))
    assert MaxJobs(total=3) != MaxJobs(total=4)
    assert MaxJobs() != ArexBlock()


def test_records_survive_copies() -> None:
    config = Configuration(queues=(QueueBlock(name="a"),))

    assert config == copy.deepcopy(config)
    assert config == pickle.loads(pickle.dumps(config))


def test_a_record_prints_what_is_not_default() -> None:
    assert repr(MaxJobs(total=3)) == "MaxJobs(total=3)"
