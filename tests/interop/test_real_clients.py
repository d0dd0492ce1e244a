"""The unmodified clients of ARC 6.17, as a normal user, against our daemon."""

from __future__ import annotations

import pytest

from tests.interop.grid import Job, Site, has
from tests.interop.jobs import FAIL3, HELLO, LATER, PUSH, SLEEP, shell


@pytest.fixture(scope="module")
def hello(ours: Site) -> Job:
    """Finished, and no one takes it away."""
    [job] = ours.arc_submit(HELLO, name="hello")
    ours.wait(job, "FINISHED")
    return job


@pytest.fixture(scope="module")
def asleep(ours: Site) -> Job:
    """In the batch system all the time."""
    [job] = ours.arc_submit(SLEEP, name="asleep")
    ours.wait(job, "INLRMS")
    return job


def arcstat(site: Site, job: Job) -> str:
    """The state that ARC's ``arcstat`` shows."""
    done = site.arc("arcstat", job.url).good()
    [state] = [line.split(": ")[1] for line in done.out.splitlines() if line.startswith(" State: ")]
    return state


# --- arcsub -----------------------------------------------------------------------------------------------------


def test_a_job_submitted_without_information_runs(ours: Site, hello: Job) -> None:
    assert ours.output(hello, "out.txt") == "hello world\n"
    assert "/DC=org/DC=nordugrid/DC=ARC/O=TestCA/CN=Test User" == ours.local(hello)["subject"]


def test_a_job_is_brokered_on_our_information_document(ours: Site) -> None:
    """Memory, slots, disk and queue are compared with what info.xml says."""
    text = HELLO.replace("&", '&(count=2)(memory=10)(disk=1)(queue="fork")(walltime=10)')

    [job] = ours.arc_submit(text, more=[])

    ours.wait(job, "FINISHED")


def test_the_broker_of_their_client_sees_one_target(ours: Site) -> None:
    file = ours.write("one.xrsl", HELLO)

    done = ours.arc("arcsub", "-d", "INFO", "-T", "internal", "-C", "localhost", file).good()
    info = ours.arc("arcinfo", "-c", "localhost", "-S", "org.nordugrid.internal", "-l").good()

    assert 1 == len(done.jobs)
    assert 1 == done.text.count("added to the list for submission brokering")
    assert done.text.count("downtime of the target is not published") <= 1
    assert 1 == info.out.count("Interface: org.nordugrid.internal")


def test_a_job_that_needs_more_than_the_host_has_is_not_brokered_here(ours: Site) -> None:
    file = ours.write("huge.xrsl", HELLO.replace("&", "&(count=4000)"))

    done = ours.arc("arcsub", "-T", "internal", "-C", "localhost", file)

    assert [] == done.jobs
    assert done.code != 0


def test_an_unknown_queue_is_refused_by_the_client_that_reads_our_cfg(ours: Site) -> None:
    file = ours.write("queue.xrsl", HELLO.replace("&", '&(queue="nosuch")'))

    done = ours.arc("arcsub", "-T", "internal", "-C", "localhost", "-Q", "NONE", file)

    assert [] == done.jobs
    assert "nosuch" in done.text


def test_fifty_jobs_in_one_command_all_finish(ours: Site) -> None:
    jobs = ours.arc_submit(*(shell(f"echo {number}") for number in range(50)), name="bulk")

    ours.wait(jobs, "FINISHED", within=180)

    assert [f"{number}\n" for number in range(50)] == [ours.output(job, "out.txt") for job in jobs]
    done = ours.arc("arcstat", *(job.url for job in jobs)).good()
    assert "Status of 50 jobs was queried, 50 jobs returned information" in done.out
    assert 50 == done.out.count(" State: Finished\n")
    assert "deleted: 50" in ours.arc("arcclean", *(job.url for job in jobs)).good().out
    for job in jobs:
        ours.gone(job)


def test_a_dry_run_of_theirs_is_taken_in_and_not_run(ours: Site) -> None:
    file = ours.write("dry.xrsl", shell("touch ran"))

    [job] = ours.arc("arcsub", "-D", "-T", "internal", "-C", "localhost", "-Q", "NONE", file).good().jobs

    ours.wait(job, "FINISHED")
    assert "Job has dryrun requested. Job skipped.\n" == ours.text(job, "failed")
    assert ours.text(job, "errors").count("INLRMS") == 0


# --- arcstat ----------------------------------------------------------------------------------------------------


def test_arcstat_shows_finished(ours: Site, hello: Job) -> None:
    assert "Finished" == arcstat(ours, hello)


def test_arcstat_shows_queuing_for_a_job_in_the_batch_system(ours: Site, asleep: Job) -> None:
    """ARC's client has no word for running over this interface."""
    assert "Queuing" == arcstat(ours, asleep)


