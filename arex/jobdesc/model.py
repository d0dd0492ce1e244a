"""A job as its owner described it, whatever the language of the description."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from arex.errors import JobDescriptionError


class DescriptionDialect(StrEnum):
    """Who reads a description. This decides about units, defaults and the attributes that count."""

    USER = "user"  #: a client reads its user's file: periods in minutes, local files, ``join``
    GRIDMANAGER = "gridmanager"  #: the service reads what a client wrote: plain seconds


class Creation(StrEnum):
    """What an upload does with a file that is there already; spelled as in ADL."""

    UNSET = ""
    OVERWRITE = "overwrite"
    APPEND = "append"
    DONT_OVERWRITE = "dontOverwrite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """
    Something without an effect, or with another effect than was meant; lines and columns count from 1.

    Some remarks can only be about a mistake. They have a text as an error, for people; scripts get them as warnings.
    """

    what: str
    line: int | None = None
    column: int | None = None
    suggestion: str = ""  #: the name that was probably meant
    source: str = ""  #: name of the file
    excerpt: str = ""  #: the line
    error: str = ""  #: what is wrong, if it is a mistake of the user; empty: never more than a warning

    def __str__(self) -> str:
        return str(self._as_error())

    def explained(self) -> str:
        """The same on several lines, with the place in the text."""
        return self._as_error().explained()

    def _as_error(self) -> JobDescriptionError:
        return self._with(self.what)

    def as_mistake(self) -> JobDescriptionError:
        """The error that a strict submission raises for it."""
        return self._with(self.error or self.what)

    def _with(self, what: str) -> JobDescriptionError:
        return JobDescriptionError(
            what, self.line, self.column, self.source, excerpt=self.excerpt, suggestion=self.suggestion
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPlace:
    """Where an attribute is in the text of a description; ``item`` is the file or the environment, if it has many."""

    attribute: str  #: its name in xRSL
    line: int
    column: int | None = None
    item: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A remote URL with its default port, options apart and in order of name; or a local path of the client."""

    url: str = ""
    options: tuple[tuple[str, str], ...] = ()
    delegationid: str = ""
    locations: tuple[str, ...] = ()  #: URLs of the same file elsewhere

    def option(self, name: str) -> str:
        return dict(self.options).get(name, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(Location):
    """Where an output goes, and after what kind of end."""

    mandatory: bool = False
    creation: Creation = Creation.UNSET
    if_success: bool = True
    if_failure: bool = False
    if_cancel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """No source: the client uploads it. ``announced`` is ``SIZE``, ``SIZE.CRC``, ``.CRC`` or ``*.*`` of that upload."""

    name: str
    sources: tuple[Location, ...] = ()
    executable: bool = False
    announced: str = ""
    pattern: bool = False  #: the source is a wildcard for files of the client, and the name says nothing yet


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """No target: it stays in the session directory for the client."""

    name: str
    targets: tuple[Target, ...] = ()
    #: where the user wants it on the client's host, with a path instead of a URL; ARC's clients ignore it
    local: Target | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """A name, a version and how the version must compare; ``version`` may be empty."""

    name: str
    version: str = ""
    family: str = ""
    relation: str = "="
    options: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        return "-".join(filter(None, (self.family, self.name, self.version)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that runs before or after the job: a script of the client starts it, no service does."""

    path: str = ""
    arguments: tuple[str, ...] = ()
    exit_code: int | None = None  #: that counts as success


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """How a parallel job starts its processes."""

    type: str = ""
    version: str = ""
    processes_per_slot: int | None = None
    threads_per_process: int | None = None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """
    Mail to one recipient at some states: letters of ``abqfecd`` as in ``.local``.

    A blank stands for a part of PROCESSING: no mail is sent then, and ARC's clients show ACCEPTED instead.
    """

    recipient: str
    states: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLogging:
    """An accounting service that gets a usage record of the job."""

    url: str
    type: str = "SGAS"
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a job asks for; None is not asked. Seconds and megabytes (2**20 bytes)."""

    operating_systems: tuple[Software, ...] = ()
    platform: str = ""
    middleware: tuple[Software, ...] = ()
    runtimes: tuple[Software, ...] = ()
    parallel: Parallel | None = None
    node_access: str = ""  #: inbound, outbound or inoutbound
    memory_mb: int | None = None  #: per slot
    virtualmemory_mb: int | None = None
    disk_mb: int | None = None
    session_access: bool = False
    slots: int | None = None
    slots_per_host: int | None = None
    exclusive: bool | None = None
    queue: str = ""
    coprocessor: str = ""
    coprocessor_optional: bool = False
    excluded_queues: tuple[str, ...] = ()  #: ``queue !=``, for the choice of a target only
    single_cputime_s: int | None = None  #: of one slot
    cputime_s: int | None = None  #: of all slots
    walltime_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDescription:
    """One job. Strings are as written: quoting is gone, nothing is expanded; empty means not given."""

    name: str = ""
    summary: str = ""  #: free text about the job
    type: str = ""
    annotations: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()  #: of the submitter, see ``arex.model.labels``
    activity_ids: tuple[str, ...] = ()  #: ids that this job had elsewhere

    executable: str = ""  #: empty: a job that only moves data
    arguments: tuple[str, ...] = ()
    exit_code: int | None = None  #: that counts as success
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    #: further variables, whose values refer to others (``$NAME``): a script of the client expands them on the node
    expanded: tuple[tuple[str, str], ...] = ()
    gmlog: str = ""
    rerun: int | None = None
    priority: int | None = None  #: up to 100; 0 is the same as none
    dryrun: bool = False
    remote_logging: tuple[RemoteLogging, ...] = ()
    expiration: datetime | None = None
    lifetime_s: int | None = None
    notifications: tuple[Notification, ...] = ()
    start_time: datetime | None = None
    acl: str = ""  #: an XML document
    action: str = ""  #: what a service has to do: only "request", which is the same as empty
    credential_services: tuple[str, ...] = ()

    resources: Resources = field(default_factory=Resources)

    delegationid: str = ""
    client_data_push: bool = False
    inputs: tuple[InputFile, ...] = ()
    outputs: tuple[OutputFile, ...] = ()

    before: tuple[Program, ...] = ()
    after: tuple[Program, ...] = ()
    alternatives: tuple[JobDescription, ...] = ()  #: other ways to run the same job, after this one

    requirements: str = ""  #: what a service must be like, in JDL; what other fields say is not repeated
    rank: str = ""  #: which service is the best, in JDL
    unused: tuple[tuple[str, str], ...] = ()  #: attributes of JDL without effect here, and their values in JDL
    #: remarks for the user on a text that was parsed
    warnings: tuple[Remark, ...] = field(default=(), compare=False, repr=False)
    places: tuple[TextPlace, ...] = field(default=(), compare=False, repr=False)  #: of its attributes in ``text``
    text: str | bytes = field(default="", compare=False, repr=False)  #: of the user, from which it was parsed

    @property
    def unsupported(self) -> tuple[str, ...]:
        """Requested features that no service supports, by their ADL names."""
        asked = {
            "PreExecutable": self.before,
            "PostExecutable": self.after,
            "Coprocessor": self.resources.coprocessor,
        }
        return tuple(name for name, wish in asked.items() if wish)
