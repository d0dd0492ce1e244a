"""What becomes of a job whose files could not all be moved."""

from __future__ import annotations

from typing import Final

from arex.gm.steps import Fail, Step, Wait
from arex.ports import Staged

#: A renewed credential wakes its jobs at once; this is for a cure that nobody announces.
_LOOK_AGAIN_S: Final = 60.0


def unfinished(answer: Staged) -> Step:
    """Failed for good, or held until somebody acts; the status then reads PENDING."""
    if answer.failure:
        return Fail(f"Failed in data staging: {answer.failure}")
    return Wait(_LOOK_AGAIN_S, why=answer.waits)
