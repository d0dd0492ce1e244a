"""Names and sentences of ARC that its clients compare with: spelled as ARC 6.17 spells them."""

from __future__ import annotations

from typing import Final

#: The interface of jobs that come through LOCAL.
LOCAL_INTERFACE: Final = "org.nordugrid.internal"
#: What ``-S``, ``-T`` and lists of jobs may call it; the first name is ours.
LOCAL_NAMES: Final = ("local", "org.nordugrid.local", LOCAL_INTERFACE, "internal")
#: The runtime environment that gives a job its credential.
WITH_PROXY: Final = "ENV/PROXY"
#: The line in ``.failed`` of a job that was cancelled.
CANCELLED: Final = "Job is canceled by external request"
