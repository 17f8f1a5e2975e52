"""One loop's failure ends neither the loop nor the process."""

import asyncio
from collections.abc import Iterator

import pytest

from shared.errors import RestartRequired, TransientError
from shared.lifecycle import LoopFailed, LoopSupervisor


class Loop:
    """A loop that raises the given errors, one at each start, and then runs until it is stopped."""

    def __init__(self, *errors: Exception) -> None:
        self._errors: Iterator[Exception] = iter(errors)
        self.runs = asyncio.Event()

    async def __call__(self, stopping: asyncio.Event) -> None:
        for error in self._errors:
            raise error
        self.runs.set()
        await stopping.wait()


async def test_a_loop_that_fails_is_started_again_and_says_so() -> None:
    loop, stopping = Loop(KeyError("private")), asyncio.Event()
    supervisor = LoopSupervisor("outbox", loop)
    assert supervisor.find_fault() is None
    running = asyncio.create_task(supervisor.run(stopping))
    await asyncio.wait_for(loop.runs.wait(), 30)
    assert supervisor.find_fault() == "outbox failed and was started again: KeyError"
    stopping.set()
    await running


async def test_a_loop_that_needs_a_new_process_ends_this_one() -> None:
    with pytest.raises(RestartRequired):
        await LoopSupervisor("outbox", Loop(RestartRequired("stalled"))).run(asyncio.Event())


async def test_a_loop_that_ends_by_itself_ends_the_process() -> None:
    async def end(_: asyncio.Event) -> None:
        return

    with pytest.raises(LoopFailed, match="outbox ended by itself"):
        await LoopSupervisor("outbox", end).run(asyncio.Event())


async def test_what_fails_while_the_process_stops_is_not_hidden() -> None:
    stopping = asyncio.Event()
    stopping.set()
    with pytest.raises(ValueError, match="last"):
        await LoopSupervisor("outbox", Loop(ValueError("last"))).run(stopping)


async def test_an_outage_while_the_process_stops_is_no_failure_of_the_process() -> None:
    stopping = asyncio.Event()
    stopping.set()
    loop = Loop(TransientError("PostgreSQL is restarting"))
    await LoopSupervisor("outbox", loop).run(stopping)
    assert not loop.runs.is_set()
