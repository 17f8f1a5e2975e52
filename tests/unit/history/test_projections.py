"""The run log's projections: the same log in whatever order the topics are read."""

import random
from collections.abc import Sequence
from dataclasses import fields, replace
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from history.recording.projections import TERMINAL, Run, folded
from history.recording.recorder import applied
from shared import events
from tests.unit.history.scenarios import SETTINGS, RunScenario

Log = tuple[Run | None, frozenset[object], frozenset[object], frozenset[UUID]]


def log_of(told: Sequence[events.Event]) -> Log:
    """Return the log after these events: the run, its timeline, its parts and its files."""
    runs: dict[UUID, Run] = {}
    changes, _ = applied(runs, told)  # type: ignore[arg-type]
    entries = frozenset((each.token, each.seq, each.kind, each.at, str(each.details)) for each in changes.entries)
    files = frozenset(each.artifact_id for each in changes.artifacts)
    return next(iter(runs.values()), None), entries, frozenset(changes.parts.values()), files


def stories() -> st.SearchStrategy[RunScenario]:
    """Whole lives, with attempts that fail, takeovers, stale progress and every end."""
    return st.lists(
        st.sampled_from(["progress", "stale", "estimate", "part", "retry", "takeover", "hand back"]), max_size=12
    ).flatmap(
        lambda steps: st.sampled_from(["succeeded", "failed", "cancelled", "open"]).map(lambda end: live(steps, end))
    )


def live(steps: list[str], end: str) -> RunScenario:
    story = RunScenario().triggered().queued().started()
    for number, step in enumerate(steps):
        match step:
            case "progress":
                story.progressed(number * 5)
            case "stale":
                story.progressed(99, token=story.token - 1)
            case "estimate":
                story.estimated(10.0)
            case "part":
                story.part(number)
            case "retry":
                story.attempt_failed().started(2)
            case "takeover":
                story.started()
            case _:
                story.handed_back().started()
    if end != "open":
        getattr(story, end)()
    return story


@st.composite
def readings(draw: st.DrawFn) -> tuple[RunScenario, list[events.Event]]:
    """A story, and its topics read in some interleaving, with places read over again."""
    story, chance = draw(stories()), random.Random(draw(st.integers(0, 2**32)))
    places = [0] * len(story.topics)
    read: list[events.Event] = []
    while left := [number for number, topic in enumerate(story.topics) if places[number] < len(topic)]:
        number = chance.choice(left)
        if places[number] and chance.random() < 0.2:
            places[number] -= chance.randint(1, places[number])  # a batch whose offset was not committed
        read.append(story.topics[number][places[number]])
        places[number] += 1
    return story, read


@settings(max_examples=300, deadline=None)
@given(readings())
def test_H8_any_interleaving_duplication_and_replay_gives_the_same_log(
    reading: tuple[RunScenario, list[events.Event]],
) -> None:
    story, read = reading
    assert log_of(read) == log_of(story.everything)


@settings(max_examples=300, deadline=None)
@given(readings(), st.integers(0, 2**32))
def test_H8_a_batch_without_what_it_supersedes_gives_the_same_log(
    reading: tuple[RunScenario, list[events.Event]], seed: int
) -> None:
    story, read = reading
    chance, thinned, place = random.Random(seed), list[events.Event](), 0
    while place < len(read):
        batch = read[place : (place := place + chance.randint(1, len(read)))]
        thinned += folded(batch)  # type: ignore[arg-type]
    assert log_of(thinned) == log_of(story.everything)


def test_of_a_run_s_progress_and_estimates_only_the_latest_are_left() -> None:
    story = RunScenario().triggered().started().progressed(1).estimated(9.0).progressed(2).estimated(8.0).progressed(3)
    other = RunScenario().progressed(4)
    left = folded([*reversed(story.everything), *other.everything])  # type: ignore[list-item]
    assert left[-3:] == [story.progress[-1], other.progress[-1], story.estimates[-1]]
    assert len(left) == 5


