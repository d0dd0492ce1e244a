"""
Jobs of every kind, described to the clients of ARC and run by our daemon.

The descriptions of real jobs' snapshots are submitted again with no daemon about, so that what ARC's client writes is
seen as it is; then our daemon takes over, and at the end the files must read as those that A-REX 6.17 left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.interop.grid import Account, Job, Site, site, until
from tests.interop.jobs import FIXTURES, fixture, shell

#: Snapshots whose job runs anywhere.
AGAIN = ("hello", "mc", "special3", "expand", "a1", "fail3")
#: What differs between two runs of the same job.
CHANGING = {"starttime", "delegexpiretime", "cleanuptime", "localid"}


@dataclass(frozen=True)
class Played:
    """A job before and after our daemon."""

    site: Site
    name: str
    job: Job
    grami: str  #: as ARC's client wrote it
    local: list[str]

    def theirs(self, suffix: str) -> str:
        path = FIXTURES / self.name / "ctl"
        [snapshot] = path.glob("job.*.description")
        other = snapshot.name.removeprefix("job.").removesuffix(".description")
        files = list(path.glob(f"job.*.{suffix}"))
        return files[0].read_text(errors="replace").replace(other, "ID") if files else ""

    def ours(self, suffix: str) -> str:
        text = self.site.text(self.job, suffix).replace(self.job.id, "ID")
        return text.replace(str(self.site.control), "/CONTROLDIR").replace(str(self.site.session), "/SESSIONDIR")


@pytest.fixture(scope="module")
def place(account: Account, request: pytest.FixtureRequest) -> Iterator[Site]:
    with site(account, "kinds", lambda: bool(request.session.testsfailed)) as here:
        here.start_ours()
        here.stop_ours()
        here.pidfile.touch()  # ARC's clients want one, not a living one
        here.account.own(here.pidfile)
        yield here


@pytest.fixture(scope="module")
def everything(place: Site) -> dict[str, Played]:
    jobs = place.arc_submit(*(fixture(name, "description").read_text() for name in AGAIN), name="again")
    before = [
        Played(place, name, job, place.text(job, "grami"), place.keys(job, "local"))
        for name, job in zip(AGAIN, jobs, strict=True)
    ]
    place.start_ours()
    place.wait(jobs, "FINISHED")
    return {one.name: one for one in before}


@pytest.fixture(params=AGAIN)
def played(everything: dict[str, Played], request: pytest.FixtureRequest) -> Played:
    return everything[request.param]


def without(text: str, keys: set[str]) -> list[str]:
    return [line for line in text.splitlines() if line.partition("=")[0] not in keys]


def test_grami_stays_as_the_client_wrote_it(played: Played) -> None:
    after = without(played.site.text(played.job, "grami"), {"joboption_jobid"})

    assert played.grami.splitlines() == after


def test_grami_is_that_of_6_17(played: Played) -> None:
    """Byte for byte after paths and ids, and the id of the batch system in the last line."""
    drop = {"joboption_jobid"}

    assert without(played.theirs("grami"), drop) == without(played.ours("grami"), drop)
    assert played.ours("grami").splitlines()[-1].startswith("joboption_jobid=")


def test_local_has_the_keys_and_order_of_6_17(played: Played) -> None:
    theirs = [line.partition("=")[0] for line in played.theirs("local").splitlines()]

    assert theirs == played.site.keys(played.job, "local")


def test_local_has_the_values_of_6_17(played: Played) -> None:
    """But for two defects of 6.17: it writes a wanted lifetime as one raw byte, and loses an empty argument."""
    better = {"lifetime"} if played.name in {"mc", "a1"} else set()
    better |= {"args"} if played.name == "special3" else set()

    theirs = without(played.theirs("local"), CHANGING | better)

    assert theirs == without(played.ours("local"), CHANGING | better)


def test_a_wanted_lifetime_is_kept_in_seconds(everything: dict[str, Played]) -> None:
    assert "lifetime=3600" in everything["a1"].ours("local").splitlines()


def test_an_empty_argument_is_kept(everything: dict[str, Played]) -> None:
    assert "semi;colon  quote" in everything["special3"].ours("local")


def test_the_job_walks_as_in_6_17(played: Played) -> None:
    theirs = [line[20:] for line in played.theirs("errors").splitlines() if " Job state change " in line]
    ours = [line[20:] for line in played.ours("errors").splitlines() if " Job state change " in line]

    assert [line.strip() for line in theirs] == [line.strip() for line in ours]


@pytest.mark.parametrize("suffix", ["failed", "input", "output", "input_status", "output_status", "description"])
def test_a_file_reads_as_in_6_17(played: Played, suffix: str) -> None:
    assert played.theirs(suffix) == played.ours(suffix)


def test_diag_has_all_that_accounting_reads(played: Played) -> None:
    theirs = {line.partition("=")[0] for line in played.theirs("diag").splitlines() if "=" in line}

    assert theirs <= set(played.site.keys(played.job, "diag"))


def test_strange_characters_reach_the_program_as_in_6_17(everything: dict[str, Played]) -> None:
    played = everything["special3"]
    [theirs] = (FIXTURES / "special3/session").glob("*/out.txt")

    assert theirs.read_text() == played.site.output(played.job, "out.txt")


def test_arguments_are_expanded_on_the_node_as_in_6_17(everything: dict[str, Played]) -> None:
    played = everything["expand"]
    session = played.site.session / played.job.id

    lines = played.site.output(played.job, "out.txt").splitlines()

    assert f"<{session}>" == lines[0]
    assert ["<sub>", "<sub2>"] == lines[1:3]


# --- jobs with files --------------------------------------------------------------------------------------------


def test_inputs_are_awaited_and_programs_made_executable(ours: Site) -> None:
    ours.write("in.txt", "first\n")
    ours.write("tool.sh", "#!/bin/sh\ncat in.txt other.txt -\n", mode=0o644)
    text = (
        '&(executable="tool.sh")(stdin="in.txt")(stdout="out.txt")'
        f'(inputFiles=("in.txt" "{ours.home}/in.txt")("other.txt" "{ours.home}/in.txt")'
        f'("tool.sh" "{ours.home}/tool.sh"))'
    )

    [job] = ours.arc_submit(text)
    ours.wait(job, "FINISHED")

    assert "" == ours.text(job, "failed")
    assert "first\n" * 3 == ours.output(job, "out.txt")
    assert {"/in.txt", "/other.txt", "/tool.sh"} == set(ours.text(job, "input_status").split())
    assert "" == ours.text(job, "input")


def test_a_job_waits_for_the_upload_that_has_not_been_confirmed(place: Site, everything: dict[str, Played]) -> None:
    """As if the client were still copying: the daemon waits, and goes on when told."""
    assert everything
    place.stop_ours()
    place.pidfile.touch()
    place.account.own(place.pidfile)
    place.write("late.txt", "late\n")
    text = (
        f'&(executable="/bin/cat")(arguments="late.txt")(stdout="o")(inputFiles=("late.txt" "{place.home}/late.txt"))'
    )
    [job] = place.arc_submit(text)
    status = place.file(job, "input_status")
    confirmed = status.read_text()
    status.write_text("\n")
    place.start_ours()

    place.wait(job, "PREPARING")
    assert ["/late.txt"] == place.text(job, "input").split()
    status.write_text(confirmed)
    place.ring(job)

    place.wait(job, "FINISHED")
    assert "late\n" == place.output(job, "o")


def test_a_pushed_job_goes_on_when_its_client_says_all_is_there(ours: Site) -> None:
    [job] = ours.arc_submit(fixture("client_push", "description").read_text(), name="push")
    ours.wait(job, "PREPARING")
    pushed = ours.session / job.id / "pushed.txt"
    pushed.write_text("pushed\n")
    ours.account.own(pushed)
    with ours.file(job, "input_status").open("a") as stream:
        stream.write("/\n")
    ours.ring(job)

    ours.wait(job, "FINISHED")
    assert "pushed\n" == ours.output(job, "out.txt")


def test_only_declared_outputs_are_kept(ours: Site) -> None:
    script = "mkdir -p res/deep; echo a >res/deep/a; echo b >b; echo c >undeclared"
    text = shell(script, '(outputFiles=("res/" "")("b" ""))')

    [job] = ours.arc_submit(text)
    ours.wait(job, "FINISHED")

    assert {"res", "b", "out.txt", "err.txt"} == set(os.listdir(ours.session / job.id))
    assert "a\n" == ours.output(job, "res/deep/a")


def test_stderr_joins_stdout(ours: Site) -> None:
    text = '&(executable="/bin/sh")(arguments="-c" "echo one; echo two >&2")(stdout="both")(join="yes")'

    [job] = ours.arc_submit(text)
    ours.wait(job, "FINISHED")

    assert "one\ntwo\n" == ours.output(job, "both")


def test_environment_arrives_unchanged(ours: Site) -> None:
    text = '&(executable="/usr/bin/env")(stdout="out.txt")(environment=("ODD" "a b $HOME `id` *"))'

    [job] = ours.arc_submit(text)
    ours.wait(job, "FINISHED")

    assert "ODD=a b $HOME `id` *" in ours.output(job, "out.txt").splitlines()


def test_names_that_6_17_chokes_on_work_here(ours: Site) -> None:
    """Blanks and quotes in the names of stdout and stderr (defect 6)."""
    [job] = ours.arc_submit(fixture("special", "description").read_text(), name="special")
    ours.wait(job, "FINISHED")

    assert "" == ours.text(job, "failed")
    assert {"o u t.txt", "err's.txt"} == set(os.listdir(ours.session / job.id))


def test_a_missing_program_fails_with_a_reason(ours: Site) -> None:
    [job] = ours.arc_submit('&(executable="/no/such/program")(stdout="o")(stderr="e")')
    ours.wait(job, "FINISHED")

    assert ours.text(job, "failed").startswith("LRMS error: (")
    assert "INLRMS" == ours.local(job)["failedstate"]


def test_a_restart_runs_the_job_again(ours: Site) -> None:
    """ARC's client can't ask for it here, its REST interface can; the mark is the same."""
    tries = ours.home / "tries"
    ours.write("again.sh", f'#!/bin/sh\necho x >>{tries}\ntest "$(wc -l <{tries})" = 2\n')
    [job] = ours.arc_submit(f'&(executable="again.sh")(inputFiles=("again.sh" "{ours.home}/again.sh"))(rerun=2)')
    ours.wait(job, "FINISHED")
    assert "LRMS error: (1)" in ours.text(job, "failed")

    ours.mark(job, "restart")
    until(lambda: ours.text(job, "errors").count("-> FINISHED ") == 2, 120, lambda: ours.tell(job))
    ours.wait(job, "FINISHED")

    assert "" == ours.text(job, "failed")
    assert "x\nx\n" == tries.read_text()
    assert "1" == ours.local(job)["rerun"]
