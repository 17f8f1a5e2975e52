"""Admission: triggers, commands, deletions and certificates enter the exporter's own tables at once.

So Kafka never waits for a long run. All of them may arrive twice, and commands and deletions may precede their trigger.
"""

from collections.abc import Sequence
from datetime import datetime

from exporter.domain.admission import Admission, decide_admission
from exporter.runs.counting import count_end
from exporter.store.admission import AdmissionStore
from shared.errors import MessageRejected
from shared.events import (
    CancelRun,
    CertificateDeleted,
    CertificateSaved,
    CertificateTombstone,
    Event,
    JobDeleted,
    JobTombstone,
    RunCancelled,
    RunQueued,
    RunSkipped,
    SlotTriggered,
)
from shared.postgres import Pool


class AdmissionService:
    """Admits events, each idempotently."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def admit(self, events: Sequence[Event]) -> None:
        """Admit events in their order, in one transaction; kinds that exporters do not need are ignored.

        Raises MessageRejected for a trigger that cannot be admitted, and PostgresUnavailable.
        """
        async with AdmissionStore.begin(self._pool) as store:
            now = await store.read_clock()
            # Sorted, so that concurrent transactions lock jobs in the same order.
            await store.lock_jobs(
                sorted(
                    {event.job_id for event in events if isinstance(event, SlotTriggered | JobDeleted | JobTombstone)}
                )
            )
            for event in events:
                match event:
                    case SlotTriggered():
                        await _admit_trigger(store, event, now)
                    case CancelRun():
                        await store.request_cancel(event.run_id, event.requested_by)
                    case JobDeleted() | JobTombstone():
                        await store.delete_job(event.job_id)
                    case CertificateSaved():
                        await store.save_certificate(event)
                    case CertificateDeleted():
                        await store.delete_certificate(event)
                    case CertificateTombstone():
                        await store.forget_certificate(event.certificate_id)
                    case _:
                        continue


async def _admit_trigger(store: AdmissionStore, trigger: SlotTriggered, now: datetime) -> None:
    job = await store.read_job(trigger.job_id)
    if job is None:
        raise MessageRejected("the trigger's job has no row")
    admission = decide_admission(trigger, job)
    if not await store.insert_run(trigger, admission, now):
        return
    await store.write_events(_build_events(trigger, admission, now), now)
    if admission == "queued":
        await store.apply_early_cancel(trigger.run_id)
    else:
        count_end(admission, "overlap" if admission == "skipped" else "job-deleted")


def _build_events(trigger: SlotTriggered, admission: Admission, now: datetime) -> list[Event]:
    queued = RunQueued(
        job_id=trigger.job_id,
        tenant_id=trigger.tenant_id,
        run_id=trigger.run_id,
        token=0,
        seq=0,
        at=now,
        slot=trigger.slot,
        cause=trigger.cause,
        settings=trigger.settings,
    )
    match admission:
        case "queued":
            return [queued]
        case "skipped":
            skipped = RunSkipped(
                job_id=trigger.job_id,
                tenant_id=trigger.tenant_id,
                run_id=trigger.run_id,
                token=0,
                seq=0,
                at=now,
                slot=trigger.slot,
                cause=trigger.cause,
                reason="overlap",
                settings=trigger.settings,
            )
            return [skipped]
        case "cancelled":
            cancelled = RunCancelled(
                job_id=trigger.job_id,
                tenant_id=trigger.tenant_id,
                run_id=trigger.run_id,
                token=0,
                seq=1,
                at=now,
                reason="job-deleted",
                requested_by=None,
            )
            return [queued, cancelled]
