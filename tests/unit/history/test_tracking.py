"""Tracked runs: loaded many at a time, ignored once they have ended."""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from history.estimating.tracking import RunTracker, TrackedEvent
from history.store.estimates import EstimateStore, EstimationContext, EstimatorState
from shared import events
from tests.unit.history.scenarios import RunScenario


class FakeStore:
    """A store of run states and estimator states; records how many runs each query was for."""

    def __init__(self) -> None:
        self.run_states: dict[UUID, events.values.RunState] = {}
        self.estimator_states: dict[UUID, EstimatorState] = {}
        self.queries: list[int] = []

    async def load_contexts(self, runs: Sequence[tuple[UUID, UUID]]) -> dict[UUID, EstimationContext]:
        self.queries.append(len(runs))
        return {run_id: self._context(run_id) for run_id, _ in runs}

    def _context(self, run_id: UUID) -> EstimationContext:
        return EstimationContext(
            run_state=self.run_states.get(run_id),
            estimator_state=self.estimator_states.get(run_id),
            earlier_runs=[],
            waits=[],
        )


def new_tracker() -> tuple[RunTracker, FakeStore]:
    store = FakeStore()
    return RunTracker(cast("EstimateStore", store)), store


def tracked_events(story: RunScenario) -> list[TrackedEvent]:
    return [event for event in (*story.triggers, *story.runs, *story.progress) if isinstance(event, TrackedEvent)]


async def test_new_runs_are_loaded_together_and_returned_with_their_deferred_events() -> None:
    tracker, store = new_tracker()
    stories = [RunScenario().triggered().queued().started().progressed(10) for _ in range(3)]
    for story in stories:
        for event in tracked_events(story):
            assert not tracker.defer(event, 0)
    loaded = await tracker.load()
    assert store.queries == [3]
    assert [deferred for _, deferred in loaded] == [tracked_events(story) for story in stories]
    assert {run.run_id for run in tracker} == {story.run_id for story in stories}
    assert await tracker.load() == []
    assert store.queries == [3]


async def test_loading_is_due_at_once_when_much_is_pending() -> None:
    tracker, _ = new_tracker()
    full = [tracker.defer(tracked_events(RunScenario().triggered())[0], 0) for _ in range(500)]
    assert full == [False] * 499 + [True]


async def test_ended_runs_are_ignored_except_the_one_whose_end_is_being_handled() -> None:
    tracker, store = new_tracker()
    old, ending = RunScenario().triggered().started().progressed(10), RunScenario().triggered().started().progressed(10)
    store.run_states = {old.run_id: "succeeded", ending.run_id: "succeeded"}
    for story in (old, ending):
        for event in tracked_events(story):
            tracker.defer(event, 0)
    assert [run.run_id for run, _ in await tracker.load(ending.run_id)] == [ending.run_id]
    tracker.forget(ending.run_id)
    queries = len(store.queries)
    for story in (old, ending):
        assert not tracker.defer(tracked_events(story.progressed(20))[-1], 0)
        last = cast("events.RunEvent", story.failed().runs[-1])
        assert await tracker.load_ended(last, 0) is None
    assert await tracker.load() == []
    assert len(store.queries) == queries


async def test_the_runs_of_revoked_partitions_are_dropped() -> None:
    tracker, _ = new_tracker()
    stories = [RunScenario().triggered() for _ in range(4)]
    for place, story in enumerate(stories):
        tracker.defer(tracked_events(story)[0], place % 2)
        if place == 1:
            await tracker.load()
    tracker.retain_partitions({1})
    assert [run.run_id for run in tracker] == [stories[1].run_id]
    assert [run.run_id for run, _ in await tracker.load()] == [stories[3].run_id]
