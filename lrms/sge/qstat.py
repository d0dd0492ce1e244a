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
from lrms.command.listings import entries, xml

DOWN: Final = re.compile(
    r"commlib error|unable to (contact|send message|initialize|connect)|got (send|read|select) error|\btimeout\b|"
    r"error reading answer list|can't get .{0,80}qmaster|communication error|qmaster name|act_qmaster|cell directory|"
    r"SGE_ROOT|critical error|can't resolve (local )?host ?name",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::([1-9]\d{0,8}))?)?", re.ASCII)


def listed(done: Completed) -> Mapping[LocalId, Seen]:
    """
    Every job and every child in the answer of ``qstat -xml``.

    Raises:
        BatchUnavailable: there is no answer, or it is invalid.
    """
    jobs = _jobs(done)
    # of several entries about one task, one that has not ended counts
    jobs.sort(key=lambda job: _ended(job.findtext("state", "")), reverse=True)
    found = entries.listed(
        "Grid Engine", jobs, lambda job: _ids(_number(job), job.findtext("tasks")), lambda job: _seen(job, _state(job))
    )
    if jobs and not found:
        raise UnreadableOutput(done.argv, done.code, done.out)
    return found


def _jobs(done: Completed) -> list[ET.Element]:
    """The entries; if the answer as a whole is invalid, those that are valid by themselves."""
    try:
        return list(_xml(done, "job_info").iter("job_list"))
    except xml.Invalid:
        if (found := xml.pieces(done.out, "job_list", "job_info")) is None:
            raise
        return found


def _number(job: ET.Element) -> str:
    if not re.fullmatch(r"\d{1,18}", number := job.findtext("JB_job_number", ""), re.ASCII):
        raise ValueError(f"not a job id: {number!r}")
    return number


def _state(job: ET.Element) -> str:
    if not (state := job.findtext("state", "")):
        raise ValueError("an entry without a state")
    return state


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
    tree = xml.parsed(done)
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
    queue, _, node = job.findtext("queue_name", "").partition("@")
    started = moment(job.findtext("JAT_start_time", ""))
    failed = "E" in state and "d" not in state  # it could not start, and stays in the queue with its reason
    phase = _phase(state)
    return Seen(
        phase=phase,
        word=f"{state} ({queue})" if queue else state,
        tag=tag_in(name),
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


def _ended(state: str) -> bool:
    return "d" not in state and not set(state).isdisjoint("Ezx")


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


def tag_in(name: str) -> str:
    """The tag in the name of a job; empty for the job of another program."""
    return name.rpartition("~")[2].replace("%", "@") if "~" in name else ""


def moment(text: str) -> datetime | None:
    """
    Local time, in the formats of qstat and of several versions of qacct.

    The later one of two: a job must not seem to have ended before it was submitted.
    """
    for form in ("%Y-%m-%dT%H:%M:%S", "%a %b %d %H:%M:%S %Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S.%f"):
        try:
            return datetime.strptime(text, form).replace(fold=1).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None
