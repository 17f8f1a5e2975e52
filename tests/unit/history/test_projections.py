"""The run log's projections: the same log in any order in which the topics are read."""

import random
from collections.abc import Sequence
from dataclasses import fields, replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from history.recording.projections import TERMINAL_STATES, LoggedRun, apply_batch, compact_batch
from shared import events
from tests.support.properties import many_examples
from tests.unit.history.scenarios import SETTINGS, RunScenario

Log = tuple[LoggedRun | None, frozenset[object], frozenset[object], frozenset[UUID]]


def log_of(batch: Sequence[events.Event]) -> Log:
    """Return the log after these events: the run, its timeline, its parts and its files."""
    runs: dict[UUID, LoggedRun] = {}
    changes, _ = apply_batch(runs, batch)  # type: ignore[arg-type]
    entries = frozenset((each.token, each.seq, each.kind, each.at, str(each.details)) for each in changes.entries)
    files = frozenset(each.artifact_id for each in changes.artifacts)
    return next(iter(runs.values()), None), entries, frozenset(changes.parts.values()), files


def scenarios() -> st.SearchStrategy[RunScenario]:
    """Return whole runs: failed attempts, takeovers, stale progress and every kind of end."""
    return st.lists(
        st.sampled_from(["progress", "stale", "estimate", "part", "retry", "takeover", "hand back"]), max_size=12
    ).flatmap(
        lambda steps: st.sampled_from(["succeeded", "failed", "cancelled", "open"]).map(lambda end: play(steps, end))
    )


def play(steps: list[str], end: str) -> RunScenario:
    scenario = RunScenario().triggered().queued().started()
    for number, step in enumerate(steps):
        match step:
            case "progress":
                scenario.progressed(number * 5)
            case "stale":
                scenario.progressed(99, token=scenario.token - 1)
            case "estimate":
                scenario.estimated(10.0)
            case "part":
                scenario.part(number)
            case "retry":
                scenario.attempt_failed().started(2)
            case "takeover":
                scenario.started()
            case _:
                scenario.handed_back().started()
    if end != "open":
        getattr(scenario, end)()
    return scenario


@st.composite
def readings(draw: st.DrawFn) -> tuple[RunScenario, list[events.Event]]:
    """Return a run, and its topics read in some interleaving, with parts of them read again."""
    scenario, rng = draw(scenarios()), random.Random(draw(st.integers(0, 2**32)))
    positions = [0] * len(scenario.topics)
    read: list[events.Event] = []
    while left := [number for number, topic in enumerate(scenario.topics) if positions[number] < len(topic)]:
        number = rng.choice(left)
        if positions[number] and rng.random() < 0.2:
            positions[number] -= rng.randint(1, positions[number])  # a batch whose offset was not committed
        read.append(scenario.topics[number][positions[number]])
        positions[number] += 1
    return scenario, read


@many_examples(2)
@given(readings())
def test_H8_any_interleaving_duplication_and_replay_gives_the_same_log(
    reading: tuple[RunScenario, list[events.Event]],
) -> None:
    scenario, read = reading
    assert log_of(read) == log_of(scenario.everything)


@many_examples(2)
@given(readings(), st.integers(0, 2**32))
def test_H8_a_compacted_batch_gives_the_same_log(reading: tuple[RunScenario, list[events.Event]], seed: int) -> None:
    scenario, read = reading
    rng, compacted, position = random.Random(seed), list[events.Event](), 0
    while position < len(read):
        batch = read[position : (position := position + rng.randint(1, len(read)))]
        compacted += compact_batch(batch)  # type: ignore[arg-type]
    assert log_of(compacted) == log_of(scenario.everything)


def test_compaction_leaves_only_the_latest_progress_and_estimate_of_a_run() -> None:
    scenario = (
        RunScenario().triggered().started().progressed(1).estimated(9.0).progressed(2).estimated(8.0).progressed(3)
    )
    other = RunScenario().progressed(4)
    left = compact_batch([*reversed(scenario.everything), *other.everything])  # type: ignore[list-item]
    assert left[-3:] == [scenario.progress[-1], other.progress[-1], scenario.estimates[-1]]
    assert len(left) == 5


