"""Settings of a backend over commands that do not depend on the batch system."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from arex.config.model import Configuration
from lrms.command.dialect import Dialect
from lrms.jobscript.runtimes import RuntimeSettings
from lrms.jobscript.scratch import scratch_of
from lrms.jobscript.settings import NODES_COMMAND, ScriptMode, ScriptSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings:
    """Times in seconds."""

    roots: tuple[Path, ...]  #: session roots
    script: ScriptSettings = field(default_factory=ScriptSettings)
    timeout_s: float = 60.0  #: of one command
    queries_per_minute: int = 30  #: at most
    record_wait_s: float = 120.0  #: how long a completion record may be missing, and how long a job
    array: bool = True
    array_most: int = 1000
    runtimes: RuntimeSettings = field(default_factory=RuntimeSettings)

    @classmethod
    def of(cls, config: Configuration) -> CommandSettings:
        """
        Raises:
            ConfigError: see ``lrms.jobscript.scratch.scratch_of``.
        """
        service = config.service
        script = ScriptSettings(
            login=service.login_shell,
            benchmark=config.lrms.benchmark.replace(" ", ":"),
            scratch=scratch_of(config),
        )
        if config.lrms.nodename:
            script = replace(script, nodes_command=config.lrms.nodename)
        return cls(
            roots=tuple(entry.path for entry in config.arex.sessiondir),
            script=script,
            timeout_s=service.lrms_timeout.total_seconds(),
            queries_per_minute=service.lrms_calls,
            record_wait_s=service.record_wait.total_seconds(),
            array=service.array,
            array_most=service.array_most,
            runtimes=RuntimeSettings.of(config),
        )

    def script_for(self, dialect: Dialect, mode: ScriptMode) -> ScriptSettings:
        """The settings of job scripts, completed by the dialect: shell, local id, name of the node."""
        script = replace(
            self.script,
            mode=mode,
            interpreter=dialect.interpreter,
            user_variable=dialect.user_variable,
            localid_words=dialect.localid_words,
        )
        if dialect.node_words and script.nodes_command == NODES_COMMAND:
            return replace(script, node_words=dialect.node_words)
        return script

    def together(self, dialect: Dialect) -> int:
        """The largest number of jobs in one submission."""
        if not self.array:
            return 1
        if dialect.array is not None:
            return min(self.array_most, dialect.array.most)
        return self.array_most if dialect.clusters else 1
