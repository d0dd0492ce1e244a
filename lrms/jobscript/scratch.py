"""
The part of a job script that runs the job on the node's own disk: SCRATCH/ID in place of the session directory.

No file is removed from the session before its copy is complete: the move tool copies one entry after the other, and if
it fails, everything is moved back. ``SESSION.lrms/scratch`` records where the files are (``entering`` or ``inside``,
the node, the directory): a later attempt brings them back if it can see them, and otherwise reports where they are.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Final

from arex.config.model import Configuration
from arex.errors import ConfigError, Fault
from arex.model.grami import Grami
from lrms.jobscript.quoting import expanding, quoted
from lrms.jobscript.settings import Scratch, Settled
from lrms.jobscript.template import part

#: Batch systems whose own transfers take session directories to nodes and back, by their names in the configuration.
MOVERS: Final = frozenset({"condor"})
#: After the payload.
END: Final = "arex_leave || exit 1"


def scratch_of(config: Configuration) -> Scratch | None:
    """
    The configured scratch directories; None: jobs run in their session directories.

    If the batch system transfers the files, its directory on the node takes the place of a scratch directory.

    Raises:
        ConfigError: the nodes do not see the session directories, and this backend does not transfer them.
    """
    arex = config.arex
    if not arex.shared_filesystem:
        if config.lrms.lrms.name.lower() in MOVERS:
            return None
        cure = (
            "share the session directories, or use HTCondor, which moves them (lrms=condor), or have ARC's own "
            "scripts do the transfers: lrms=arc-NAME"
        )
        what = f"with lrms={config.lrms.lrms.name}, arex does not move session directories to nodes that can't see them"
        raise ConfigError([Fault(what, option="[arex] shared_filesystem", cure=cure)])
    if arex.scratchdir is None:
        return None
    shared = "" if arex.shared_scratch is None else str(arex.shared_scratch)
    return Scratch(text=str(arex.scratchdir), movetool=config.lrms.movetool, shared=shared)


def is_on_one_node(grami: Grami) -> bool:
    """Whether the job requests all slots on one node; on other nodes, its files would be missing."""
    return grami.count in {1, grami.countpernode} or grami.numnodes == 1


def chosen(site: Scratch | None, settled: Settled) -> Scratch | None:
    """Where a job runs according to the site and the runtime environments; None: in its session directory."""
    scratch = site
    if settled.scratch:
        # the path on the front end is known only for the site's own directory
        scratch = Scratch(text=settled.scratch, expands=True, movetool=scratch.movetool if scratch else "mv")
    if scratch is None:
        return None
    return replace(scratch, movetool=settled.movetool or scratch.movetool, shared=settled.shared or scratch.shared)


def begin(scratch: Scratch, grami: Grami, traps: str = "") -> str:
    """Define functions and traps and move the files in; afterwards RUNTIME_JOB_DIR is the scratch directory."""
    shared = os.path.join(scratch.shared, grami.gridid) if scratch.shared else ""  # noqa: PTH118
    return part(
        "scratch",
        MOVETOOL=quoted(scratch.movetool),
        SHARED=quoted(shared),
        TRAPS=traps,
        DIRECTORY=expanding(scratch.text) if scratch.expands else quoted(scratch.text),
        JOB=quoted(grami.gridid),
    )
