"""The objects that client commands use: configuration, plugin and list of jobs, each created on first use."""

from __future__ import annotations

import contextlib
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from arex.cli import access
from arex.cli.output import printable, remark
from arex.config.load import load, load_despite_faults
from arex.config.model import Configuration
from plugins.local import LocalPlugin

if TYPE_CHECKING:
    from arex.userjobs.history import JobHistory
    from arex.userjobs.joblist import JobList

_ERROR, _INFO = 1, 3
#: Commands that make jobs, which need more of the configuration than the directories.
_SUBMIT: Final = frozenset({"arcsub", "arcrun", "arctest"})


class Site:
    """The objects that a command uses."""

    def __init__(self, config: Path | None = None, joblist: Path | None = None, debug: int = 2) -> None:
        self._path = config
        self._joblist = joblist
        self._debug = debug

    @cached_property
    def config(self) -> Configuration:
        """
        The configuration; with that of the running service, where clients and service have to agree.

        Raises:
            ConfigError: the file has faults, and the command needs what they may hide.
            ServiceError: the control directory cannot be used, or a named file contradicts the running service.
        """
        config, warnings, faults = load_despite_faults(self._path)
        if self._debug >= _INFO:
            remark(f"INFO: configuration: {config.source or 'none found, using the defaults'}")
            for fault in warnings:
                remark(f"WARNING: {fault}")
        agreed = self._agreed(config, is_faulty=bool(faults))
        if faults:
            more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
            self.warn(f"{faults[0]}{more}; using the rest of the file (see 'arex config check')")
        return agreed

    def _agreed(self, config: Configuration, *, is_faulty: bool) -> Configuration:
        """The configuration after a comparison with the running service, if there is one."""
        submits = self.program in _SUBMIT
        if not access.is_usable(config, writing=submits):
            raise access.refusal(config, is_named=self._is_named)
        agreed = None
        if (config.arex.controldir / "arex.status").exists():
            from arex.cli.agreement import agree  # noqa: PLC0415 - where a service has run

            agreed = agree(config, is_named=self._is_named, submits=submits)
        if agreed is None:
            if is_faulty and submits:
                load(self._path)  # raises all faults
            return config
        if agreed.remark and self._debug >= _INFO:
            remark(f"INFO: {printable(agreed.remark)}")
        return agreed.config

    @property
    def _is_named(self) -> bool:
        """Whether the user has named the configuration file."""
        return self._path is not None or bool(os.environ.get("ARC_CONFIG"))

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

    def mention_daemon(self, then: str = "jobs wait until it is started") -> None:
        """Warn if no service is running, and what ``then`` happens, or if it cannot be notified."""
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
                f"no service is running for {self.config.arex.controldir}: {then} ('arex start'){self._of_root()}"
            )

    def _of_root(self) -> str:
        """What root should know, whose jobs wait where only a service of root finds them."""
        if os.geteuid() != 0:
            return ""
        return (
            ". You are root: this control directory is root's own, and arex does not run as root unless you allow it "
            "('arex start --allow-root')"
        )
