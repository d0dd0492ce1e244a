"""Ids of jobs in arex and in the batch system, and the tag that connects the two."""

from __future__ import annotations

import os
import re
from typing import Final, NewType

from arex.errors import UnsafePath

JobId = NewType("JobId", str)
LocalId = NewType("LocalId", str)

#: Identifies one attempt to submit a job; the batch system stores it, so that ``find`` can search for it.
Tag = NewType("Tag", str)

ALPHABET: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#: Length of the job ids that ARC 6 clients create.
ID_LENGTH: Final = 54
#: ARC 6 reads at most 64 bytes for an id from gm.fifo, including the NUL.
MAX_LENGTH: Final = 63

_LEGAL: Final = re.compile(r"[A-Za-z0-9_.+=@-]{1,63}", re.ASCII)


def new_job_id() -> JobId:
    """A random id in the format of ARC 6: 54 letters and digits, without any meaning."""
    return _id_of(int.from_bytes(os.urandom(41)))  # the module secrets takes milliseconds to import


def job_id_of(token: str, number: int) -> JobId:
    """The id of job ``number``, from 0, of a submission to which the client has given a token: always the same."""
    import hashlib  # noqa: PLC0415 - few submissions have a token

    digest = hashlib.sha512(f"{number} {token}".encode("utf-8", "surrogateescape")).digest()
    return _id_of(int.from_bytes(digest, "big"))


def _id_of(number: int) -> JobId:
    letters = []
    for _ in range(ID_LENGTH):
        number, digit = divmod(number, 62)
        letters.append(ALPHABET[digit])
    return JobId("".join(letters))


def new_tag(job: JobId) -> Tag:
    """A new tag for one attempt; a rerun of the job gets a different one."""
    return Tag(f"{job}-{os.urandom(4).hex()}")


def is_job_id(text: str) -> bool:
    """Whether this is a valid job id: one printable path component without special meaning in shells and paths."""
    return _LEGAL.fullmatch(text) is not None and not text.startswith(".")


def job_id(text: str) -> JobId:
    """
    Check an id from outside arex.

    Raises:
        UnsafePath: it could lead out of the control directory, or is too long for a gm.fifo message.
    """
    if not is_job_id(text):
        raise UnsafePath(f"not a job id: {text[:80]!r}")
    return JobId(text)
