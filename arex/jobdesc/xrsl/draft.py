"""A job whose description is still being parsed."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, fields
from datetime import datetime

from arex.jobdesc.model import (
    InputFile,
    JobDescription,
    Notification,
    OutputFile,
    Remark,
    RemoteLogging,
    Resources,
    Software,
    TextPlace,
)
from arex.jobdesc.xrsl.attribute import Attribute


@dataclass(slots=True)
class Draft:
    """What the attributes so far have set; the names and the meaning of None are those of the model."""

    executable: str = ""
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    gmlog: str = ""
    name: str = ""
    platform: str = ""
    delegationid: str = ""
    queue: str = ""
    acl: str = ""
    action: str = ""
    node_access: str = ""
    rerun: int | None = None
    priority: int | None = None
    memory_mb: int | None = None
    disk_mb: int | None = None
    slots: int | None = None
    slots_per_host: int | None = None
    cputime_s: int | None = None
    walltime_s: int | None = None
    lifetime_s: int | None = None
    start_time: datetime | None = None
    dryrun: bool = False
    exclusive: bool | None = None
    arguments: list[str] = field(default_factory=list)
    environment: list[tuple[str, str]] = field(default_factory=list)
    excluded_queues: list[str] = field(default_factory=list)
    runtimes: list[Software] = field(default_factory=list)
    systems: list[Software] = field(default_factory=list)
    middleware: list[Software] = field(default_factory=list)
    remote_logging: list[RemoteLogging] = field(default_factory=list)
    credential_services: list[str] = field(default_factory=list)
    notifications: dict[str, str] = field(default_factory=dict)  #: recipients and their states
    inputs: list[InputFile] = field(default_factory=list)
    outputs: list[OutputFile] = field(default_factory=list)
    late: dict[str, Attribute] = field(default_factory=dict)  #: attributes that are applied at the end
    places: dict[tuple[str, str], TextPlace] = field(default_factory=dict)  #: by attribute and item

    def copy(self) -> Draft:
        """An independent copy."""
        other = Draft()
        for each in fields(self):
            value = getattr(self, each.name)
            setattr(other, each.name, copy(value))
        return other

    def finish(self, alternatives: tuple[JobDescription, ...], warnings: tuple[Remark, ...]) -> JobDescription:
        return JobDescription(
            name=self.name,
            executable=self.executable,
            arguments=tuple(self.arguments),
            stdin=self.stdin,
            stdout=self.stdout,
            stderr=self.stderr,
            environment=tuple(self.environment),
            gmlog=self.gmlog,
            rerun=self.rerun,
            priority=self.priority,
            dryrun=self.dryrun,
            remote_logging=tuple(self.remote_logging),
            lifetime_s=self.lifetime_s,
            notifications=tuple(Notification(recipient=who, states=when) for who, when in self.notifications.items()),
            start_time=self.start_time,
            acl=self.acl,
            action=self.action,
            credential_services=tuple(self.credential_services),
            resources=self._resources(),
            delegationid=self.delegationid,
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
            alternatives=alternatives,
            warnings=warnings,
            places=tuple(self.places.values()),
        )

    def _resources(self) -> Resources:
        return Resources(
            operating_systems=tuple(self.systems),
            platform=self.platform,
            middleware=tuple(self.middleware),
            runtimes=tuple(self.runtimes),
            node_access=self.node_access,
            memory_mb=self.memory_mb,
            disk_mb=self.disk_mb,
            slots=self.slots,
            slots_per_host=self.slots_per_host,
            exclusive=self.exclusive,
            queue=self.queue,
            excluded_queues=tuple(self.excluded_queues),
            cputime_s=self.cputime_s,
            walltime_s=self.walltime_s,
        )


def note_rows(drafts: list[Draft], a: Attribute, rows: list[tuple[int, list[str]]]) -> None:
    """Files are many, so only users pay for their places."""
    if a.by_user:
        for at, row in rows:
            note(drafts, a, at, row[0])


def note(drafts: list[Draft], a: Attribute, at: int, item: str = "") -> None:
    """Remember where an attribute is, or one of its items."""
    line, column = a.source.place(at)
    place = TextPlace(attribute=a.name, line=line, column=column, item=item)
    for draft in drafts:
        draft.places[a.name, item] = place
