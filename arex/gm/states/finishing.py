"""FINISHING: outputs go where they belong, and only what the description lists stays."""

from __future__ import annotations

from arex.controldir import beneath
from arex.errors import UnsafePath
from arex.gm import outputs
from arex.gm.case import AskStage, Case, Fail, Move, Step
from arex.model.state import State
from arex.ports import Staged


def decide(case: Case) -> Step:
    if not case.session.exists():
        return Fail("Failed to clean up session dir before uploading outputs")
    listed = case.store.read_entries(case.job.id, "output") or []
    try:
        entries = outputs.expand(case.session.path, listed)
        remote = tuple(entry for entry in entries if entry.remote)
        if remote and not isinstance(case.answer, Staged):
            beneath.keep_only(case.session.path, [entry.pfn for entry in entries if entry.pfn != "/"])
            return AskStage(case.session.path, remote, out=True)
        if remote and isinstance(case.answer, Staged):
            if case.answer.failure:
                return Fail(f"Failed in data staging: {case.answer.failure}")
            outputs.delivered(case, listed, remote)
        stays = [entry.pfn for entry in entries if not entry.remote and entry.pfn != "/"]
        beneath.keep_only(case.session.path, stays)
    except UnsafePath as exc:
        return Fail(f"Failed to clean up session dir before uploading outputs\n{exc}")
    failed = case.store.failure(case.job.id)
    return Move(State.FINISHED, "Job failure detected" if failed else "Stage-out finished.")
