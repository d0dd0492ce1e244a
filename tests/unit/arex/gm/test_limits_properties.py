"""What holds for every gate, whatever jobs come and go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arex.config.values import MaxJobs
from arex.gm.limits import Gate, Limits
from arex.model.ids import JobId

JOBS = [JobId(str(number)) for number in range(8)]
#: What each job needs and how urgent it is stays the same through its life.
NEEDS = {job: 1 + 2 * (index % 3) for index, job in enumerate(JOBS)}
PRIORITY = {job: 50 + 10 * (index % 2) for index, job in enumerate(JOBS)}

STEPS = st.lists(
    st.tuples(st.sampled_from(["enter", "leave", "force", "wake", "change"]), st.sampled_from(JOBS), st.integers(1, 6)),
    max_size=60,
)


class Model:
    """Plays steps and knows who stands in line, and since when."""

    def __init__(self, slots: int) -> None:
        self.gate = Gate(slots)
        self.line: list[JobId] = []
        self.forced = False

    def play(self, what: str, job: JobId, number: int) -> None:
        match what:
            case "enter":
                self.enter(job)
            case "leave":
                self.gate.leave(job)
                self.line = [one for one in self.line if one != job]
            case "force":
                self.gate.force(job, NEEDS[job])
                self.line = [one for one in self.line if one != job]
                self.forced = True
            case "wake":
                while heads := self.gate.heads(1):
                    [head] = heads
                    assert self.enter(head), "a job that was woken may go"
            case _:
                self.gate.change(number)
                self.forced = True  # who is in stays in

    def enter(self, job: JobId) -> bool:
        went = self.gate.enter(job, NEEDS[job], PRIORITY[job])
        if went:
            self.line = [one for one in self.line if one != job]
        elif job not in self.line:
            self.line.append(job)
        return went

    @property
    def first(self) -> JobId | None:
        return max(self.line, key=lambda job: (PRIORITY[job], -self.line.index(job)), default=None)


@given(STEPS, st.integers(1, 6))
def test_what_is_used_is_what_was_taken_and_never_too_much(steps: list[tuple[str, JobId, int]], slots: int) -> None:
    """More than the slots only for one job larger than all of them, for jobs found running, or after a change."""
    model = Model(slots)
    for step in steps:
        model.play(*step)

        assert sum(model.gate.taken.values()) == model.gate.used
        if not model.forced:
            assert model.gate.used <= slots or len(model.gate.taken) == 1


@given(STEPS, st.integers(1, 6))
def test_the_head_is_named_exactly_when_there_is_room_for_it(steps: list[tuple[str, JobId, int]], slots: int) -> None:
    """Highest priority, then first come; no one waits at the head while there is room and no one knows."""
    model = Model(slots)
    for step in steps:
        model.play(*step)
        first, limit = model.first, model.gate.slots
        assert limit is not None
        fits = first is not None and (model.gate.used == 0 or model.gate.used + NEEDS[first] <= limit)

        assert ([first] if fits else []) == model.gate.heads(1)


@given(STEPS)
def test_those_who_are_woken_one_after_the_other_all_get_in(steps: list[tuple[str, JobId, int]]) -> None:
    """As the loop does it: who leaves wakes the head, who enters wakes the next; in the end the line is empty."""
    model = Model(3)
    for step in steps:
        model.play(*step)
    entered: list[JobId] = []
    for _ in range(2 * len(JOBS)):
        model.play("wake", JOBS[0], 1)
        for job in list(model.gate.taken):
            entered.append(job)
            model.play("leave", job, 1)

    assert [] == model.line
    assert model.gate.is_idle
    assert 0 == model.gate.used


def test_a_waiting_job_is_judged_by_the_way_of_counting_of_now() -> None:
    """Four slots wide is one job, once n2 is set while we run; and wide again when it is gone."""
    limits = Limits(MaxJobs(), slots=4)
    limits.may_run(JOBS[0], 4, 50)
    assert not limits.may_run(JOBS[1], 4, 50)

    limits.change(MaxJobs(running=2))
    assert [JOBS[1]] == limits.heads()
    assert limits.may_run(JOBS[1], 4, 50)
    limits.left_batch(JOBS[0])
    limits.change(MaxJobs())
    assert not limits.may_run(JOBS[2], 1, 50)


def test_a_limit_for_owners_that_comes_later_counts_who_is_in() -> None:
    limits = Limits(MaxJobs())
    limits.may_start(JOBS[0], "me", 50)
    limits.started(JOBS[1], "me")
    limits.change(MaxJobs(per_owner=2))

    assert not limits.may_start(JOBS[2], "me", 50)
    limits.left(JOBS[1], "me")
    assert [JOBS[2]] == limits.next("me")


def test_a_job_that_goes_on_without_room_stands_in_no_line() -> None:
    """Cancelled while it waited for its owner's limit: the next in line is woken."""
    limits = Limits(MaxJobs(per_owner=1))
    for job in JOBS[:3]:
        limits.may_start(job, "me", 50)
    limits.started(JOBS[1], "me")
    limits.left(JOBS[0], "me")
    assert [] == limits.next("me")
    limits.left(JOBS[1], "me")

    assert [JOBS[2]] == limits.next("me")
