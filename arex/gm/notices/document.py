"""What ``notify_command`` gets about a job: a JSON document with the names of ``arcstat --json``, and variables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from arex.controldir import codec
from arex.gm.notices.facts import Entered, JobFacts
from arex.model import labels


def document(entered: Entered, facts: JobFacts) -> bytes:
    """One line of ASCII, whatever characters are in the names."""
    local, used, reason = entered.local, facts.used, facts.reason
    job = {
        "id": entered.job,
        "name": entered.name if local.jobname else "",
        "state": entered.outcome,
        "reason": None if reason is None else {**asdict(reason), "since": _time(reason.since)},
        "failure": entered.failure,
        "exit_code": used.exit_code,
        "submitted": _time(local.starttime),
        "started": _time(used.started),
        "ended": _time(used.ended or entered.at),
        "erased": _time(local.cleanuptime),
        "wall_s": used.wall_s,
        "cpu_s": used.cpu_s,
        "memory_kb": used.memory_kb,
        "lrms": local.lrms or "",
        "queue": local.queue or "",
        "localid": local.localid or "",
        "sessiondir": str(entered.session),
        "owner": local.subject or "",
        "labels": labels.of(local),
    }
    return json.dumps(job).encode("ascii") + b"\n"


def variables(entered: Entered) -> Mapping[str, str]:
    """The environment variables for commands that do not parse JSON."""
    return {
        "AREX_JOB_ID": entered.job,
        "AREX_JOB_NAME": entered.name if entered.local.jobname else "",
        "AREX_JOB_STATE": entered.outcome,
        "AREX_JOB_SESSION": str(entered.session),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else codec.iso_time(moment)
