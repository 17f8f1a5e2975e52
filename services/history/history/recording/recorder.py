"""The recorder: writes batches of events to the run log, exactly once in effect (H7, H8)."""

from collections.abc import Sequence

from history.recording.projections import LogEvent, apply_batch, apply_deliveries, compact_batch
from history.store.deliveries import load_deliveries, save_deliveries
from history.store.log import IdentityChange, JobChange, RunLog
from shared.events import (
    AuditRecorded,
    CancelDelivery,
    CancelRun,
    CertificateDeleted,
    CertificateSaved,
    CertificateTombstone,
    DeliveryEvent,
    DestinationDeleted,
    DestinationSaved,
    DestinationTested,
    DestinationTombstone,
    Event,
    RetryDelivery,
    RunDestinationTest,
    RunNow,
)
from shared.observe import RECORDED_EVENTS

_OF_OTHERS = (
    *(CertificateSaved, CertificateDeleted, CertificateTombstone, CancelRun, RunNow, AuditRecorded),
    *(DestinationSaved, DestinationDeleted, DestinationTombstone, RunDestinationTest, DestinationTested),
    *(RetryDelivery, CancelDelivery),
)
"""Events of topics that the recorder does not follow."""


class Recorder:
    """Applies events to the log; applying the same events again changes nothing."""

    def __init__(self, log: RunLog) -> None:
        self._log = log

    async def record(self, events: Sequence[Event]) -> None:
        """Apply these events, those about runs in one transaction. Raises PostgresUnavailable."""
        identities: list[IdentityChange] = []
        jobs: list[JobChange] = []
        run_events: list[LogEvent] = []
        deliveries: list[DeliveryEvent] = []
        for event in events:
            if isinstance(event, IdentityChange):
                identities.append(event)
            elif isinstance(event, JobChange):
                jobs.append(event)
            elif isinstance(event, DeliveryEvent):
                deliveries.append(event)
            elif not isinstance(event, _OF_OTHERS):
                run_events.append(event)
        if identities:
            await self._log.save_identities(identities)
        if jobs:
            await self._log.save_jobs(jobs)
        if run_events:
            await self._record_runs(run_events)
        if deliveries:
            await self._record_deliveries(deliveries)

    async def _record_runs(self, events: Sequence[LogEvent]) -> None:
        batch = compact_batch(events)
        async with self._log.begin() as database:
            runs = await self._log.load(database, {event.run_id for event in batch})
            changes, outcomes = apply_batch(runs, batch)
            await self._log.save(database, changes)
        outcomes["superseded"] = len(events) - len(batch)
        for outcome, count in outcomes.items():
            RECORDED_EVENTS.labels(outcome).inc(count)

    async def _record_deliveries(self, events: Sequence[DeliveryEvent]) -> None:
        async with self._log.begin() as database:
            known = await load_deliveries(database, {event.delivery_id for event in events})
            changes, outcomes = apply_deliveries(known, events)
            await save_deliveries(database, changes)
        for outcome, count in outcomes.items():
            RECORDED_EVENTS.labels(outcome).inc(count)
