"""One line of ``.input``, ``.output`` or ``.output_status``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileEntry:
    """
    A file of a job, named relative to its session directory.

    ``lfn`` with a colon is a URL that the service stages. Input: empty means the client uploads,
    ``*.*`` is never waited for, ``SIZE``, ``SIZE.CRC`` and ``.CRC`` are an upload with verification.
    Output: empty means it stays for the client. ``pfn`` of ``/`` in the inputs marks ClientDataPush,
    ``/@name`` in the outputs a list that the job itself writes.
    """

    pfn: str  #: starts with "/"
    lfn: str = ""
    credential: str = ""  #: absolute path of a credential file

    @property
    def remote(self) -> bool:
        return ":" in self.lfn
