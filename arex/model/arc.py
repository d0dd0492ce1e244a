"""Names and texts that ARC's clients compare, spelled as in ARC 6.17."""

from __future__ import annotations

from typing import Final

#: Interface name of jobs that were submitted through LOCAL.
LOCAL_INTERFACE: Final = "org.nordugrid.internal"
#: Names of this interface that ``-S``, ``-T`` and lists of jobs may contain; arex uses the first one.
LOCAL_NAMES: Final = ("local", "org.nordugrid.local", LOCAL_INTERFACE, "internal")
#: The runtime environment that gives a job its credential.
WITH_PROXY: Final = "ENV/PROXY"
#: The line in ``.failed`` of a cancelled job.
CANCELLED: Final = "Job is canceled by external request"