@given(readings())
def test_H7_reading_everything_a_second_time_changes_nothing(reading: tuple[RunScenario, list[events.Event]]) -> None:
    scenario, read = reading
    assert log_of([*read, *scenario.everything]) == log_of(read)


@given(scenarios(), st.sampled_from(["succeeded", "failed", "cancelled"]), st.data())
def test_R1_an_ended_run_never_changes(scenario: RunScenario, end: str, data: st.DataObject) -> None:
    getattr(scenario, end)()
    ended = log_of(scenario.everything)
    more = replace(scenario, triggers=[], runs=[], progress=[], estimates=[])
    for step in data.draw(st.lists(st.sampled_from(["started", "failed", "succeeded", "cancelled"]), max_size=3)):
        getattr(more, step)()
    more.progressed(50).estimated(5.0)
    assert log_of([*scenario.everything, *more.everything]) == ended


def test_H8_a_stale_claims_events_change_nothing() -> None:
    scenario = RunScenario().triggered().queued().started().progressed(10).started()
    stale = replace(scenario, token=1, seq=7, runs=[], progress=[], triggers=[], estimates=[])
    stale.part(1).succeeded().progressed(90)
    assert log_of([*scenario.everything, *stale.everything]) == log_of(scenario.everything)


def test_R1_states_follow_the_events() -> None:
    scenario = RunScenario().triggered()

    def state() -> str:
        run = log_of(scenario.everything)[0]
        assert run is not None
        return run.state

    assert state() == "queued"
    assert (scenario.queued(), state())[1] == "queued"
    assert (scenario.started(), state())[1] == "running"
    assert (scenario.attempt_failed(), state())[1] == "queued"
    assert (scenario.started(2), state())[1] == "running"
    assert (scenario.handed_back(), state())[1] == "queued"
    assert (scenario.started(2).part(1).succeeded(), state())[1] == "succeeded"


def test_H7_version_1_of_a_success_gives_the_same_log() -> None:
    scenario = RunScenario().triggered().queued().started().part(1).succeeded(2)
    success = scenario.runs[-1]
    assert isinstance(success, events.RunSucceeded)
    added = {"title", "type", "slot", "cause", "data_complete_note"}
    kept = {each.name: getattr(success, each.name) for each in fields(success) if each.name not in added}
    older = replace(scenario, runs=[*scenario.runs[:-1], events.RunSucceededV1(**kept)])
    assert log_of(older.everything) == log_of(scenario.everything)


def test_S7_a_skipped_slot_is_a_run_in_the_log_with_its_reason() -> None:
    run, entries, _, _ = log_of(RunScenario().slot_skipped().everything)
    assert run is not None
    assert run.fate is not None
    assert (run.state, run.fate.reason, len(entries)) == ("skipped", "suspended", 1)


def test_S9_a_run_skipped_for_overlap_has_its_settings() -> None:
    run, _, _, _ = log_of(RunScenario().triggered().skipped().everything)
    assert run is not None
    assert run.lifecycle is not None
    assert (run.state, run.lifecycle.reason, run.settings) == ("skipped", "overlap", SETTINGS)
    assert run.state in TERMINAL_STATES


def test_an_ended_run_has_neither_progress_nor_estimate() -> None:
    run, _, parts, files = log_of(
        RunScenario().queued().started().progressed(5).estimated(3.0).part(1).succeeded(2).everything
    )
    assert run is not None
    assert (run.progress, run.estimate) == (None, None)
    assert (len(parts), len(files)) == (1, 2)


def test_the_removal_of_files_is_in_the_timeline_and_leaves_the_ended_run_unchanged() -> None:
    run, entries, _, _ = log_of(RunScenario().triggered().queued().started().succeeded().expired().removed().everything)
    assert run is not None
    assert (run.state, run.removed_at is not None) == ("succeeded", True)
    assert "files-expired" in {entry[2] for entry in entries}  # type: ignore[index]
