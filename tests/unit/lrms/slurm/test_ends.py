"""SLURM's accounting, and what is done to its jobs."""

from __future__ import annotations

import os
from typing import Final

import pytest

from arex.errors import BatchUnavailable, UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase
from tests.unit.lrms.samples import said
from tests.unit.lrms.slurm.speech import dialect, recorded

pytestmark = pytest.mark.usefixtures("utc")


# --- accounting -------------------------------------------------------------------------------------------------------


def test_the_accounting_is_asked_about_jobs_by_number() -> None:
    call = dialect().accounting([LocalId("7"), LocalId("8_3@north")])

    assert call is not None
    assert ("sacct", "-n", "-P", "-X", "-S", "1970-01-01", "-j", "7,8_3", "-o") == call.argv[:-1]
    assert call.argv[-1] == recorded("sacct-states").argv[-1]


def test_the_accounting_is_not_asked_where_the_site_says_so() -> None:
    assert dialect(accounting=False).accounting([LocalId("7")]) is None


ACCOUNTED: Final[dict[str, tuple[Phase, EndCause | None, int | None, int | None]]] = {
    "1": (Phase.ENDED, EndCause.EXIT_CODE, 0, None),
    "2": (Phase.ENDED, EndCause.EXIT_CODE, 3, None),
    "3": (Phase.ENDED, EndCause.SIGNAL, None, 11),
    "4": (Phase.ENDED, EndCause.WALLTIME, 0, None),
    "5": (Phase.ENDED, EndCause.PREEMPTED, 0, None),
    "6": (Phase.ENDED, EndCause.NODE_FAILURE, 0, None),
    "9_2": (Phase.ENDED, EndCause.EXIT_CODE, 3, None),
    "10": (Phase.ENDED, EndCause.CANCELLED_BY_LIMIT, 1, None),
    "11": (Phase.ENDED, EndCause.NEVER_STARTED, None, None),
    "15": (Phase.QUEUED, None, None, None),
}


@pytest.mark.parametrize("localid", ACCOUNTED)
def test_what_the_accounting_says(localid: str) -> None:
    seen = dialect().accounted(recorded("sacct-states"))[LocalId(localid)]

    assert ACCOUNTED[localid] == (seen.phase, seen.cause, seen.exit_code, seen.signal)


@pytest.mark.parametrize(("uid", "cause"), [(0, EndCause.CANCELLED), (1000, EndCause.CANCELLED_BY_ADMIN)])
def test_the_accounting_knows_who_has_cancelled(monkeypatch: pytest.MonkeyPatch, uid: int, cause: EndCause) -> None:
    """It was root: ourselves, if that is who we are."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)

    assert cause is dialect().accounted(recorded("sacct-states"))[LocalId("7")].cause


def test_a_site_without_accounting_is_not_asked_again() -> None:
    speaks = dialect()
    with pytest.raises(BatchUnavailable):
        speaks.accounted(recorded("sacct-disabled"))

    assert speaks.accounting([LocalId("7")]) is None


@pytest.mark.parametrize("name", ["sacct-down", "sacct-bad-field"])
def test_an_accounting_that_fails_is_asked_again(name: str) -> None:
    speaks = dialect()
    with pytest.raises(BatchUnavailable):
        speaks.accounted(recorded(name))

    assert speaks.accounting([LocalId("7")]) is not None


def test_garbage_is_no_accounting() -> None:
    with pytest.raises(UnreadableOutput):
        dialect().accounted(said("7|COMPLETED|0:0\n", argv="sacct"))


# --- acting -----------------------------------------------------------------------------------------------------------


def test_jobs_are_cancelled_held_and_released_on_their_cluster() -> None:
    ids = [LocalId("7@north"), LocalId("8_3@north")]
    speaks = dialect(clusters="north,south")

    assert [
        ("scancel", "--clusters=north", "7", "8_3"),
        ("scontrol", "--clusters=north", "hold", "7,8_3"),
        ("scontrol", "--clusters=north", "release", "7,8_3"),
    ] == [call(ids).argv for call in (speaks.cancel, speaks.hold, speaks.release)]
    assert "north" == speaks.site(ids[0])


def refused(name: str, *ids: str) -> dict[str, str]:
    return {str(key): why for key, why in dialect().refused(recorded(name), [LocalId(each) for each in ids]).items()}


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("scancel-gone", ["19", "999999", "32_2"]),
        ("scontrol-hold-running", ["33", "19", "999999"]),
        ("scontrol-release-gone", ["999999", "26"]),
    ],
)
def test_a_missing_job_is_no_refusal(name: str, ids: list[str]) -> None:
    assert {} == refused(name, *ids)


def test_a_refusal_is_about_the_job_that_it_names() -> None:
    denied = "scancel: error: Kill job error on job id {}: Access/permission denied"

    assert {"26": denied.format(26), "33": denied.format(33)} == refused("scancel-foreign", "33", "26", "7")
    assert {"26": "Invalid user id for job 26"} == refused("scontrol-hold-foreign", "26", "7")


def test_a_refusal_that_names_no_one_is_about_all() -> None:
    answer = said(err="slurm_suspend error: Access/permission denied\n", code=1, argv="scontrol hold 7,8")

    assert {"7", "8"} == dialect().refused(answer, [LocalId("7"), LocalId("8")]).keys()


@pytest.mark.parametrize("name", ["scancel-down", "scontrol-down"])
def test_silence_is_no_refusal(name: str) -> None:
    with pytest.raises(BatchUnavailable):
        refused(name, "1")
