"""The text about an exception that ended a turn."""

from __future__ import annotations

import errno

import pytest

from arex.controldir.temporary import temporary_name
from arex.gm.turns.worker import trouble


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/session/a.diag", None, "/ctl/job.a.diag"),
         "Permission denied: /session/a.diag"),
        (OSError(errno.ENOSPC, "No space left", temporary_name("/ctl/job.a.xml"), None, "/ctl/job.a.xml"),
         "No space left: /ctl/job.a.xml"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (OSError(errno.EIO, "Input/output error", 17), "Input/output error"),
        (OSError(errno.EIO, "Input/output error", b"/ctl/a\xff"), "Input/output error: /ctl/a\udcff"),
        (ValueError("x"), "internal error of arex: ValueError: x"),
    ],
)  # fmt: skip
def test_it_names_the_file_that_is_in_the_way(exc: Exception, text: str) -> None:
    assert text == trouble(exc)
