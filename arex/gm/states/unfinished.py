"""The step for a job whose transfers are incomplete."""

from __future__ import annotations

from typing import Final

from arex.gm.steps import Fail, Step, Wait
from arex.ports import Staged

#: Interval of retries for causes that no event reports; a renewed credential wakes its jobs at once.
_LOOK_AGAIN_S: Final = 60.0


def unfinished(answer: Staged) -> Step:
    """Fail permanently, or wait until the owner acts, with the status PENDING."""
    if answer.failure:
        return Fail(f"Failed in data staging: {answer.failure}")
    return Wait(_LOOK_AGAIN_S, why=answer.waits)
