"""Clients use the configuration of the service that runs on their control directory, so that it finds their jobs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from arex import daemon
from arex.config.load import load
from arex.config.model import Configuration
from arex.errors import ConfigError, ServiceError


class Agreement(NamedTuple):
    """A configuration that agrees with the running service, and what was done to it, for a careful user."""

    config: Configuration
    remark: str = ""


def agree(config: Configuration, *, is_named: bool, submits: bool) -> Agreement | None:
    """
    Compare with the service that runs on this control directory; None if none does, or if it does not say.

    Args:
        config: the client's configuration.
        is_named: the user has named its file, so it is not replaced silently.
        submits: the command makes jobs.

    Raises:
        ServiceError: a job of this configuration would wait forever, or be somewhere else than expected.
    """
    running = _running(config)
    if running is None:
        return None
    file, facts = running
    if not (unequal := daemon.differences(config, facts)):
        return Agreement(config)
    ours = config.source or "the defaults"
    theirs = file or "the defaults"
    where = f"the running service has {theirs}, and this command {ours}"
    is_same_file = file is not None and config.source is not None and file == config.source.resolve()
    if is_same_file:
        where = f"the running service has not taken over {ours} as it is now"
        cure = "'arex reload', or 'arex restart'"
    else:
        cure = f"export ARC_CONFIG={theirs}" if file else "unset ARC_CONFIG, and leave out --config"
    if submits and is_named and not is_same_file:
        raise ServiceError(f"{where}, which differ in {'; '.join(unequal)}: {cure}")
    what = f"using what the service has: {where} ({'; '.join(unequal)}): {cure}"
    return Agreement(_theirs(config, file, facts), what)


def _running(config: Configuration) -> tuple[Path | None, daemon.Served] | None:
    try:
        snapshot = daemon.read_snapshot(config.arex.controldir)
        if snapshot is None or snapshot.stopped or (facts := daemon.parse_served(snapshot.served)) is None:
            return None
        if daemon.holder(config.arex.controldir) not in {snapshot.pid, daemon.UNKNOWN_PID}:
            return None
    except (OSError, ServiceError):  # it is another account's: the command fails elsewhere, with a better reason
        return None
    return (Path(snapshot.config) if snapshot.config else None), facts


def _theirs(config: Configuration, file: Path | None, facts: daemon.Served) -> Configuration:
    """The service's file if it can be read and is as the service has read it; otherwise the facts that it has told."""
    if file is not None and file != config.source:
        try:
            other = load(file)[0]
        except ConfigError:
            pass  # it was changed meanwhile, or belongs to another account
        else:
            if other.arex.controldir == config.arex.controldir and not daemon.differences(other, facts):
                return other
    return daemon.adopt(config, facts)
