"""Batches of events: which of them need not be applied, and what they change together."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from history.recording.projections.apply import LogEvent, apply
from history.recording.projections.state import LogEntry, LoggedArtifact, LoggedPart, LoggedRun, RunChange
from shared import events


@dataclass(slots=True)
class BatchChanges:
    """What a batch of events changes in the log; parts by run, kind and number."""

    runs: dict[UUID, LoggedRun] = field(default_factory=dict)
    entries: list[LogEntry] = field(default_factory=list)
    parts: dict[tuple[UUID, str, int], LoggedPart] = field(default_factory=dict)
    artifacts: list[LoggedArtifact] = field(default_factory=list)
    removals: list[events.FilesExpired] = field(default_factory=list)

    def add(self, change: RunChange) -> None:
        """Add the change of one event, which is newer than those before."""
        self.runs[change.run.run_id] = change.run
        if change.entry is not None:
            self.entries.append(change.entry)
        if change.part is not None:
            self.parts[change.part.run_id, change.part.kind, change.part.part] = change.part
        self.artifacts.extend(change.artifacts)
        if change.removal is not None:
            self.removals.append(change.removal)


def compact_batch(batch: Iterable[LogEvent]) -> list[LogEvent]:
    """Return the batch without the progress and estimates that later ones supersede; what is left of them comes last.

    The log is the same: of two progress events of a run the one with the greater (token, seq) wins, whatever else is
    applied between them; and where the greater is ignored as stale or too late, the smaller is as well.
    """
    others: list[LogEvent] = []
    progress: dict[int, events.RunProgressed] = {}
    estimates: dict[int, events.RunEstimated] = {}
    for event in batch:
        if type(event) is events.RunProgressed:
            latest = progress.get(key := event.run_id.int)
            if latest is None or (event.token, event.seq) > (latest.token, latest.seq):
                progress[key] = event
        elif type(event) is events.RunEstimated:
            newest = estimates.get(key := event.run_id.int)
            if newest is None or (event.token, event.seq) > (newest.token, newest.seq):
                estimates[key] = event
        else:
            others.append(event)
    return [*others, *progress.values(), *estimates.values()]


def apply_batch(runs: dict[UUID, LoggedRun], batch: Iterable[LogEvent]) -> tuple[BatchChanges, Counter[str]]:
    """Apply events in turn to `runs`, which is updated; return the changes, and the number of events by outcome."""
    changes, outcomes = BatchChanges(), Counter[str]()
    for event in batch:
        change = apply(runs.get(event.run_id), event)
        outcomes["applied" if change else "ignored"] += 1
        if change is not None:
            runs[event.run_id] = change.run
            changes.add(change)
    return changes, outcomes
