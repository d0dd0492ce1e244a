"""FINISHING: outputs go where they belong, and only what the description lists stays."""

from __future__ import annotations

from arex.errors import UnsafePath
from arex.gm import credentials, outputs
from arex.gm.case import AskStage, Case, Fail, Move, Step
from arex.gm.transfers import unfinished
from arex.model.state import State
from arex.ports import Staged


def decide(case: Case) -> Step:
    if not case.session.exists():
        return Fail("Failed to clean up session dir before uploading outputs")
    credentials.refresh(case)
    listed = case.store.read_entries(case.job.id, "output") or []
    try:
        entries = outputs.expand(case.session.path, listed)
        remote = tuple(entry for entry in entries if entry.remote)
        if remote and not isinstance(case.answer, Staged):
            outputs.keep(case.session.path, entries)
            return credentials.hold_transfers(case, remote) or AskStage(case.staging(remote), out=True)
        if remote and isinstance(case.answer, Staged):
            if moved := remote if case.answer.done else case.answer.moved:
                outputs.delivered(case, listed, moved)
            if not case.answer.done:
                return unfinished(case.answer)
        # a directory that was sent stays as well, as with 6.17: its line never leaves the list
        outputs.keep(
            case.session.path, [each for each in (*entries, *listed) if not each.remote or outputs.is_tree(each)]
        )
    except UnsafePath as exc:
        return Fail(f"Failed to clean up session dir before uploading outputs\n{exc}")
    failed = case.store.failure(case.job.id)
    return Move(State.FINISHED, "Job failure detected" if failed else "Stage-out finished.")
