"""The values from which a job script is built, in addition to the submission."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: Default command for the name of the node.
NODES_COMMAND: Final = "hostname -f"


class ScriptMode(StrEnum):
    """Where a job script runs, and what ends it."""

    BATCH = "batch"  #: under a batch system, on a node that sees the session directory
    SANDBOX = "sandbox"  #: on a node that does not: the batch system transfers the files (``lrms.jobscript.sandbox``)
    SUPERVISED = "supervised"  #: under a supervisor, which enforces limits and writes the completion record


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """A scratch directory on the nodes, in which each job gets its own."""

    text: str  #: its path there
    expands: bool = False  #: whether variables in it are expanded on the node
    movetool: str = "mv"  #: command that gets sources and a directory
    shared: str = ""  #: the same directory as the front end sees it; empty if it does not


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeScript:
    """A runtime environment as the job script embeds it."""

    name: str
    options: tuple[str, ...] = ()
    params: str = ""  #: shell assignments, run before the body
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What runtime environments have set on the front end, in addition to the job's options; empty: not set."""

    command: str = ""  #: shell words in place of the job's arguments
    instance: str = ""  #: image or machine that the job runs in, for the accounting
    benchmark: str = ""  #: for the accounting, in place of the site's
    scratch: str = ""  #: scratch directory of the node, with variables that are expanded there
    movetool: str = ""
    shared: str = ""  #: the scratch directories as the front end sees them
    multicore: bool = False  #: a scratch directory also for jobs that may have slots on several nodes
    docker_image: str = ""  #: of HTCondor's docker universe
    properties: tuple[str, ...] = ()  #: of the nodes that the job may go to


NOTHING_SETTLED: Final = Settled()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptSettings:
    """What does not depend on the job."""

    mode: ScriptMode = ScriptMode.BATCH
    interpreter: str = "/bin/sh"
    login: bool = False  #: read the profiles first, as a login shell does
    directives: tuple[str, ...] = ()  #: lines for the batch system, right after the first
    user_variable: str = ""  #: of the batch system, with the name of the account
    localid_words: str = ""  #: shell words that give the local id inside the job; empty under a supervisor
    benchmark: str = "HEPSPEC:1.0"
    nodes: tuple[str, ...] = ()  #: names of the nodes; empty: ``nodes_command`` is run there
    nodes_command: str = NODES_COMMAND  #: shell command that prints one name per line
    node_words: str = ""  #: shell words that give the names, in place of the command
    system: str | None = None  #: name of the operating system; None: the node's os-release
    scratch: Scratch | None = None  #: None: jobs run in their session directories

    @property
    def shell(self) -> str:
        """The interpreter and its options."""
        return "/bin/bash -l" if self.login else self.interpreter
