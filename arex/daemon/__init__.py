"""The daemon of a control directory: its lock, its pid file, its status file, starting and stopping."""

from __future__ import annotations

from arex.daemon.code import fingerprint
from arex.daemon.control import remove_pidfile, seclude, stop, wait_ready, write_pidfile
from arex.daemon.lock import LOCK, UNKNOWN_PID, Lock, holder
from arex.daemon.served import Served, adopt, differences, parse_served, served
from arex.daemon.status import STATUS, Snapshot, read_snapshot, write_snapshot

__all__ = [
    "LOCK",
    "STATUS",
    "UNKNOWN_PID",
    "Lock",
    "Served",
    "Snapshot",
    "adopt",
    "differences",
    "fingerprint",
    "holder",
    "parse_served",
    "read_snapshot",
    "remove_pidfile",
    "seclude",
    "served",
    "stop",
    "wait_ready",
    "write_pidfile",
    "write_snapshot",
]
