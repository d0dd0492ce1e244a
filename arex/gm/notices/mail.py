"""The mail about a job, as text for ``sendmail -oi -t``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from email.charset import QP, Charset
from email.header import Header
from email.mime.nonmultipart import MIMENonMultipart
from typing import Final

from arex.diagnosis.ending import shown_seconds
from arex.gm.notices.facts import EndState, Entered, JobFacts, one_line
from arex.model.state import State

_LONGEST_SUBJECT: Final = 500
_WORDS: Final[Mapping[State, str]] = {
    State.PREPARING: "is being prepared",
    State.INLRMS: "is in the batch system",
    State.FINISHING: "has ended, its results are being transferred",
    State.CANCELING: "is being canceled",
    State.DELETED: "was removed, because its lifetime is over",
}


def message(entered: Entered, facts: JobFacts, address: str, hostname: str) -> bytes:
    """
    One mail to one address, with its headers.

    ``address`` must have passed ``is_address``. The account of the service is the sender, which the mail system fills
    in.
    """
    # EmailMessage would decode a name in the form of an encoded word, whose line breaks would then begin headers
    mail = MIMENonMultipart("text", "plain")
    happened = _happened(entered, facts)
    mail["Subject"] = _subject(f"arex: {entered.name} {happened}"[:_LONGEST_SUBJECT])
    mail["To"] = address
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: vacation programs do not answer
    mail["X-Arex-Job"] = entered.job
    lines = [f"The job {entered.name} {happened}.", "", *_table(entered, facts, hostname)]
    if entered.state is State.FINISHED:
        lines += ["", *_advice(entered)]
    lines += ["", f"arex on {hostname} sends this mail because the description of the job asks for it (notify)."]
    charset = Charset("utf-8")
    charset.body_encoding = QP  # not every server takes 8 bits, or long lines
    mail.set_payload("\n".join(lines) + "\n", charset)
    return mail.as_bytes()


def _subject(text: str) -> str:
    """The text as one folded header (RFC 2047); what looks like an encoded word is encoded too."""
    charset = "us-ascii" if text.isascii() and "=?" not in text else "utf-8"
    return Header(text, charset, header_name="Subject").encode()


def _happened(entered: Entered, facts: JobFacts) -> str:
    if entered.state is not State.FINISHED:
        return _WORDS[entered.state]
    why = one_line(facts.reason.text) if facts.reason is not None else ""
    match entered.outcome:
        case EndState.FINISHED:
            return "finished"
        case EndState.KILLED:
            return f"killed: {why}"
        case EndState.FAILED:
            return f"failed: {why}"


def _table(entered: Entered, facts: JobFacts, hostname: str) -> Iterator[str]:
    for name, text in _facts(entered, facts, hostname):
        if text:
            yield f"{name + ':':<14}{one_line(text)}"


def _facts(entered: Entered, facts: JobFacts, hostname: str) -> Iterator[tuple[str, str]]:
    local, used = entered.local, facts.used
    yield "Job id", entered.job
    yield "Queue", local.queue or ""
    yield "Batch system", " ".join(filter(None, (local.lrms, local.localid)))
    yield "Submitted", _time(local.starttime)
    yield "Started", _time(used.started)
    if entered.state is not State.FINISHED:
        yield "Time", _time(entered.at)
        return
    yield "Ended", _time(used.ended or entered.at)
    yield "Exit code", "" if used.exit_code is None else str(used.exit_code)
    yield "Wall time", "" if used.wall_s is None else shown_seconds(used.wall_s)
    yield "CPU time", "" if used.cpu_s is None else shown_seconds(used.cpu_s)
    yield "Memory", "" if used.memory_kb is None else f"{-(-used.memory_kb // 1024)} MB"
    yield "Results", f"{hostname}:{entered.session}"
    yield "Kept until", _time(local.cleanuptime)


def _advice(entered: Entered) -> Iterator[str]:
    yield f"Fetch the results:  arcget {entered.job}"
    if entered.outcome is not EndState.FINISHED:
        yield f"See what happened:  arcstat -l {entered.job}"


def _time(moment: datetime | None) -> str:
    """In the time zone of this host, with its name."""
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S %Z}"
