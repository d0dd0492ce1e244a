"""Why a job has failed, from its files: collects what ``arex.diagnosis.ending`` needs."""

from __future__ import annotations

import os
from typing import Final

from arex.controldir import atomic, codec, confined_fs
from arex.controldir.session import SessionFiles
from arex.controldir.store import ControlDir
from arex.diagnosis.accounting import Accounting
from arex.diagnosis.ending import EndedJob, why_ended
from arex.errors import ArexError, CorruptFile
from arex.jobdesc.control.grami import parse_grami
from arex.model.grami import Grami
from arex.model.ids import JobId
from arex.model.reason import Reason

_FIRST_LINE: Final = 256
#: Exit codes of a shell that cannot execute a command.
_NOT_EXECUTED: Final = frozenset({126, 127})


def read_evidence(session: SessionFiles) -> list[tuple[str, str]]:
    """
    The latest evidence about the end of a job; empty if there is none yet. See ``gm/publishing/evidence``.

    Raises:
        OSError, CorruptFile: it cannot be read; the payload can write there.
    """
    lines = codec.decode(atomic.read(str(session.evidence)) or b"").splitlines()
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]


def why_failed(
    store: ControlDir, job: JobId, *, failure: str, lrms: str, session: SessionFiles | None, used: Accounting,
) -> Reason | None:  # fmt: skip
    """The reason of failure in plain words; ``failure`` is the content of ``.failed``, ``lrms`` the batch system."""
    grami = requested(store, job)
    program, interpreter = ("", "")
    if used.exit_code in _NOT_EXECUTED and session is not None and grami is not None and grami.args:
        program, interpreter = _windows_script(session, grami.args[0])
    return why_ended(
        EndedJob(
            failure=failure, batch_system=lrms, ended=used.ended,
            evidence={} if session is None else _evidence(session), limits=grami,
            wall_s=used.wall_s, cpu_s=used.cpu_s, memory_kb=used.memory_kb, crlf=program, interpreter=interpreter,
        )
    )  # fmt: skip


def requested(store: ControlDir, job: JobId) -> Grami | None:
    """What the job has asked for; None before its submission to the batch system, or if it cannot be read."""
    try:
        data = store.read(job, "grami")
        return None if data is None else parse_grami(data)
    except (CorruptFile, OSError):
        return None


def _evidence(session: SessionFiles) -> dict[str, str]:
    try:
        return dict(read_evidence(session))
    except (OSError, CorruptFile):  # the payload can write there
        return {}


def _windows_script(session: SessionFiles, program: str) -> tuple[str, str]:
    """A script whose first line ends with a carriage return, and its interpreter; two empty texts for others."""
    name = program.removeprefix("./")
    if name.startswith("/"):
        return "", ""
    try:
        fd = confined_fs.open_file(session.path, name)
    except (OSError, ArexError):
        return "", ""
    try:
        first = os.read(fd, _FIRST_LINE).split(b"\n", 1)[0]
    finally:
        os.close(fd)
    if not first.startswith(b"#!") or not first.endswith(b"\r"):
        return "", ""
    return name, first[2:].strip().decode("utf-8", "replace").partition(" ")[0]
