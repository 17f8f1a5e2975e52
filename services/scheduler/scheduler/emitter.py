"""The events of decided slots as outbox rows: the codec's bytes, assembled from parts that are encoded already.

A job's frozen settings are stored as the JSON text that its triggers contain, so no slot parses or encodes them again.
"""

from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter

from scheduler.domain import Decision, JobVersion, Trigger
from shared.events import JobSettings, RunNow, SlotSkipped, SlotTriggered
from shared.outbox import EventRowFactory, OutboxRow
from shared.timetable import format_slot

SOURCE = "scheduler"
_SETTINGS = TypeAdapter(JobSettings)


def to_settings_json(settings: JobSettings) -> str:
    """Return frozen settings as the JSON text that triggers contain."""
    return _SETTINGS.dump_json(settings).decode()


class Emitter:
    """Builds the outbox rows of one transaction, which takes place at `now`."""

    def __init__(self, now: datetime) -> None:
        self._now = now.isoformat()[:-6] + "Z"
        self._triggered = EventRowFactory(SlotTriggered, source=SOURCE, at=now)
        self._skipped = EventRowFactory(SlotSkipped, source=SOURCE, at=now)

    def to_row(self, version: JobVersion, decision: Decision, run_id: str) -> OutboxRow:
        """Return the row that reports a slot's fate. A slot has one fate, so the run's id is the event's id as well."""
        job, slot = str(version.job_id), format_slot(decision.slot)
        if isinstance(decision, Trigger):
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


def to_request_event(
    request: RunNow, run_id: UUID, slot: datetime, *, deleted: bool, now: datetime
) -> SlotTriggered | SlotSkipped:
    """Return the event that reports a run-now request's fate: triggered, or skipped if the job is deleted."""
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
