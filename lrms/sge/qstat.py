"""What qstat of Grid Engine says about jobs, as XML. Source: qstat(1), sge_status(5) of Grid Engine 8.1.9."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from arex.errors import UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase
from arex.process import Completed
from lrms.command.dialect import Seen, no_answer, unknown_state

DOWN: Final = re.compile(
    r"commlib error|unable to (contact|send message|initialize|connect)|got (send|read|select) error|timeout|"
    r"error reading answer list|can't get .*qmaster|communication error",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
_NO_XML: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def listed(done: Completed) -> Mapping[LocalId, Seen]:
    """
    Every job and every child in the answer of ``qstat -xml``.

    Raises:
        BatchUnavailable: there is no answer, or it is invalid.
    """
    found: dict[LocalId, Seen] = {}
    for job in _xml(done, "job_info").iter("job_list"):
        number, state = job.findtext("JB_job_number", ""), job.findtext("state", "")
        if not number.isdecimal() or not state:
            raise UnreadableOutput(done.argv, done.code, ET.tostring(job, "unicode"))
        seen = _seen(job, state)
        for localid in _ids(number, job.findtext("tasks")):
            if localid not in found or found[localid].phase is Phase.ENDED:
                found[localid] = seen
    return found


def explained(done: Completed) -> Mapping[LocalId, Seen]:
    """
    The reasons of jobs in an error state, from ``qstat -xml -j``.

    Raises:
        BatchUnavailable: there is no answer, or it is invalid.
    """
    return dict(_reasons(_xml(done, "detailed_job_info", "unknown_jobs")))


def _xml(done: Completed, *roots: str) -> ET.Element:
    if done.code != 0:
        raise no_answer(done, DOWN)
    try:
        # qstat is the site's own, and expat bounds what entities can do
        tree = ET.fromstring(_NO_XML.sub("?", done.out))  # noqa: S314
    except ET.ParseError as exc:
        raise UnreadableOutput(done.argv, done.code, f"{exc}: {done.out[-500:]}") from exc
    if tree.tag not in roots:
        raise UnreadableOutput(done.argv, done.code, done.out)
    return tree


def _ids(number: str, tasks: str | None) -> Iterator[LocalId]:
    """``1,3,5-9:2``: the tasks that a line stands for."""
    if tasks is None:
        yield LocalId(number)
        return
    for part in tasks.split(","):
        if found := _RANGE.fullmatch(part.strip()):
            last = int(found[2] or found[1])
            yield from (LocalId(f"{number}.{n}") for n in range(int(found[1]), last + 1, int(found[3] or 1)))


def _seen(job: ET.Element, state: str) -> Seen:
    name = job.findtext("full_job_name", "") or job.findtext("JB_name", "")
    tag = name.rpartition("~")[2].replace("%", "@") if "~" in name else ""
    queue, _, node = job.findtext("queue_name", "").partition("@")
    started = moment(job.findtext("JAT_start_time", ""))
    failed = "E" in state and "d" not in state  # it could not start, and stays in the queue with its reason
    phase = _phase(state)
    return Seen(
        phase=phase,
        word=f"{state} ({queue})" if queue else state,
        tag=tag,
        nodes=(node,) if node else (),
        started=started,
        lingers=failed,
        vague=phase is Phase.ENDED,
        message="Grid Engine could not start it" if failed else "",
    )


def _phase(state: str) -> Phase:
    """The phase from the letters of a state, of which the most severe counts. Source: sge_status(5)."""
    letters = set(state)
    for wanted, phase in (
        ("d", Phase.EXITING),
        ("Ezx", Phase.ENDED),
        ("sSTPN", Phase.SUSPENDED),
        ("rt", Phase.RUNNING),
        ("h", Phase.HELD),
        ("qw", Phase.QUEUED),
    ):
        if letters & set(wanted):
            return phase
    unknown_state("Grid Engine", state)
    return Phase.OTHER


def _reasons(tree: ET.Element) -> Iterator[tuple[LocalId, Seen]]:
    """The reason of each task in an error state."""
    for job in tree.iterfind("djob_info/element"):
        number = job.findtext("JB_job_number", "")
        array = job.find("JB_ja_structure/task_id_range/RN_max")
        for task in job.iterfind("JB_ja_tasks/*"):
            said = [each for each in (message.text for message in task.iter("QIM_message")) if each]
            if said:
                plain = re.sub(r"^[\d/]+ [\d:]+ \[\d+:\d+\]: (error: )?", "", " ".join(said[-1].split()))
                index = task.findtext("JAT_task_number", "1")
                seen = Seen(phase=Phase.ENDED, word="Eqw", cause=EndCause.NEVER_STARTED, message=plain)
                yield LocalId(f"{number}.{index}"), seen
                if array is None or array.text == "1":
                    yield LocalId(number), seen


def moment(text: str) -> datetime | None:
    """Local time, in the formats of qstat and of several versions of qacct."""
    for form in ("%Y-%m-%dT%H:%M:%S", "%a %b %d %H:%M:%S %Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S.%f"):
        try:
            return datetime.strptime(text, form).astimezone(UTC)
        except ValueError:
            continue
    return None
