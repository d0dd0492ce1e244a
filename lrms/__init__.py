"""How jobs run: batch system backends, by the name that ``.local`` and ``arc.conf`` give them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from arex.config.model import Configuration
    from arex.ports import Backend

#: Name to ``module:Class``, which is imported when it is needed.
BACKENDS: Final[Mapping[str, str]] = {
    "fork": "lrms.fork.backend:ForkBackend",
    "slurm": "lrms.slurm.dialect:SlurmBackend",
    "pbs": "lrms.pbs.dialect:PbsBackend",
    "pbspro": "lrms.pbs.dialect:PbsBackend",
    "lsf": "lrms.lsf.dialect:LsfBackend",
    "sge": "lrms.sge.dialect:SgeBackend",
    "condor": "lrms.htcondor.dialect:CondorBackend",
}
#: For a batch system with ARC's scripts and without a backend here; ``arc-NAME`` if it has both.
SCRIPTS: Final = "lrms.arcscripts.backend:ArcScriptsBackend"
#: Entry points of other packages, for names that are not in the table.
GROUP: Final = "arex.lrms"


def load(name: str, config: "Configuration") -> "Backend":
    """
    The backend of this name, made from the configuration by its class's ``from_config``.

    Raises:
        ConfigError: there is no backend of this name; the nearest name is suggested.
    """
    # the forkserver imports this package and every job's supervisor is a copy of it: nothing heavy at the top
    from lrms.registry import backend_class  # noqa: PLC0415

    scripts = SCRIPTS if config.service.arc_scripts is not None else None
    return backend_class(name, BACKENDS, GROUP, scripts).from_config(config)
