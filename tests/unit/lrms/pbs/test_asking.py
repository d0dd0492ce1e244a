"""The queue of OpenPBS, PBS Professional and Torque: answers of qstat under tests/data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest

from arex.errors import BatchUnavailable, UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase, Usage
from arex.process import Completed
from lrms.command.dialect import Seen
from lrms.pbs.dialect import (
    STATES,
    PbsDialect,
    TorqueDialect,
)
from tests.unit.lrms.pbs.speech import FLAVOURS, dialect
from tests.unit.lrms.samples import recorded, said

pytestmark = pytest.mark.usefixtures("utc")
READERS: Final[dict[str, type[PbsDialect]]] = {
    "pbs-19.0.0/qstat-running": PbsDialect,
    "pbs-19.0.0/qstat-held": PbsDialect,
    "pbs-23.06.06/qstat-ends": PbsDialect,
    "pbs-23.06.06/qstat-environment": PbsDialect,
    "pbs-torque/qstat-completed": TorqueDialect,
    "pbs-torque/qstat-running": TorqueDialect,
}


def one(kind: type[PbsDialect], **attributes: object) -> Seen:
    """How a job with these attributes reads; of those, ``used_`` and ``limit_`` are resources."""
    used = {name[5:]: value for name, value in attributes.items() if name.startswith("used_")}
    limits = {name[6:]: value for name, value in attributes.items() if name.startswith("limit_")}
    plain = {name: value for name, value in attributes.items() if not name.startswith(("used_", "limit_"))}
    if kind is TorqueDialect:
        parts = "".join(f"<{name}>{value}</{name}>" for name, value in plain.items())
        for group, values in (("resources_used", used), ("Resource_List", limits)):
            parts += f"<{group}>{''.join(f'<{name}>{value}</{name}>' for name, value in values.items())}</{group}>"
        out = f"<Data><Job><Job_Id>1.pbs</Job_Id>{parts}</Job></Data>\n"
    else:
        facts = {**plain, "resources_used": used, "Resource_List": limits}
        quoted = str(facts).replace('"', "").replace("'", '"')
        out = f'{{"pbs_server":"pbs","Jobs":{{"1.pbs":{quoted}}}}}'
    return dialect(kind).listed(said(out))[LocalId("1.pbs")]


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_kept_answer_reads(name: str) -> None:
    found = dialect(READERS[name]).listed(recorded(name))

    assert found
    assert all(seen.word and seen.phase is not Phase.OTHER for seen in found.values())


@pytest.mark.parametrize("name", sorted(READERS))
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_half_an_answer_is_no_answer(name: str, part: float) -> None:
    done = recorded(name)
    whole = done.out.rstrip()

    with pytest.raises(UnreadableOutput):
        dialect(READERS[name]).listed(replace(done, out=whole[: int(len(whole) * part)]))


def test_a_running_job_is_seen_with_its_nodes() -> None:
    found = dialect().listed(recorded("pbs-19.0.0/qstat-running"))

    assert found == {
        "12860476.pbs.example.org": Seen(
            phase=Phase.RUNNING,
            word="R",
            nodes=("node24", "node21"),
            started=datetime(2022, 10, 4, 21, 23, 33, tzinfo=UTC),
        )
    }


def test_a_held_job_is_seen_as_held() -> None:
    assert dialect().listed(recorded("pbs-19.0.0/qstat-held"))[LocalId("157.pbs")].phase is Phase.HELD


def test_ends_are_distinguished() -> None:
    found = dialect().listed(recorded("pbs-23.06.06/qstat-ends"))

    assert {number: found[LocalId(f"{number}.pbs")].cause for number in (1, 2, 3, 4, 5, 6, 10)} == {
        1: EndCause.EXIT_CODE,
        2: EndCause.EXIT_CODE,
        3: EndCause.WALLTIME,
        4: EndCause.CANCELLED,
        5: EndCause.CANCELLED_BY_ADMIN,
        6: EndCause.CANCELLED,
        10: EndCause.WALLTIME,  # the server does not say it, the times do
    }
    assert found[LocalId("1.pbs")] == Seen(
        phase=Phase.ENDED,
        word="F (exit status 0)",
        tag="ok-1",
        cause=EndCause.EXIT_CODE,
        exit_code=0,
        nodes=("node1",),
        started=datetime(2026, 11, 20, 15, 5, 24, tzinfo=UTC),
        ended=datetime(2026, 11, 20, 15, 6, 25, tzinfo=UTC),
        usage=Usage(wall_s=10, user_s=3, max_rss_kb=9692),
    )
    assert found[LocalId("4.pbs")].signal == 15


def test_children_of_an_array_are_listed_one_by_one_and_the_array_is_not() -> None:
    found = dialect().listed(recorded("pbs-23.06.06/qstat-ends"))

    children = {localid: seen.phase for localid, seen in found.items() if localid.startswith("9[")}
    assert children == {"9[1].pbs": Phase.ENDED, "9[2].pbs": Phase.RUNNING, "9[3].pbs": Phase.QUEUED}
    assert {"arr-9"} == {found[LocalId(localid)].tag for localid in children}


def test_a_job_that_can_never_run_says_why() -> None:
    found = dialect().listed(recorded("pbs-23.06.06/qstat-ends"))

    assert found[LocalId("8.pbs")].message.startswith("waits: Can Never Run: Insufficient amount of resource")
    assert found[LocalId("7.pbs")].message == ""


def test_someone_s_environment_does_not_spoil_the_answer() -> None:
    assert dialect().listed(recorded("pbs-23.06.06/qstat-environment"))[LocalId("7.pbs")].tag == "waits-7"


def test_a_server_that_is_down_has_no_jobs_only_in_appearance() -> None:
    """qstat prints whole JSON without any job then."""
    down = recorded("pbs-22.05.11/qstat-down")

    for done in (down, replace(down, code=0)):
        with pytest.raises(BatchUnavailable):
            dialect().listed(done)


def test_no_jobs_is_an_answer() -> None:
    assert dialect(TorqueDialect).listed(recorded("pbs-torque/qstat-none")) == {}
    assert dialect().listed(said('{"timestamp":1,"pbs_version":"23.06.06","pbs_server":"pbs"}')) == {}


def test_the_xml_of_torque_is_parsed_despite_invalid_characters() -> None:
    assert dialect(TorqueDialect).listed(recorded("pbs-torque/qstat-completed")) == {
        "4564045.pbsserver": Seen(
            phase=Phase.ENDED,
            word="C (exit status 0)",
            cause=EndCause.EXIT_CODE,
            exit_code=0,
            nodes=("node5",),
            started=datetime(2018, 4, 5, 14, 39, 43, tzinfo=UTC),
            ended=datetime(2018, 4, 5, 14, 39, 54, tzinfo=UTC),
            usage=Usage(wall_s=6, user_s=0, max_rss_kb=6064),
        )
    }


TEXT: Final = (
    "Job Id: 4.pbs\n    Job_Name = STDIN\n    job_state = R\n    exec_host = node2/0\n"
    "    resources_used.walltime = 00:00:10\n"
    "    Variable_List = PBS_O_HOME=/home/grid,PBS_O_LANG=C,\n\tAREX_TAG=tag-4,PBS_O_HOST=front\n\n"
)


def test_after_invalid_json_the_text_format_is_used() -> None:
    spoken = dialect()
    broken = said('{"pbs_server":"pbs","Jobs":{"1.pbs":{"Variable_List":{"F":"() {  echo "x"\n}"}}}}')

    with pytest.raises(UnreadableOutput):
        spoken.listed(broken)

    assert spoken.listing(()).argv == ("qstat", "-x", "-f", "-t")
    assert spoken.listed(said(TEXT)) == {
        "4.pbs": Seen(phase=Phase.RUNNING, word="R", tag="tag-4", nodes=("node2",), usage=Usage(wall_s=10))
    }
    for part in (TEXT[:-1], TEXT[:60], "qstat: what?"):
        with pytest.raises(UnreadableOutput):
            spoken.listed(said(part))


@pytest.mark.parametrize(
    ("sentence", "argv"),
    [
        ("qstat: PBS is not configured to maintain job history", "qstat -f -t -F json"),
        ("qstat: invalid option -- 'F'\nusage: \nqstat [-f] [-J] [-p]", "qstat -x -f -t"),
    ],
)
def test_what_an_installation_can_not_do_is_not_asked_twice(sentence: str, argv: str) -> None:
    spoken = dialect()

    with pytest.raises(UnreadableOutput):
        spoken.listed(said(err=sentence, code=2))

    assert argv == " ".join(spoken.listing(()).argv)


@pytest.mark.parametrize("kind", FLAVOURS)
@pytest.mark.parametrize(
    "done",
    [
        said("\x00\x7fELF"),
        said("null"),
        said("[]"),
        said('{"Jobs":{}}'),
        said("<Data><Job><Job_Id>x</Job_Id></Job></Data>"),
        said("Keine Verbindung"),
        said(err="Connection refused\nqstat: cannot connect to server pbs (errno=111)", code=111),
        said(err="qstat: End of File", code=1),
    ],
)
def test_unparsable_output_is_no_answer(kind: type[PbsDialect], done: Completed) -> None:
    with pytest.raises(BatchUnavailable):
        dialect(kind).listed(done)


@pytest.mark.parametrize("kind", FLAVOURS)
@pytest.mark.parametrize("letter", sorted(STATES))
def test_every_letter_has_its_phase(kind: type[PbsDialect], letter: str) -> None:
    assert STATES[letter] is one(kind, job_state=letter).phase


@pytest.mark.parametrize("kind", FLAVOURS)
def test_a_job_with_an_unknown_state_is_present(kind: type[PbsDialect]) -> None:
    assert one(kind, job_state="Z").phase is Phase.OTHER


@pytest.mark.parametrize(
    ("status", "openpbs", "torque"),
    [
        (-1, EndCause.NEVER_STARTED, EndCause.NEVER_STARTED),
        (-2, EndCause.NEVER_STARTED, EndCause.NEVER_STARTED),
        (-3, EndCause.NEVER_STARTED, EndCause.NEVER_STARTED),
        (-4, EndCause.NODE_FAILURE, EndCause.NODE_FAILURE),
        (-9, EndCause.NEVER_STARTED, EndCause.NEVER_STARTED),
        (-10, EndCause.NEVER_STARTED, EndCause.MEMORY),
        (-11, None, EndCause.WALLTIME),
        (-12, EndCause.PREEMPTED, EndCause.CPUTIME),
        (-20, EndCause.NODE_FAILURE, EndCause.NEVER_STARTED),
        (-24, EndCause.CANCELLED_BY_LIMIT, EndCause.NEVER_STARTED),
        (-27, EndCause.MEMORY, EndCause.NEVER_STARTED),
        (-28, EndCause.CPUTIME, EndCause.NEVER_STARTED),
        (-29, EndCause.WALLTIME, EndCause.NEVER_STARTED),
        (0, EndCause.EXIT_CODE, EndCause.EXIT_CODE),
        (255, EndCause.EXIT_CODE, EndCause.EXIT_CODE),
        (265, EndCause.SIGNAL, EndCause.SIGNAL),
        (271, EndCause.SIGNAL, EndCause.CANCELLED),
    ],
)
def test_an_exit_status_has_its_cause(status: int, openpbs: EndCause | None, torque: EndCause) -> None:
    """Source: job.h of OpenPBS, pbs_job.h of Torque: the same number can mean something else."""
    assert openpbs is one(PbsDialect, job_state="F", Exit_status=status).cause
    assert torque is one(TorqueDialect, job_state="C", exit_status=status).cause


@pytest.mark.parametrize("kind", FLAVOURS)
@pytest.mark.parametrize(
    ("used", "limit", "cause"),
    [
        ({"used_walltime": "00:01:02"}, {"limit_walltime": "00:01:00"}, EndCause.WALLTIME),
        ({"used_cput": "01:00:02"}, {"limit_cput": "01:00:00"}, EndCause.CPUTIME),
        ({"used_mem": "2048kb"}, {"limit_mem": "1mb"}, EndCause.MEMORY),
        ({"used_mem": "1024kb"}, {"limit_mem": "1gb"}, None),
    ],
)
def test_a_killed_job_that_was_beyond_a_limit_was_killed_for_it(
    kind: type[PbsDialect], used: dict[str, str], limit: dict[str, str], cause: EndCause | None
) -> None:
    plain = one(kind, job_state="F", Exit_status=265).cause

    assert (cause or plain) is one(kind, job_state="F", Exit_status=265, **used, **limit).cause
