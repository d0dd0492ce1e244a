"""What a submission attempt has left in its run directory."""

from __future__ import annotations

from pathlib import Path

from lrms.attempt.traces import traces


def test_a_run_directory_that_cannot_be_searched_has_no_traces(tmp_path: Path) -> None:
    """A payload can close it; the query about all jobs of a batch system must not fail because of one."""
    found = traces(tmp_path / ("x" * 300))

    assert (found.mark, found.cancel_asked) == (None, False)
