"""Runs that are followed: loaded many at a time, passed over once they have ended."""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from history.estimating.tracking import About, Tracking
from history.store.estimates import EstimateStore, Known, Memory
from shared import events
from tests.unit.history.stories import Story


class Stored:
    """A store in which each run is in the state that it was given, with or without a memory; counts its answers."""

    def __init__(self) -> None:
        self.states: dict[UUID, events.values.RunState] = {}
        self.memories: dict[UUID, Memory] = {}
        self.asked: list[int] = []

    async def known(self, runs: Sequence[tuple[UUID, UUID]]) -> dict[UUID, Known]:
        self.asked.append(len(runs))
        return {
            run: Known(state=self.states.get(run), memory=self.memories.get(run), earlier=[], waits=[])
            for run, _ in runs
        }


def tracking() -> tuple[Tracking, Stored]:
    store = Stored()
    return Tracking(cast("EstimateStore", store)), store


def about(story: Story) -> list[About]:
    return [event for event in (*story.triggers, *story.runs, *story.progress) if isinstance(event, About)]


async def test_runs_first_heard_of_are_loaded_together_with_all_that_was_told_of_them() -> None:
    followed, store = tracking()
    stories = [Story().triggered().queued().started().progressed(10) for _ in range(3)]
    for story in stories:
        for event in about(story):
            assert not followed.put_off(event, 0)
    loaded = await followed.load()
    assert store.asked == [3]
    assert [[*told] for _, told in loaded] == [about(story) for story in stories]
    assert {run.run_id for run in followed} == {story.run_id for story in stories}
    assert await followed.load() == []
    assert store.asked == [3]


async def test_when_much_waits_it_must_be_loaded_at_once() -> None:
    followed, _ = tracking()
    full = [followed.put_off(about(Story().triggered())[0], 0) for _ in range(500)]
    assert full == [False] * 499 + [True]


async def test_a_run_that_has_ended_is_passed_over_but_for_the_one_whose_end_is_told() -> None:
    followed, store = tracking()
    old, ending = Story().triggered().started().progressed(10), Story().triggered().started().progressed(10)
    store.states = {old.run_id: "succeeded", ending.run_id: "succeeded"}
    for story in (old, ending):
        for event in about(story):
            followed.put_off(event, 0)
    assert [run.run_id for run, _ in await followed.load(ending.run_id)] == [ending.run_id]
    followed.forget(ending.run_id)
    asked = len(store.asked)
    for story in (old, ending):
        assert not followed.put_off(about(story.progressed(20))[-1], 0)
        last = cast("events.RunEvent", story.failed().runs[-1])
        assert await followed.stored(last, 0) is None
    assert await followed.load() == []
    assert len(store.asked) == asked


async def test_the_runs_of_partitions_that_others_have_now_are_forgotten() -> None:
    followed, _ = tracking()
    stories = [Story().triggered() for _ in range(4)]
    for place, story in enumerate(stories):
        followed.put_off(about(story)[0], place % 2)
        if place == 1:
            await followed.load()
    followed.keep_only({1})
    assert [run.run_id for run in followed] == [stories[1].run_id]
    assert [run.run_id for run, _ in await followed.load()] == [stories[3].run_id]
