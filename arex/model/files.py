"""One entry of ``.input``, ``.output`` or ``.output_status``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileEntry:
    """
    A file of a job, named relative to its session directory.

    An ``lfn`` with a colon is a URL; the service transfers the file.

    Without a colon, an input is uploaded by the client: an empty ``lfn`` has no checks, ``SIZE``, ``SIZE.CRC`` or
    ``.CRC`` are verified, and the service does not wait for ``*.*``. An output with an empty ``lfn`` stays in the
    session directory for the client.

    Special names: the input ``/`` stands for ClientDataPush; an output ``/@name`` is a list of outputs that the job
    writes.
    """

    pfn: str  #: starts with "/"
    lfn: str = ""
    credential: str = ""  #: absolute path of a credential file

    @property
    def remote(self) -> bool:
        return ":" in self.lfn
