"""``arex config check`` looks at more than the file."""

from __future__ import annotations

import pytest

from tests.shell import User


@pytest.mark.parametrize(("mode", "code", "warnings"), [(0o700, 0, 0), (0o1777, 0, 1), (0o777, 2, 0)])
def test_a_session_root_that_all_can_write_is_a_warning_or_an_error(
    user: User, mode: int, code: int, warnings: int
) -> None:
    (user.home / "session").mkdir()
    (user.home / "session").chmod(mode)

    said = user.run("arex", "config", "check")

    assert code == said.code
    assert (code, warnings) == (0, 0) or "every account of this host can" in said.err
    if not code:
        found = user.run("arex", "config", "check", "--json").json
        assert warnings == len([text for text in found["warnings"] if "session root" in text["message"]])
