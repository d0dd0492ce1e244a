from __future__ import annotations

import pytest

from lrms.fork.label import attempt_of, label, parse_label


def test_a_label_says_attempt_and_trouble_and_fits_into_the_name_of_a_process() -> None:
    name = label("job-1", 28)

    assert 15 == len(name)
    assert (attempt_of("job-1"), 28) == parse_label(name)
    assert (attempt_of("job-1"), 0) == parse_label(label("job-1"))


def test_attempts_have_different_labels() -> None:
    assert label("job-1") != label("job-2")


@pytest.mark.parametrize("name", ["", "python3", "arex", "arex0000000000g", "arex٣٣٣00000000", "arex00000000000x"])
def test_other_names_are_of_no_supervisor(name: str) -> None:
    assert parse_label(name) is None
