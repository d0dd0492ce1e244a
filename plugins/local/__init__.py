"""LOCAL: submit, show and manage jobs on this host; the Python API is ``LocalPlugin``."""

from plugins.local.plugin import LocalPlugin

__all__ = ["LocalPlugin"]
