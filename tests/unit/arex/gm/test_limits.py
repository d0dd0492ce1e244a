from __future__ import annotations

from arex.config.values import MaxJobs
from arex.gm.limits import Limits
from arex.model.ids import JobId

A, B, C, D = (JobId(name) for name in "ABCD")


def test_without_limits_everybody_goes() -> None:
    limits = Limits(MaxJobs())

    assert [True] * 100 == [limits.may_run(JobId(str(n)), 4, 50) and limits.may_start(A, "me", 50) for n in range(100)]


def test_a_job_that_is_in_stays_in() -> None:
    limits = Limits(MaxJobs(running=1))

    assert [True, True, False] == [limits.may_run(A, 1, 50), limits.may_run(A, 1, 50), limits.may_run(B, 1, 50)]
    assert 1 == limits.running


def test_first_come_is_first_served() -> None:
    limits = Limits(MaxJobs(running=1))
    limits.may_run(A, 1, 50)
    limits.may_run(B, 1, 50)
    limits.may_run(C, 1, 50)
    limits.left_batch(A)

    assert [B] == limits.next("me")
    assert not limits.may_run(C, 1, 50)
    assert limits.may_run(B, 1, 50)


def test_priority_goes_before_patience() -> None:
    limits = Limits(MaxJobs(running=1))
    limits.may_run(A, 1, 50)
    limits.may_run(B, 1, 10)
    limits.may_run(C, 1, 90)
    limits.left_batch(A)

    assert [C] == limits.next("me")


def test_no_job_is_woken_while_there_is_no_room() -> None:
    limits = Limits(MaxJobs(running=1))
    limits.may_run(A, 1, 50)
    limits.may_run(B, 1, 50)

    assert [] == limits.next("me")


def test_without_a_number_of_jobs_the_slots_of_the_backend_count() -> None:
    limits = Limits(MaxJobs(), slots=4)

    assert [True, False] == [limits.may_run(A, 3, 50), limits.may_run(B, 2, 50)]


def test_a_number_of_jobs_counts_jobs_whatever_their_size() -> None:
    limits = Limits(MaxJobs(running=2), slots=4)

    assert [True, True, False] == [limits.may_run(job, 100, 50) for job in (A, B, C)]


def test_a_large_job_at_the_head_is_not_overtaken() -> None:
    limits = Limits(MaxJobs(), slots=4)
    limits.may_run(A, 3, 50)
    limits.may_run(B, 4, 50)

    assert not limits.may_run(C, 1, 50)
    limits.left_batch(A)
    assert [B] == limits.next("me")
    assert limits.may_run(B, 4, 50)


def test_a_job_larger_than_all_there_is_runs_alone() -> None:
    limits = Limits(MaxJobs(), slots=4)

    assert [True, False] == [limits.may_run(A, 99, 50), limits.may_run(B, 1, 50)]
    limits.left_batch(A)
    assert limits.may_run(B, 1, 50)


def test_jobs_found_running_take_their_slots_limit_or_not() -> None:
    limits = Limits(MaxJobs(running=1))
    limits.runs(A, 1)
    limits.runs(B, 1)

    assert 2 == limits.running
    limits.left_batch(A)
    assert not limits.may_run(C, 1, 50)
    limits.left_batch(B)
    assert limits.may_run(C, 1, 50)


def test_owners_have_their_own_gates() -> None:
    limits = Limits(MaxJobs(per_owner=1))

    assert [True, True, False] == [
        limits.may_start(A, "me", 50), limits.may_start(B, "you", 50), limits.may_start(C, "me", 50)
    ]  # fmt: skip
    limits.left(A, "me")
    assert [C] == limits.next("me")
    assert [] == limits.next("you")


def test_a_job_that_leaves_the_line_lets_the_next_one_be_first() -> None:
    limits = Limits(MaxJobs(running=1, per_owner=1))
    limits.may_run(A, 1, 50)
    limits.may_run(B, 1, 50)
    limits.may_run(C, 1, 50)
    limits.left(B, "me")
    limits.left(A, "me")

    assert [C] == limits.next("me")


def test_an_owner_without_jobs_is_forgotten() -> None:
    limits = Limits(MaxJobs(per_owner=1))
    limits.started(A, "me")
    limits.left(A, "me")

    assert 0 == limits.owners


def test_other_numbers_hold_from_now_on_for_those_who_are_not_in() -> None:
    limits = Limits(MaxJobs(running=1, per_owner=1), slots=8)
    limits.may_run(A, 1, 50)
    limits.may_run(B, 1, 50)
    limits.may_start(A, "me", 50)

    limits.change(MaxJobs(running=2, per_owner=2))
    assert [B] == limits.next("me")
    assert limits.may_run(B, 1, 50)
    assert limits.may_start(D, "me", 50)

    limits.change(MaxJobs(running=1))
    assert not limits.may_run(C, 1, 50)
    limits.left_batch(A)
    assert not limits.may_run(C, 1, 50)
    limits.left_batch(B)
    assert limits.may_run(C, 1, 50)


def test_no_limit_any_more_counts_the_slots_again() -> None:
    limits = Limits(MaxJobs(running=1), slots=2)
    limits.may_run(A, 1, 50)
    limits.change(MaxJobs())

    assert [True, False] == [limits.may_run(B, 1, 50), limits.may_run(C, 1, 50)]


def test_jobs_that_wait_for_an_owners_limit_go_when_it_is_gone() -> None:
    limits = Limits(MaxJobs(per_owner=1))
    limits.may_start(A, "me", 50)
    limits.may_start(B, "me", 50)
    limits.change(MaxJobs())

    assert [B] == limits.heads()
    assert limits.may_start(B, "me", 50)
    assert [] == limits.heads()


def test_who_stands_in_line_is_known_without_asking_for_a_place() -> None:
    limits = Limits(MaxJobs(running=1))
    assert not limits.waits_to_run(JobId("A"))
    assert limits.may_run(JobId("A"), 1, 50)
    assert not limits.may_run(JobId("B"), 1, 50)
    assert not limits.waits_to_run(JobId("A"))
    assert limits.waits_to_run(JobId("B"))
    limits.left_batch(JobId("A"))
    assert not limits.waits_to_run(JobId("B"))
