"""What stage 0 and the scratch options mean to batch systems."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from arex.config.model import ArexBlock, Configuration, LrmsBlock
from arex.errors import ConfigError
from arex.model.grami import Grami
from arex.model.ids import JobId, Tag
from lrms.command.dialect import Work
from lrms.command.settings import CommandSettings
from lrms.fork.backend import ForkBackend
from lrms.htcondor.dialect import CondorDialect, CondorOptions
from lrms.jobscript.runtimes import Prepared
from lrms.jobscript.scratch import is_on_one_node, scratch_of
from lrms.jobscript.settings import NOTHING_SETTLED, Scratch, Settled
from lrms.pbs.dialect import PbsDialect, PbsOptions, PbsQueueOptions, TorqueDialect
from lrms.sge.dialect import SgeDialect, SgeOptions
from lrms.slurm.dialect import SlurmDialect, SlurmOptions


def prepared(settled: Settled = NOTHING_SETTLED, **grami: int) -> Prepared:
    job = JobId("j")
    value = Grami(gridid=job, directory=Path("/s/j"), controldir=Path("/c"), args=("./x",), queue="q")
    value = replace(value, **grami)  # type: ignore[arg-type]
    return Prepared(job=job, tag=Tag("t"), grami=value, rundir=Path("/s/j.lrms/t"), settled=settled)


def work(submission: Prepared) -> Work:
    return Work(submissions=(submission,), script=Path("/s/script"), output="/s/j.comment", tag="t")


FAST = Settled(properties=("fast", "-C  two\nlines"))


def test_slurm_takes_node_properties_as_options() -> None:
    directives = SlurmDialect(SlurmOptions()).directives(prepared(FAST))

    assert directives[-2:] == ("#SBATCH fast", "#SBATCH -C two lines")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(PbsDialect, "select=1:ncpus=1:big=True:fast=True"), (TorqueDialect, "nodes=1:ppn=1:big:fast")],
)
def test_pbs_takes_node_properties_after_those_of_the_queue(kind: type[PbsDialect], expected: str) -> None:
    dialect = kind(PbsOptions(queues={"q": PbsQueueOptions(node_property="big")}))

    directives = dialect.directives(prepared(Settled(properties=("fast",))))

    assert f"#PBS -l {expected}" in directives


def test_grid_engine_takes_the_parallel_environment() -> None:
    argv = SgeDialect(SgeOptions()).submit(work(prepared(Settled(properties=("openmpi",)), count=4))).argv

    assert argv[argv.index("-pe") : argv.index("-pe") + 3] == ("-pe", "openmpi", "4")


@pytest.mark.parametrize(
    ("image", "lines"),
    [
        ("", ["universe = vanilla"]),
        ("site/x:1", ["universe = docker", "docker_image = site/x:1"]),
        ("x\nqueue 100", ["universe = docker", "docker_image = xqueue100"]),
    ],
)
def test_condor_runs_an_image_in_its_docker_universe(image: str, lines: list[str]) -> None:
    submission = prepared(Settled(docker_image=image))

    text = CondorDialect(CondorOptions()).submit(work(submission)).stdin.decode()

    assert text.splitlines()[: len(lines)] == lines
    assert [line for line in text.splitlines() if line.startswith("queue")] == ["queue"]


def test_jobs_with_different_wishes_share_no_array() -> None:
    one, two = prepared(Settled(docker_image="a")), prepared(Settled(docker_image="b"))

    assert CondorDialect(CondorOptions()).shape(one) != CondorDialect(CondorOptions()).shape(two)
    assert SlurmDialect(SlurmOptions()).shape(prepared(FAST)) != SlurmDialect(SlurmOptions()).shape(prepared())


# --- scratch ----------------------------------------------------------------------------------------------------------


def test_the_scratch_directory_comes_from_the_configuration() -> None:
    config = Configuration(
        arex=ArexBlock(scratchdir=Path("/scratch"), shared_scratch=Path("/net/scratch")),
        lrms=LrmsBlock(movetool="cp -a"),
    )

    assert scratch_of(Configuration()) is None
    assert scratch_of(config) == Scratch(text="/scratch", movetool="cp -a", shared="/net/scratch")
    assert CommandSettings.of(config).script.scratch == scratch_of(config)


def test_nodes_that_do_not_see_the_sessions_are_refused() -> None:
    """The refusal says which batch system would move them."""
    config = Configuration(arex=ArexBlock(shared_filesystem=False))

    for make in (CommandSettings.of, ForkBackend.from_config):
        with pytest.raises(ConfigError, match=r"shared_filesystem.*lrms=condor.*lrms=arc-NAME"):
            make(config)


@pytest.mark.parametrize(
    ("grami", "expected"),
    [
        ({"count": 1}, True),
        ({"count": 4}, False),
        ({"count": 4, "countpernode": -1}, False),
        ({"count": 4, "countpernode": 4}, True),
        ({"count": 4, "countpernode": 2, "numnodes": 2}, False),
    ],
)
def test_a_job_is_on_one_node_only_if_it_says_so(grami: dict[str, int], expected: bool) -> None:
    assert is_on_one_node(prepared(NOTHING_SETTLED, **grami).grami) is expected
