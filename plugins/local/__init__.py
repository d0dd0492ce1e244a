"""LOCAL: how jobs of this host come in, and what their owner sees and does; the Python API is ``LocalPlugin``."""

from plugins.local.plugin import LocalPlugin

__all__ = ["LocalPlugin"]
