"""The recorder: writes batches of events to the run log, exactly once in effect (H7, H8)."""

from collections.abc import Sequence

from history.recording.projections import LogEvent, apply_batch, compact_batch
from history.store.log import IdentityChange, JobChange, RunLog
from shared.events import (
    AuditRecorded,
    CancelRun,
    CertificateDeleted,
    CertificateSaved,
    CertificateTombstone,
    Event,
    IdentityDeleted,
    IdentitySaved,
    IdentityTombstone,
    JobDeleted,
    JobSaved,
    JobTombstone,
    RunNow,
)
from shared.observe import RECORDED_EVENTS


class Recorder:
    """Applies events to the log; applying the same events again changes nothing."""

    def __init__(self, log: RunLog) -> None:
        self._log = log

    async def record(self, events: Sequence[Event]) -> None:
        """Apply these events, those about runs in one transaction. Raises PostgresUnavailable."""
        identities: list[IdentityChange] = []
        jobs: list[JobChange] = []
        run_events: list[LogEvent] = []
        for event in events:
            match event:
                case IdentitySaved() | IdentityDeleted() | IdentityTombstone():
                    identities.append(event)
                case JobSaved() | JobDeleted() | JobTombstone():
                    jobs.append(event)
                case CertificateSaved() | CertificateDeleted() | CertificateTombstone():
                    continue
                case CancelRun() | RunNow() | AuditRecorded():
                    continue
                case _:
                    run_events.append(event)
        if identities:
            await self._log.save_identities(identities)
        if jobs:
            await self._log.save_jobs(jobs)
        if run_events:
            await self._record_runs(run_events)

    async def _record_runs(self, events: Sequence[LogEvent]) -> None:
        batch = compact_batch(events)
        async with self._log.begin() as database:
            runs = await self._log.load(database, {event.run_id for event in batch})
            changes, outcomes = apply_batch(runs, batch)
            await self._log.save(database, changes)
        outcomes["superseded"] = len(events) - len(batch)
        for outcome, count in outcomes.items():
            RECORDED_EVENTS.labels(outcome).inc(count)
