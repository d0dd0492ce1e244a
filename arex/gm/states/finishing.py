"""FINISHING: upload the outputs, and keep only the files that the description lists."""

from __future__ import annotations

from arex.errors import UnsafePath
from arex.gm import credentials, outputs
from arex.gm.context import JobContext
from arex.gm.states.unfinished import unfinished
from arex.gm.steps import AskStage, Fail, Move, Step
from arex.model.state import State


def decide(context: JobContext) -> Step:
    if not context.session.exists():
        return Fail("Failed to clean up session dir before uploading outputs")
    listed = context.store.read_entries(context.job.id, "output") or []
    failed = bool(context.store.failure(context.job.id))
    try:
        entries = outputs.expand(context.session.path, listed, failed=failed)
        remote = tuple(entry for entry in entries if entry.remote)
        staged = context.staged(out=True)
        if remote and staged is None:
            outputs.keep(context.session.path, entries)  # the second call tells the owner what cannot be removed
            return credentials.hold_transfers(context, remote) or AskStage(context.staging(remote), out=True)
        if remote and staged is not None:
            if moved := remote if staged.done else staged.moved:
                outputs.delivered(context, listed, moved)
            if not staged.done:
                return unfinished(staged)
        # an uploaded directory is kept too, as in ARC 6.17: its line stays in the list
        left = outputs.keep(
            context.session.path, [each for each in (*entries, *listed) if not each.remote or outputs.is_tree(each)]
        )
    except outputs.OutputListMissing as exc:
        return Fail(str(exc))
    except UnsafePath as exc:
        return Fail(f"Failed to clean up session dir before uploading outputs\n{exc}")
    return Move(State.FINISHED, "Job failure detected" if failed else "Stage-out finished.", notes=left)
