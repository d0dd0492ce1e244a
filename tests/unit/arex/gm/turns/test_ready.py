"""In which order jobs get their turns."""

from __future__ import annotations

import asyncio

from arex.gm.turns.ready import ReadyQueue
from arex.model.ids import JobId


def filled(*, new: str = "", adopted: str = "") -> ReadyQueue:
    queue = ReadyQueue()
    for name in new:
        queue.put(JobId(name), new=True)
    for name in adopted:
        queue.put(JobId(name), new=False)
    return queue


async def all_of(queue: ReadyQueue) -> str:
    return "".join([(await queue.take(shared_by=1, most=1))[0] for _ in range(len(queue))])


async def test_adopted_jobs_have_every_fourth_turn_while_new_ones_come() -> None:
    assert await all_of(filled(new="abcdefgh", adopted="123")) == "abc1def2gh3"


async def test_a_kind_that_is_alone_waits_for_nothing() -> None:
    assert await all_of(filled(new="abc")) == "abc"
    assert await all_of(filled(adopted="123")) == "123"


async def test_neither_kind_starves_when_both_keep_coming() -> None:
    queue = filled(new="a", adopted="1")
    taken = ""
    for n in range(20):
        taken += (await queue.take(shared_by=1, most=1))[0]
        queue.put(JobId("a"), new=True)
        queue.put(JobId("1"), new=False)
        assert abs(taken.count("a") - 3 * taken.count("1")) <= 3, f"{taken} after {n}"


async def test_each_worker_takes_its_part() -> None:
    queue = filled(new="abcdefghi")

    assert await queue.take(shared_by=4, most=16) == ["a", "b", "c"]
    assert await queue.take(shared_by=4, most=16) == ["d", "e"]
    assert await queue.take(shared_by=1, most=3) == ["f", "g", "h"]
    assert len(queue) == 1


async def test_a_worker_that_waits_gets_the_job_and_others_continue_to_wait() -> None:
    queue = ReadyQueue()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(queue.take(shared_by=4, most=16)) for _ in range(2)]
        await asyncio.sleep(0)
        queue.put(JobId("a"), new=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [task.done() for task in waiting] == [True, False]
        queue.put(JobId("1"), new=False)

    assert [task.result() for task in waiting] == [["a"], ["1"]]