def test_arcstat_shows_accepted_while_the_start_is_in_the_future(ours: Site) -> None:
    [job] = ours.arc_submit(LATER)
    ours.wait(job, "ACCEPTED")

    assert "Accepted" == arcstat(ours, job)
    ours.arc("arckill", job.url).good()


def test_arcstat_shows_preparing_while_the_client_still_sends(ours: Site) -> None:
    [job] = ours.arc_submit(PUSH)
    ours.wait(job, "PREPARING")

    assert "Preparing" == arcstat(ours, job)
    ours.arc("arckill", job.url).good()
    ours.gone(job)


def test_arcstat_gives_details_of_a_job(ours: Site, hello: Job) -> None:
    out = ours.arc("arcstat", "-l", hello.url).good().out

    assert " Name: hello\n" in out
    assert " Specific state: FINISHED\n" in out
    assert " Stdout: out.txt\n" in out


def test_arcstat_of_all_jobs_meets_every_state(ours: Site, hello: Job, asleep: Job) -> None:
    out = ours.arc("arcstat", "-a").good().out

    assert hello.url in out
    assert asleep.url in out


# --- output -----------------------------------------------------------------------------------------------------


def test_arccat_shows_stdout_and_stderr(ours: Site) -> None:
    [job] = ours.arc_submit(FAIL3)
    ours.wait(job, "FINISHED")

    assert "out\n" == ours.arc("arccat", "-o", job.url).good().out
    assert "err\n" == ours.arc("arccat", "-e", job.url).good().out
    assert "out\n" == ours.arc("arccat", job.url).good().out


def test_arccat_of_a_running_job_waits_for_its_end_as_theirs_does_everywhere(ours: Site, asleep: Job) -> None:
    """ARC's client takes Queuing for not started, whatever is there already."""
    assert "Job has not started yet" in ours.arc("arccat", asleep.url).text


def test_arcls_lists_the_session_directory(ours: Site, hello: Job) -> None:
    assert {"err.txt", "gmlog", "out.txt"} == set(ours.arc("arcls", hello.url).good().out.split())


def test_arcget_with_keep_copies_and_leaves_the_job(ours: Site, hello: Job) -> None:
    done = ours.arc("arcget", "-k", "-D", ours.home / "kept", hello.url).good()

    assert "successfully retrieved: 1" in done.out
    assert "hello world\n" == (ours.home / "kept" / hello.id / "out.txt").read_text()
    assert "FINISHED" == ours.status(hello)


def test_arcget_copies_and_the_job_leaves_nothing_behind(ours: Site) -> None:
    """Group 3 of the removals: all control files, the session directory, and what lies beside it."""
    [job] = ours.arc_submit(HELLO)
    ours.wait(job, "FINISHED")

    done = ours.arc("arcget", "-D", ours.home / "taken", job.url).good()

    assert "successfully retrieved: 1, successfully cleaned: 1" in done.out
    assert "hello world\n" == (ours.home / "taken" / job.id / "out.txt").read_text()
    ours.gone(job)


def test_arcget_and_arcclean_leave_a_running_job_alone(ours: Site, asleep: Job) -> None:
    assert "successfully retrieved: 0" in ours.arc("arcget", asleep.url).out
    assert "deleted: 0" in ours.arc("arcclean", asleep.url).out
    assert "INLRMS" == ours.status(asleep)


def test_arcclean_removes_a_finished_job(ours: Site) -> None:
    [job] = ours.arc_submit(FAIL3)
    ours.wait(job, "FINISHED")

    assert "deleted: 1" in ours.arc("arcclean", job.url).good().out
    ours.gone(job)


def test_what_arc_can_not_do_over_this_interface_does_no_harm(ours: Site, hello: Job) -> None:
    assert "resumed: 0" in ours.arc("arcresume", hello.url).out
    assert "renewed: 0" in ours.arc("arcrenew", hello.url).out
    assert "FINISHED" == ours.status(hello)


def test_arcinfo_shows_our_service(ours: Site) -> None:
    out = ours.arc("arcinfo", "-c", "localhost", "-S", "org.nordugrid.internal", "-l").good().out

    assert "Type: org.nordugrid.arex" in out
    assert "Interface: org.nordugrid.internal" in out
    assert "Mapping queue: fork" in out


# --- arckill ----------------------------------------------------------------------------------------------------

CANCEL = "Job is canceled by external request\n"


def killed(site: Site, job: Job) -> list[str]:
    """Kill it, keep it; the moves it made from the state it was in."""
    before = len(site.moves(job))
    assert "successfully killed: 1" in site.arc("arckill", "-k", job.url).good().out
    site.wait(job, "FINISHED")
    assert CANCEL == site.text(job, "failed")
    assert "client" == site.local(job)["failedcause"]
    return site.moves(job)[before:]


