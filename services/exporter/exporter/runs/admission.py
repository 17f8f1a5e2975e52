"""Admission: triggers, commands, deletions and certificates come into the exporter's own tables at once.

So Kafka never waits for a long run. All of it may come twice, and commands and deletions may come before their trigger.
"""

from collections.abc import Sequence
from datetime import datetime

from exporter.domain.runs import JobFacts, admit
from exporter.store.runs import SETTINGS, SQL, RunStore
from shared.errors import MessageRejected
from shared.events import (
    CancelRun,
    CertificateSaved,
    Event,
    JobDeleted,
    RunCancelled,
    RunQueued,
    RunSkipped,
    SlotTriggered,
)
from shared.observe import RUNS_ENDED
from shared.postgres import Connection


class Admissions:
    """Takes events in, each idempotently."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    async def take(self, events: Sequence[Event]) -> None:
        """Take events in their order, in one transaction; kinds that exporters need not know are passed over."""
        async with self._store.transaction() as database:
            now: datetime = await database.fetchval("SELECT clock_timestamp()")
            await self._lock_in_one_order(database, events)
            for event in events:
                match event:
                    case SlotTriggered():
                        await self._trigger(database, event, now)
                    case CancelRun():
                        await self._cancel(database, event)
                    case JobDeleted():
                        await self._deletion(database, event)
                    case CertificateSaved():
                        await self._certificate(database, event)
                    case _:
                        continue

    async def _lock_in_one_order(self, database: Connection, events: Sequence[Event]) -> None:
        jobs = sorted({event.job_id for event in events if isinstance(event, SlotTriggered | JobDeleted)})
        await database.execute(SQL["insert_job"], jobs)
        for job_id in jobs:
            await database.fetchrow(SQL["lock_job"], job_id)

    async def _trigger(self, database: Connection, trigger: SlotTriggered, now: datetime) -> None:
        row = await database.fetchrow(SQL["lock_job"], trigger.job_id)
        if row is None:
            raise MessageRejected("the trigger's job has no row")
        verdict = admit(trigger, JobFacts(row["deleted"], row["queued"], row["running"]))
        new = await database.fetchval(
            SQL["insert_run"],
            trigger.run_id,
            trigger.job_id,
            trigger.tenant_id,
            trigger.slot,
            SETTINGS.dump_json(trigger.settings).decode(),
            verdict,
            now,
            "job-deleted" if verdict == "cancelled" else None,
            trigger.cause,
        )
        if new is None:
            return
        await self._store.write_events(database, _admission_events(trigger, verdict, now), now)
        if verdict != "queued":
            RUNS_ENDED.labels(verdict, "overlap" if verdict == "skipped" else "job-deleted").inc()
            return
        early = await database.fetchrow(SQL["take_early_cancel"], trigger.run_id)
        if early is not None:
            await database.execute(SQL["ask_cancel"], [trigger.run_id], "requested", early["requested_by"])

    async def _cancel(self, database: Connection, command: CancelRun) -> None:
        if await database.fetchval(SQL["run_exists"], command.run_id):
            await database.execute(SQL["ask_cancel"], [command.run_id], "requested", command.requested_by)
        else:
            await database.execute(SQL["keep_early_cancel"], command.run_id, command.requested_by)

    async def _deletion(self, database: Connection, deletion: JobDeleted) -> None:
        open_runs = [row["run_id"] for row in await database.fetch(SQL["delete_job"], deletion.job_id)]
        await database.execute(SQL["ask_cancel"], open_runs, "job-deleted", None)

    async def _certificate(self, database: Connection, saved: CertificateSaved) -> None:
        await database.execute(
            SQL["save_certificate"],
            saved.certificate_id,
            saved.tenant_id,
            saved.version,
            saved.state == "active",
            saved.pem,
        )


def _admission_events(trigger: SlotTriggered, verdict: str, now: datetime) -> list[Event]:
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
    if verdict == "queued":
        return [queued]
    if verdict == "skipped":
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
