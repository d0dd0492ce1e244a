"""The objects that client commands use: configuration, plugin and list of jobs, each created on first use."""

from __future__ import annotations

import contextlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from arex.cli.output import printable, remark
from arex.config.load import load
from arex.config.model import Configuration
from plugins.local import LocalPlugin

if TYPE_CHECKING:
    from arex.userjobs.history import JobHistory
    from arex.userjobs.joblist import JobList

_ERROR, _INFO = 1, 3


class Site:
    """The objects that a command uses."""

    def __init__(self, config: Path | None = None, joblist: Path | None = None, debug: int = 2) -> None:
        self._path = config
        self._joblist = joblist
        self._debug = debug

    @cached_property
    def config(self) -> Configuration:
        config, warnings = load(self._path)
        if self._debug >= _INFO:
            for fault in warnings:
                remark(f"WARNING: {fault}")
        return config

    @cached_property
    def plugin(self) -> LocalPlugin:
        return LocalPlugin(self.config)

    @cached_property
    def joblist(self) -> JobList:
        # importing sqlite takes as long as the rest of a command
        from arex.userjobs.joblist import JobList, default_path  # noqa: PLC0415

        return JobList(self._joblist or default_path())

    @property
    def talkative(self) -> bool:
        """Whether the user asked for more than warnings."""
        return self._debug >= _INFO

    @property
    def joblist_is_missing(self) -> bool:
        """Whether an option names a list of jobs that does not exist; the usual one is made when it is needed."""
        return self._joblist is not None and not self._joblist.exists()

    @cached_property
    def history(self) -> JobHistory:
        from arex.userjobs.history import JobHistory, path_beside  # noqa: PLC0415 - as above

        return JobHistory(path_beside(self.joblist.path))

    @property
    def program(self) -> str:
        context = click.get_current_context(silent=True)
        return context.info_name or "arcsub" if context else "arcsub"

    def error(self, text: str, *more: str) -> None:
        """Print an error, and ``more`` as additional lines."""
        if self._debug >= _ERROR:
            remark("\n".join((f"ERROR: {printable(text)}", *map(printable, more))))

    def warn(self, text: str, *more: str) -> None:
        if self._debug > _ERROR:
            remark("\n".join((f"WARNING: {printable(text)}", *map(printable, more))))

    def mention_daemon(self) -> None:
        """Warn if no service is running, since jobs then wait, or if it cannot be notified."""
        if self.plugin.served:
            return
        from arex import daemon  # noqa: PLC0415 - needed only here

        pid = None
        with contextlib.suppress(OSError):
            pid = daemon.holder(self.config.arex.controldir)
        if pid is not None:
            self.warn("the service could not be notified (gm.fifo): it finds jobs and requests at its next scan")
        else:
            self.warn(
                f"no service is running for {self.config.arex.controldir}: jobs wait until it is started ('arex start')"
            )
