"""The events of decided slots as outbox rows: the same bytes as the codec's, put together from parts that are ready.

A job's frozen settings are kept as the JSON text that stands in its triggers, so nobody parses and writes them again
for each slot.
"""

from datetime import datetime
from uuid import UUID

from scheduler.domain import Decision, Run, Version
from shared.events import RunNow, SlotSkipped, SlotTriggered
from shared.outbox import EventRowFactory, OutboxRow
from shared.timetable import format_slot

SOURCE = "scheduler"


class Emitter:
    """Makes the rows of one transaction, which happens at `now`."""

    def __init__(self, now: datetime) -> None:
        self._now = now.isoformat()[:-6] + "Z"
        self._triggered = EventRowFactory(SlotTriggered, source=SOURCE, at=now)
        self._skipped = EventRowFactory(SlotSkipped, source=SOURCE, at=now)

    def row(self, version: Version, decision: Decision, run_id: str) -> OutboxRow:
        """Return the row that tells of a slot's fate; a slot has one, so the run's id is the event's too."""
        job, slot = str(version.job_id), format_slot(decision.slot)
        if isinstance(decision, Run):
            value = (
                f'{{"job_id":"{job}","tenant_id":"{version.tenant_id}","run_id":"{run_id}","slot":"{slot}",'
                f'"cause":"{decision.reason}","job_version":{version.number},"settings":{version.settings},'
                f'"overlap":"{version.overlap}","triggered_at":"{self._now}"}}'
            )
            return self._triggered.build(job, run_id, value.encode())
        value = (
            f'{{"job_id":"{job}","tenant_id":"{version.tenant_id}","run_id":"{run_id}","slot":"{slot}",'
            f'"reason":"{decision.reason}","job_version":{version.number},"skipped_at":"{self._now}"}}'
        )
        return self._skipped.build(job, run_id, value.encode())


def answer(
    request: RunNow, run_id: UUID, slot: datetime, *, deleted: bool, now: datetime
) -> SlotTriggered | SlotSkipped:
    """Return what tells of a request's fate: its run, unless the job is deleted."""
    if deleted:
        return SlotSkipped(
            job_id=request.job_id,
            tenant_id=request.tenant_id,
            run_id=run_id,
            slot=slot,
            reason="ended",
            job_version=request.job_version,
            skipped_at=now,
        )
    return SlotTriggered(
        job_id=request.job_id,
        tenant_id=request.tenant_id,
        run_id=run_id,
        slot=slot,
        cause="run-now",
        job_version=request.job_version,
        settings=request.settings,
        overlap=request.overlap,
        triggered_at=now,
    )