@settings(max_examples=100, deadline=None)
@given(readings())
def test_H7_reading_everything_a_second_time_changes_nothing(reading: tuple[RunScenario, list[events.Event]]) -> None:
    story, read = reading
    assert log_of([*read, *story.everything]) == log_of(read)


@settings(max_examples=100, deadline=None)
@given(stories(), st.sampled_from(["succeeded", "failed", "cancelled"]), st.data())
def test_R1_an_ended_run_never_changes(story: RunScenario, end: str, data: st.DataObject) -> None:
    getattr(story, end)()
    ended = log_of(story.everything)
    more = replace(story, triggers=[], runs=[], progress=[], estimates=[])
    for step in data.draw(st.lists(st.sampled_from(["started", "failed", "succeeded", "cancelled"]), max_size=3)):
        getattr(more, step)()
    more.progressed(50).estimated(5.0)
    assert log_of([*story.everything, *more.everything]) == ended


def test_H8_a_stale_claims_events_change_nothing() -> None:
    story = RunScenario().triggered().queued().started().progressed(10).started()
    stale = replace(story, token=1, seq=7, runs=[], progress=[], triggers=[], estimates=[])
    stale.part(1).succeeded().progressed(90)
    assert log_of([*story.everything, *stale.everything]) == log_of(story.everything)


def test_R1_states_follow_the_events() -> None:
    story = RunScenario().triggered()

    def state() -> str:
        run = log_of(story.everything)[0]
        assert run is not None
        return run.state

    assert state() == "queued"
    assert (story.queued(), state())[1] == "queued"
    assert (story.started(), state())[1] == "running"
    assert (story.attempt_failed(), state())[1] == "queued"
    assert (story.started(2), state())[1] == "running"
    assert (story.handed_back(), state())[1] == "queued"
    assert (story.started(2).part(1).succeeded(), state())[1] == "succeeded"


def test_H7_version_1_of_a_success_gives_the_same_log() -> None:
    story = RunScenario().triggered().queued().started().part(1).succeeded(2)
    success = story.runs[-1]
    assert isinstance(success, events.RunSucceeded)
    added = {"title", "type", "slot", "cause"}
    kept = {each.name: getattr(success, each.name) for each in fields(success) if each.name not in added}
    older = replace(story, runs=[*story.runs[:-1], events.RunSucceededV1(**kept)])
    assert log_of(older.everything) == log_of(story.everything)


def test_S7_a_skipped_slot_is_a_run_in_the_log_with_its_reason() -> None:
    run, entries, _, _ = log_of(RunScenario().slot_skipped().everything)
    assert run is not None
    assert run.fate is not None
    assert (run.state, run.fate.reason, len(entries)) == ("skipped", "suspended", 1)


def test_S9_a_run_skipped_for_overlap_has_its_settings() -> None:
    run, _, _, _ = log_of(RunScenario().triggered().skipped().everything)
    assert run is not None
    assert run.life is not None
    assert (run.state, run.life.reason, run.settings) == ("skipped", "overlap", SETTINGS)
    assert run.state in TERMINAL


def test_an_ended_run_has_neither_progress_nor_estimate() -> None:
    run, _, parts, files = log_of(
        RunScenario().queued().started().progressed(5).estimated(3.0).part(1).succeeded(2).everything
    )
    assert run is not None
    assert (run.progress, run.estimate) == (None, None)
    assert (len(parts), len(files)) == (1, 2)


def test_what_befalls_files_stands_in_the_timeline_and_leaves_the_run_as_it_ended() -> None:
    run, entries, _, _ = log_of(RunScenario().triggered().queued().started().succeeded().expired().removed().everything)
    assert run is not None
    assert (run.state, run.removed_at is not None) == ("succeeded", True)
    assert "files-expired" in {entry[2] for entry in entries}  # type: ignore[index]
