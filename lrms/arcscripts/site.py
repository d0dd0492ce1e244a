"""Where ARC's scripts of a site are, what they get, and how their ``lrms_done`` is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from arex.config.model import Configuration
from arex.config.runtime import runtime_cfg
from arex.config.values import LrmsChoice
from arex.controldir import codec
from arex.controldir.layout import LAYOUTS, Layout
from arex.errors import ConfigError, Fault
from arex.model.ids import JobId
from arex.model.report import EndCause, Evidence, EvidenceSource, Phase, Report
from lrms.environment import outside

#: ``lrms=arc-X`` selects the scripts of X although arex has a backend for it.
PREFIX: Final = "arc-"
_CFG: Final = "arc-scripts.cfg"
_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcScripts:
    """Where the three scripts are and how they are run; times in seconds."""

    name: str  #: X
    directory: Path
    layout: Layout
    cfg: str  #: text of the configuration that the scripts read
    tmpdir: Path = Path("/tmp")  # noqa: S108 - ARC's default
    settings: Mapping[str, str] = field(default_factory=dict)  #: more of the environment
    at_once: int = _AT_ONCE  #: limit on scripts for jobs that run at the same time
    suspicious_s: float = 600.0
    fatal_s: float = 3600.0
    scan_apart_s: float = 10.0  #: between the starts of two scans
    look_s: float = 1.0  #: between checks for what the scan has written
    patience_s: float = 30.0  #: for submissions in progress, when the service stops or ``find`` is called

    @property
    def root(self) -> Path:
        """The control directory."""
        return self.layout.root

    @property
    def cfg_path(self) -> Path:
        return self.root / _CFG

    def script(self, verb: str) -> Path:
        return self.directory / f"{verb}-{self.name}-job"

    def grami(self, job: JobId) -> Path:
        return Path(self.layout.job_file(job, "grami"))

    def environment(self, job: JobId | None = None) -> dict[str, str]:
        """What ARC's daemon gives to its scripts: its environment (without Python's), and the job's credentials."""
        ours = {"ARC_CONFIG": str(self.cfg_path), "TMPDIR": str(self.tmpdir), **self.settings}
        if job is not None:
            proxy = self.layout.job_file(job, "proxy")
            ours |= {"X509_USER_PROXY": proxy, "X509_USER_KEY": "fake", "X509_USER_CERT": "fake"}
        return {**outside(), **ours}

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        """
        For ``lrms=X`` or ``lrms=arc-X``.

        Raises:
            ConfigError: ``arc_scripts`` does not name their directory.
        """
        name = config.lrms.lrms.name.removeprefix(PREFIX)
        directory = config.service.arc_scripts
        if directory is None:
            raise ConfigError([_fault(f"lrms={name} needs ARC's scripts, and arc_scripts is not set")])
        common = dict(config.common.other)
        trust = {key.upper(): common[key] for key in ("x509_cert_dir", "x509_voms_dir") if key in common}
        as_scripts_know_it = replace(config.lrms, lrms=LrmsChoice(name=name, queue=config.lrms.lrms.queue))
        return cls(
            name=name,
            directory=directory,
            layout=LAYOUTS[config.service.layout](config.arex.controldir),
            cfg=runtime_cfg(replace(config, lrms=as_scripts_know_it)),
            tmpdir=config.arex.tmpdir,
            settings=trust,
            at_once=config.arex.maxjobs.scripts or _AT_ONCE,
        )


def _fault(what: str) -> Fault:
    return Fault(what, option="[arex/service] arc_scripts", cure="name the directory of submit-X-job")


def spelled(directory: Path, wanted: str) -> str:
    """
    X as the scripts spell it: ARC has ``SLURM`` where arc.conf says ``slurm``.

    Raises:
        ConfigError: one of the three is missing.
    """
    try:
        names = {path.name for path in directory.iterdir()}
    except OSError as exc:
        raise ConfigError([_fault(f"{directory}: {exc.strerror}")]) from exc
    known = [name[7:-4] for name in sorted(names) if name.startswith("submit-") and name.endswith("-job")]
    name = next((each for each in (wanted, *known) if each in known and each.lower() == wanted.lower()), wanted)
    missing = [each for verb in ("submit", "cancel", "scan") if (each := f"{verb}-{name}-job") not in names]
    if missing:
        raise ConfigError([_fault(f"{directory} has no {', '.join(missing)}")])
    return name


def end_report(data: bytes) -> Report:
    try:
        code, message = codec.parse_lrms_done(data)
    except ValueError:  # a number with thousands of digits
        code, message = -1, codec.decode(data).partition("\n")[0]
    return Report(
        phase=Phase.ENDED,
        exit_code=code if code >= 0 else None,
        cause=EndCause.EXIT_CODE if code >= 0 else EndCause.LOST,
        message=message,
        evidence=(Evidence(EvidenceSource.SCAN, codec.decode(data).partition("\n")[0]),),
    )