def test_arckill_in_accepted(ours: Site) -> None:
    [job] = ours.arc_submit(LATER)
    ours.wait(job, "ACCEPTED")
    ours.adopted(job)

    assert ["ACCEPTED -> FINISHING", "FINISHING -> FINISHED"] == killed(ours, job)
    assert "ACCEPTED" == ours.local(job)["failedstate"]


def test_arckill_in_preparing(ours: Site) -> None:
    [job] = ours.arc_submit(PUSH)
    ours.wait(job, "PREPARING")

    assert ["PREPARING -> FINISHING", "FINISHING -> FINISHED"] == killed(ours, job)
    assert "PREPARING" == ours.local(job)["failedstate"]


def test_arckill_in_the_batch_system_ends_the_process(ours: Site) -> None:
    [job] = ours.arc_submit(shell("echo $$ >pid; exec sleep 300"))
    ours.wait(job, "INLRMS")
    has(ours.session / job.id / "pid", "\n")
    pid = int(ours.output(job, "pid"))

    moves = killed(ours, job)

    assert ["INLRMS -> CANCELING", "CANCELING -> FINISHING", "FINISHING -> FINISHED"] == moves
    assert "INLRMS" == ours.local(job)["failedstate"]
    assert pid not in ours.processes()


def test_arckill_of_a_finished_job_changes_nothing(ours: Site, hello: Job) -> None:
    assert "successfully killed: 0" in ours.arc("arckill", "-k", hello.url).out
    assert "FINISHED" == ours.status(hello)
    assert "" == ours.text(hello, "failed")


def test_arckill_without_keep_makes_the_job_vanish(ours: Site) -> None:
    jobs = ours.arc_submit(SLEEP, LATER, PUSH)
    ours.wait(jobs[0], "INLRMS")

    done = ours.arc("arckill", *(job.url for job in jobs)).good()

    assert "successfully killed: 3, successfully cleaned: 3" in done.out
    for job in jobs:
        ours.gone(job)


def test_arckill_of_fifty_jobs_at_once(ours: Site) -> None:
    jobs = ours.arc_submit(*[LATER] * 50, name="many")

    assert "successfully killed: 50" in ours.arc("arckill", "-k", *(job.url for job in jobs)).good().out

    ours.wait(jobs, "FINISHED")
    ours.arc("arcclean", *(job.url for job in jobs)).good()


# --- where the slots are few, and where no daemon runs --------------------------------------------------------------


@pytest.fixture(scope="module")
def narrow(narrow_site: Site) -> Site:
    """One slot, taken."""
    [first] = narrow_site.arc_submit(SLEEP, name="first")
    narrow_site.wait(first, "INLRMS")
    return narrow_site


def test_a_job_without_a_slot_is_preparing_and_pending(narrow: Site) -> None:
    [job] = narrow.arc_submit(HELLO)
    narrow.wait(job, "PENDING:PREPARING")

    assert "Preparing" == arcstat(narrow, job)
    assert "PREPARING -> PREPARING(PENDING)" == narrow.moves(job)[-1]
    assert "Limit of RUNNING jobs is reached" in narrow.text(job, "errors")


def test_arckill_of_a_pending_job(narrow: Site) -> None:
    [job] = narrow.arc_submit(HELLO)
    narrow.wait(job, "PENDING:PREPARING")

    assert ["PREPARING -> FINISHING", "FINISHING -> FINISHED"] == killed(narrow, job)


def test_jobs_wait_while_no_daemon_runs_and_run_when_it_comes(empty: Site) -> None:
    """The pidfile may be a leftover: clients of ARC don't look into it."""
    empty.start_ours()
    empty.stop_ours()
    empty.pidfile.touch()
    empty.account.own(empty.pidfile)

    [job, other] = empty.arc_submit(HELLO, SLEEP)
    assert "Accepted" == arcstat(empty, job)
    assert "successfully killed: 1" in empty.arc("arckill", "-k", other.url).good().out
    empty.start_ours()

    empty.wait([job, other], "FINISHED")
    assert "hello world\n" == empty.output(job, "out.txt")
    assert ["UNDEFINED -> FINISHING", "FINISHING -> FINISHED"] == empty.moves(other)[-2:]
    assert "failedstate" not in empty.local(other)


def test_no_pipe_is_needed_to_be_noticed(empty: Site) -> None:
    """A client that can't ring is found by the files it leaves."""
    empty.start_ours()
    (empty.control / "gm.fifo").unlink()

    [job] = empty.arc_submit(HELLO)

    empty.wait(job, "FINISHED")
