"""
The Python API: submit jobs to the service on this host, follow them, and fetch their results.

``Client`` blocks, ``AsyncClient`` is its form for asyncio. Both only use the control directory of the service, so they
need no server and no port. The names in this module stay; everything else in arex may change.
"""

from arex.client.aio import AsyncClient, AsyncJob
from arex.client.blocking import Client, Job
from arex.errors import (
    ArexError,
    ConfigError,
    ControlDirError,
    JobDescriptionError,
    JobRefused,
    NoSuchJob,
    NotServed,
    NotYourJob,
)
from arex.jobdesc import JobDescription
from arex.model.reason import Reason, ReasonKind
from plugins.local.session import Fetched, SessionEntry, TargetExists
from plugins.local.status import ClientState, JobStatus
from plugins.local.submission import Refused, Submitted
from plugins.local.view import Output

__all__ = [
    "ArexError",
    "AsyncClient",
    "AsyncJob",
    "Client",
    "ClientState",
    "ConfigError",
    "ControlDirError",
    "Fetched",
    "Job",
    "JobDescription",
    "JobDescriptionError",
    "JobRefused",
    "JobStatus",
    "NoSuchJob",
    "NotServed",
    "NotYourJob",
    "Output",
    "Reason",
    "ReasonKind",
    "Refused",
    "SessionEntry",
    "Submitted",
    "TargetExists",
]
