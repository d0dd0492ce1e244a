"""Arrays that no one sees: who travels together, and what starts which child."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.model.grami import Grami
from arex.model.ids import JobId, Tag
from arex.ports import Submission
from lrms.command import arrays
from lrms.command.arrays import ARRAYS, Member
from lrms.command.dialect import Work
from lrms.slurm.dialect import SlurmDialect, SlurmOptions

SLURM: Final = SlurmDialect(SlurmOptions())
#: Names of session roots that a shell would make something of.
ODD: Final = ("plain", "with blank", "it's", "$HOME", 'a"b', "new\nline", "glob*", "-e")


def submission(root: Path, job: str, **grami: Any) -> Submission:
    base = Grami(gridid=JobId(job), directory=root / job, controldir=Path("/c"), args=("./x",))
    tag = Tag(f"{job}-1f")
    return Submission(job=JobId(job), tag=tag, grami=replace(base, **grami), rundir=root / f"{job}.lrms" / tag)


def on_disk(root: Path, count: int) -> list[Submission]:
    """Jobs whose scripts say who they are, and which shell runs them."""
    found = [submission(root, f"job{n}", jobname=f"run_{n}") for n in range(1, count + 1)]
    for each in found:
        each.rundir.mkdir(parents=True)
        each.comment.touch()
        (each.rundir / "script").write_text(f'echo "{each.job} $arex_root/$arex_child/script"\n')
    return found


def laid_out(root: Path, count: int = 3) -> Work:
    return arrays.lay_out(SLURM, on_disk(root, count), "/bin/sh")


def copied(work: Work, to: Path) -> Path:
    """As SLURM does it: the launcher runs somewhere else."""
    to.mkdir(exist_ok=True)
    return Path(shutil.copy(work.script, to / "slurm_script"))


def start(copy: Path, index: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(copy)],
        env={"PATH": os.environ["PATH"], "SLURM_ARRAY_TASK_ID": index, **environment},
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )


def grouped(batch: Sequence[Submission], most: int = 100) -> list[list[str]]:
    return [[each.job for each in group] for group in arrays.groups(SLURM, batch, most)]


# --- who travels together ---------------------------------------------------------------------------------------------


def test_jobs_of_the_same_shape_are_in_one_array_whatever_their_names() -> None:
    root = Path("/s")

    assert [["a", "b"]] == grouped([submission(root, "a", jobname="one"), submission(root, "b", jobname="two")])


@pytest.mark.parametrize(
    "other",
    [
        {"queue": "long"},
        {"count": 2},
        {"walltime_s": 60},
        {"cputime_s": 60},
        {"memory_mb": 100},
        {"priority": 70},
        {"exclusivenode": True},
    ],
)
def test_jobs_of_another_shape_are_in_another_array(other: dict[str, Any]) -> None:
    root = Path("/s")

    assert [["a"], ["b"]] == grouped([submission(root, "a"), submission(root, "b", **other)])


def test_what_the_batch_system_need_not_know_makes_no_shape() -> None:
    root = Path("/s")
    other = {"args": ("./y", "z"), "environment": (("A", "b"),), "stdout": "/s/b/out"}

    assert [["a", "b"]] == grouped([submission(root, "a"), submission(root, "b", **other)])


def test_jobs_of_another_session_root_are_in_another_array() -> None:
    assert [["a"], ["b"]] == grouped([submission(Path("/s"), "a"), submission(Path("/t"), "b")])


@given(st.lists(st.sampled_from(["q", "r"]), max_size=30), st.integers(1, 7))
def test_every_job_is_in_one_group_and_no_group_is_too_large(queues: list[str], most: int) -> None:
    batch = [submission(Path("/s"), f"job{n}", queue=queue) for n, queue in enumerate(queues)]

    groups = list(arrays.groups(SLURM, batch, most))

    assert sorted(each.job for each in batch) == sorted(each.job for group in groups for each in group)
    assert all(1 <= len(group) <= most for group in groups)
    assert all(1 == len({each.grami.queue for each in group}) for group in groups)
    assert all([each.job for each in batch if each in group] == [each.job for each in group] for group in groups)


@pytest.mark.parametrize(
    ("names", "common"),
    [
        (["run_1", "run_2"], "run"),
        (["same", "same"], "same"),
        (["a", "b"], "gridjob"),
        (["", "b"], "gridjob"),
        (["sim-10", "sim-11"], "sim-1"),
        (["7a", "7b"], "N7"),
    ],
)
def test_an_array_has_the_name_that_fits_all(names: list[str], common: str) -> None:
    batch = [submission(Path("/s"), f"job{n}", jobname=name) for n, name in enumerate(names)]

    assert common == arrays.named(batch).grami.jobname


# --- what is laid out -------------------------------------------------------------------------------------------------


def places(batch: Sequence[Submission]) -> dict[str, list[Member]]:
    found = arrays.memberships(SLURM, batch)
    return {str(tag): sorted(members, key=lambda each: each.tag) for tag, members in found.items()}


def test_every_attempt_has_its_place_before_the_batch_system_is_called(tmp_path: Path) -> None:
    work = laid_out(tmp_path)

    assert {each.tag: [Member(work.tag, n)] for n, each in enumerate(work.submissions, 1)} == places(work.submissions)


def test_an_attempt_may_have_gone_into_more_than_one_array(tmp_path: Path) -> None:
    """The first answer was lost; whichever took it is looked up."""
    batch = on_disk(tmp_path, 3)
    first, second = arrays.lay_out(SLURM, batch, "/bin/sh"), arrays.lay_out(SLURM, batch[1:], "/bin/sh")

    both = sorted([Member(first.tag, 3), Member(second.tag, 2)], key=lambda each: each.tag)

    assert first.tag != second.tag
    assert both == places(batch)[batch[2].tag]


def test_a_later_attempt_of_the_same_job_was_not_in_the_arrays_of_an_earlier_one(tmp_path: Path) -> None:
    work = laid_out(tmp_path)
    [first, *_] = work.submissions
    again = replace(first, tag=Tag("job1-2f"), rundir=first.rundir.with_name("job1-2f"))
    again.rundir.mkdir()
    (again.rundir / "script").touch()
    os.utime(again.rundir / "script", (2**31, 2**31))

    assert {} == places([again])


@pytest.mark.parametrize("name", ["launcher.old", "1x", "x", "-1"])
def test_what_someone_else_has_put_beside_them_is_no_child(tmp_path: Path, name: str) -> None:
    work = laid_out(tmp_path)
    before = places(work.submissions)
    (work.script.parent / name).symlink_to(work.first.comment)

    assert before == places(work.submissions)


def test_without_any_array_no_one_has_a_place(tmp_path: Path) -> None:
    assert {} == places(on_disk(tmp_path, 2))


def test_the_output_of_a_child_goes_to_its_job(tmp_path: Path) -> None:
    work = laid_out(tmp_path)

    for index, each in enumerate(work.submissions, 1):
        Path(work.output.replace("%a", str(index))).write_text(f"child {index}")
        assert f"child {index}" == each.comment.read_text()


def test_the_owner_of_a_child_is_found_by_its_number(tmp_path: Path) -> None:
    work = laid_out(tmp_path / "b")

    assert ["job1", "job3", "", ""] == [
        arrays.owner([tmp_path / "a", tmp_path / "b"], SLURM.array, work.tag, index) for index in (1, 3, 4, None)
    ]
    assert "" == arrays.owner([tmp_path / "b"], SLURM.array, f"../{work.tag}", 1)


# --- the launcher -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD)
def test_the_launcher_starts_the_child_of_its_index(tmp_path: Path, name: str) -> None:
    work = laid_out(tmp_path / name)
    copy = copied(work, tmp_path / "spool")

    for index, each in enumerate(work.submissions, 1):
        done = start(copy, str(index))
        assert (0, f"{each.job} {each.rundir}/script\n", "") == (done.returncode, done.stdout, done.stderr)


def test_a_login_shell_is_started_for_the_child(tmp_path: Path) -> None:
    work = arrays.lay_out(SLURM, on_disk(tmp_path, 2), "/bin/bash -l")

    assert work.script.read_text().endswith('\nexec /bin/bash -l "$arex_root/$arex_child/script"\n')


@pytest.mark.parametrize("index", ["0", "4", "", "1 2", "*", "$(echo 1)"])
def test_an_index_without_a_child_starts_nothing(tmp_path: Path, index: str) -> None:
    done = start(copied(laid_out(tmp_path), tmp_path / "spool"), index)

    assert (1, "") == (done.returncode, done.stdout)
    assert "no child" in done.stderr


def test_the_node_may_see_the_session_root_elsewhere(tmp_path: Path) -> None:
    copy = copied(laid_out(tmp_path / "here"), tmp_path / "spool")
    elsewhere = (tmp_path / "here").rename(tmp_path / "there")

    done = start(copy, "2", RUNTIME_GRIDAREA_DIR=str(elsewhere))

    assert (0, f"job2 {elsewhere}/job2.lrms/job2-1f/script\n") == (done.returncode, done.stdout)


@pytest.mark.parametrize("name", ODD)
def test_shellcheck_has_nothing_to_say_about_the_launcher(tmp_path: Path, name: str) -> None:
    program = shutil.which("shellcheck")
    assert program, "shellcheck is part of the test tools"
    script = laid_out(tmp_path / name).script

    # 2016: a dollar in a name is meant to be one
    words = [program, "--shell=sh", "--exclude=SC2016", str(script)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stdout)


def test_the_launcher_asks_for_what_its_children_want(tmp_path: Path) -> None:
    work = laid_out(tmp_path)
    lines = work.script.read_text().splitlines()

    assert "#!/bin/sh" == lines[0]
    expected = SLURM.directives(arrays.named(work.submissions))
    assert list(expected) == lines[1 : 1 + len(expected)]
    assert "#SBATCH --job-name=run" in expected


def test_a_login_shell_is_one_for_the_children_too(tmp_path: Path) -> None:
    work = arrays.lay_out(SLURM, on_disk(tmp_path, 2), "/bin/bash -l")

    assert 'exec /bin/bash -l "$arex_root/$arex_child/script"' in work.script.read_text()


# --- sweeping ---------------------------------------------------------------------------------------------------------


def test_an_array_is_swept_when_all_its_jobs_have_been_cleaned_away(tmp_path: Path) -> None:
    gone, stays = laid_out(tmp_path / "x"), laid_out(tmp_path / "y")
    for each in gone.submissions:
        each.comment.unlink()
    for each in stays.submissions[1:]:
        each.comment.unlink()

    assert (1, 0) == (arrays.sweep(tmp_path / "x"), arrays.sweep(tmp_path / "y"))
    assert [] == list((tmp_path / "x" / ARRAYS).iterdir())
    assert stays.script.exists()


def test_a_root_without_arrays_has_nothing_to_sweep(tmp_path: Path) -> None:
    assert 0 == arrays.sweep(tmp_path)


def test_sweeping_touches_no_job(tmp_path: Path) -> None:
    work = laid_out(tmp_path)
    [first, *rest] = work.submissions
    first.comment.write_text("precious")
    for each in rest:
        each.comment.unlink()

    arrays.sweep(tmp_path)

    assert "precious" == first.comment.read_text()
    assert all((each.rundir / "script").exists() for each in work.submissions)


def test_foreign_files_among_the_arrays_stop_nothing(tmp_path: Path) -> None:
    """The account of the service may have put anything there; the service must start all the same."""
    work = laid_out(tmp_path)
    place = tmp_path / ARRAYS
    (place / "notes").write_text("x")
    (place / "kept" / "inside").mkdir(parents=True)

    assert arrays.sweep(tmp_path) == 0
    assert (place / "kept" / "inside").is_dir()
    [first, *_] = work.submissions
    assert [1] == [each.index for each in arrays.memberships(SLURM, [first])[first.tag]]


def test_a_directory_that_cannot_be_removed_does_not_keep_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd = tmp_path / ARRAYS / "odd"
    (odd / "broken").mkdir(parents=True)
    (odd / "broken").rmdir()
    (odd / "launcher").mkdir()
    gone = laid_out(tmp_path)
    for each in gone.submissions:
        each.comment.unlink()

    assert arrays.sweep(tmp_path) == 1
    assert not gone.script.exists()
    assert "cannot remove the files of an old array" in caplog.text
