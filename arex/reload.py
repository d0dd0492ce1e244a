"""What a running service takes over from a new configuration, and what changes only at its next start."""

from __future__ import annotations

from dataclasses import fields, replace

from arex.config.model import Configuration
from arex.config.record import Record


def merged(old: Configuration, new: Configuration) -> Configuration:
    """The new configuration, with the old values of the options that need a restart."""
    kept = replace(
        new.arex,
        controldir=old.arex.controldir,
        pidfile=old.arex.pidfile,
        wakeupperiod=old.arex.wakeupperiod,
        logfile=old.arex.logfile,
    )
    service = replace(old.service, sendmail=new.service.sendmail, notify_command=new.service.notify_command)
    return replace(new, arex=kept, lrms=old.lrms, service=service)


def needs_restart(old: Configuration, new: Configuration) -> list[str]:
    """The options, such as ``[arex] logfile``, that differ and need a restart."""
    now = merged(old, new)
    blocks: tuple[tuple[str, Record, Record], ...] = (
        ("arex", now.arex, new.arex),
        ("lrms", now.lrms, new.lrms),
        ("arex/service", now.service, new.service),
    )
    return [
        f"[{name}] {each.name}"
        for name, ours, theirs in blocks
        for each in fields(ours)
        if getattr(ours, each.name) != getattr(theirs, each.name)
    ]
