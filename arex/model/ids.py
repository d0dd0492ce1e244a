"""Names of jobs: ours, the batch system's, and the tag that ties the two together."""

from __future__ import annotations

import re
import secrets
import string
from typing import Final, NewType

from arex.errors import UnsafePath

JobId = NewType("JobId", str)
LocalId = NewType("LocalId", str)

#: Names one attempt to submit one job; the batch system shows it to ``find``.
Tag = NewType("Tag", str)

ALPHABET: Final = string.ascii_letters + string.digits
#: Length of the ids that the clients of ARC 6 make.
ID_LENGTH: Final = 54
#: The reader of gm.fifo in ARC 6 keeps 64 bytes of an id.
MAX_LENGTH: Final = 63

_LEGAL: Final = re.compile(r"[A-Za-z0-9_.+=@-]{1,63}", re.ASCII)


def new_job_id() -> JobId:
    """An id of ARC 6's shape: 54 letters and digits; nothing decodes it, so it is random."""
    number = secrets.randbits(54 * 6)
    letters = []
    for _ in range(ID_LENGTH):
        number, digit = divmod(number, 62)
        letters.append(ALPHABET[digit])
    return JobId("".join(letters))


def new_tag(job: JobId) -> Tag:
    """A tag for one attempt; a rerun of the same job gets another."""
    return Tag(f"{job}-{secrets.token_hex(4)}")


def is_job_id(text: str) -> bool:
    """Whether this can be a job id: one path component, printable, nothing a shell or a path would act on."""
    return _LEGAL.fullmatch(text) is not None and not text.startswith(".")


def job_id(text: str) -> JobId:
    """
    Check an id that came from outside.

    Raises:
        UnsafePath: it could lead out of the control directory, or does not fit a gm.fifo message.
    """
    if not is_job_id(text):
        raise UnsafePath(f"not a job id: {text[:80]!r}")
    return JobId(text)
