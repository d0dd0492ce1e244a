"""What ``arex config check`` finds out beyond the file: directories, logs, and the commands of the batch system."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from arex.config.model import Configuration
from arex.controldir.session import root_objection, root_warning
from arex.errors import ConfigError, Fault
from lrms import load as load_backend

#: Commands that a backend calls, and the option for their directory.
_COMMANDS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "slurm": ("slurm_bin_path", ("sbatch", "squeue", "scancel")),
    "sge": ("sge_bin_path", ("qsub", "qstat", "qdel")),
    "condor": ("condor_bin_path", ("condor_submit", "condor_q", "condor_rm")),
    "pbs": ("pbs_bin_path", ("qsub", "qstat", "qdel")),
    "pbspro": ("pbs_bin_path", ("qsub", "qstat", "qdel")),
    "lsf": ("lsf_bin_path", ("bsub", "bjobs", "bkill")),
}


def inspect(config: Configuration) -> tuple[list[Fault], list[Fault]]:
    """Faults with which the service would not start or could run no job, and warnings."""
    faults = [*_backend(config), *_directories(config), *_files(config)]
    warnings = [*_commands(config)]
    for root in (entry.path for entry in config.arex.sessiondir):
        if text := root_objection(root):
            faults.append(Fault(text, config.source, option="[arex] sessiondir"))
        elif text := root_warning(root):
            warnings.append(Fault(text, config.source, option="[arex] sessiondir"))
    return faults, warnings


def _backend(config: Configuration) -> Iterator[Fault]:
    try:
        load_backend(config.lrms.lrms.name, config)
    except ConfigError as exc:
        yield from (Fault(each.what, config.source, each.line, each.option, each.cure) for each in exc.faults)


def _directories(config: Configuration) -> Iterator[Fault]:
    """Directories that this account cannot make or write."""
    wanted = [("controldir", config.arex.controldir)]
    wanted += [("sessiondir", entry.path) for entry in config.arex.sessiondir if not entry.drain]
    for option, path in wanted:
        if why := _unusable_directory(path):
            yield Fault(f"{path} {why}", config.source, option=f"[arex] {option}", cure="set another directory")


def _files(config: Configuration) -> Iterator[Fault]:
    """Files that this account cannot write."""
    for option, path in (("pidfile", config.arex.pidfile), ("logfile", config.arex.logfile)):
        if why := _unusable_file(path):
            yield Fault(f"{path} {why}", config.source, option=f"[arex] {option}", cure=f"set another {option}")
    if config.arex.joblog is not None and (why := _unusable_file(config.arex.joblog)):
        yield Fault(f"{config.arex.joblog} {why}", config.source, option="[arex] joblog", cure="set another joblog")


def _unusable_directory(path: Path) -> str:
    """Why files cannot be made in a directory, which may not exist yet; empty if they can."""
    try:
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - tells EACCES from ENOENT
    except FileNotFoundError:
        above = next((each for each in path.parents if os.path.lexists(each)), Path("/"))
        if not above.is_dir():
            return f"cannot be made: {above} is not a directory"
        return "" if os.access(above, os.W_OK | os.X_OK) else f"cannot be made: {above} is not writable for you"
    except OSError as exc:
        return f"cannot be used: {exc.strerror}"
    if not is_directory:
        return "is not a directory"
    return "" if os.access(path, os.R_OK | os.W_OK | os.X_OK) else "is not writable for you"


def _unusable_file(path: Path) -> str:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - as above
    except FileNotFoundError:
        why = _unusable_directory(path.parent)
        return f"cannot be made: {path.parent} {why}" if why else ""
    except OSError as exc:
        return f"cannot be used: {exc.strerror}"
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
        return "is not a regular file"
    return "" if os.access(path, os.W_OK) else "is not writable for you"


def _commands(config: Configuration) -> Iterator[Fault]:
    """Commands of the batch system that are not on this host, or not in the environment of this shell."""
    option, names = _COMMANDS.get(config.lrms.lrms.name.lower(), ("", ()))
    if not names:
        return
    where: Path | None = getattr(config.lrms, option)
    missing = [name for name in names if shutil.which(name, path=None if where is None else str(where)) is None]
    if missing:
        place = "in PATH" if where is None else f"in {where}"
        yield Fault(f"{', '.join(missing)} not found {place}", config.source, option=f"[lrms] {option}",
                    cure="set it to the directory of the commands")  # fmt: skip
