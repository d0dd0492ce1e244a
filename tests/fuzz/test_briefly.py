"""A taste of ``make fuzz`` in every run, with inputs that are always the same."""

from __future__ import annotations

import math
import random

import pytest

from tests.fuzz.run import Score, fuzz
from tests.fuzz.targets import Target, targets

INPUTS = 2000


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)
def test_a_reader_meets_strange_texts_with_our_errors_only(target: Target) -> None:
    scores = {target.name: Score()}

    faults = list(fuzz([target], random.Random(1), INPUTS, math.inf, scores))

    assert [] == [(fault.why, fault.data) for fault in faults]
    assert INPUTS == scores[target.name].inputs
