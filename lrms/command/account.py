"""The account that the jobs of this service belong to."""

from __future__ import annotations

import os
import pwd


def account_name() -> str:
    """Name of the account of this process, independent of the environment; empty if it cannot be found out."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""
