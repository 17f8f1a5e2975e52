"""The recorder: batches of events into the run log, exactly (H7, H8)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

from history.recording.projections import Applied, LogEvent, Run, apply, folded
from history.store.log import Changes, RunLog
from shared.events import CancelRun, CertificateSaved, Event, IdentitySaved, JobDeleted, JobSaved, RunNow
from shared.observe import RECORDED_EVENTS


class Recorder:
    """Applies events to the log; safe to be given the same ones again."""

    def __init__(self, log: RunLog) -> None:
        self._log = log

    async def record(self, events: Sequence[Event]) -> None:
        """Bring the log up to date with these events, all or none of those about runs."""
        identities: list[IdentitySaved] = []
        saved: list[JobSaved] = []
        deleted: list[JobDeleted] = []
        about_runs: list[LogEvent] = []
        for event in events:
            match event:
                case IdentitySaved():
                    identities.append(event)
                case JobSaved():
                    saved.append(event)
                case JobDeleted():
                    deleted.append(event)
                case CertificateSaved() | CancelRun() | RunNow():
                    continue
                case _:
                    about_runs.append(event)
        if identities:
            await self._log.save_identities(identities)
        if saved or deleted:
            await self._log.save_jobs(saved, deleted)
        if about_runs:
            await self._record_runs(about_runs)

    async def _record_runs(self, events: Sequence[LogEvent]) -> None:
        latest = folded(events)
        async with self._log.writing() as database:
            runs = await self._log.load(database, {event.run_id for event in latest})
            changes, outcomes = applied(runs, latest)
            await self._log.save(database, changes)
        outcomes["superseded"] = len(events) - len(latest)
        for outcome, count in outcomes.items():
            RECORDED_EVENTS.labels(outcome).inc(count)


def applied(runs: dict[UUID, Run], events: Iterable[LogEvent]) -> tuple[Changes, Counter[str]]:
    """Return what the events change, each applied in turn to `runs`, and how many changed something or nothing."""
    changes, outcomes = Changes(), Counter[str]()
    for event in events:
        change = apply(runs.get(event.run_id), event)
        outcomes["applied" if change else "passed over"] += 1
        if change is not None:
            runs[event.run_id] = changes.runs[event.run_id] = change.run
            _gather(changes, change)
    return changes, outcomes


def _gather(changes: Changes, change: Applied) -> None:
    if change.entry is not None:
        changes.entries.append(change.entry)
    if change.part is not None:
        changes.parts[change.part.run_id, change.part.kind, change.part.part] = change.part
    changes.artifacts.extend(change.artifacts)
    if change.removal is not None:
        changes.removals.append(change.removal)
