"""What the admission of deliveries reads and writes. All writes are idempotent."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from exporter.store.deliveries import DELIVERY_SETTINGS, FILES
from exporter.store.destinations import ADDRESS, CREDENTIALS
from exporter.store.statements import EVENT_SOURCE, JOB_SETTINGS, SQL
from shared import outbox
from shared.events import (
    CancelDelivery,
    DeliveryCreated,
    DeliveryRetried,
    DestinationDeleted,
    DestinationSaved,
    Event,
    JobSettings,
    RetryDelivery,
    RunDestinationTest,
    RunSucceeded,
    RunSucceededV1,
    derive_delivery_id,
)
from shared.postgres import Connection, Pool, transaction


class DeliveryAdmissionStore:
    """The tables of one transaction; every method raises PostgresUnavailable."""

    def __init__(self, database: Connection) -> None:
        self._database = database

    @classmethod
    @asynccontextmanager
    async def begin(cls, pool: Pool) -> AsyncIterator["DeliveryAdmissionStore"]:
        """Begin a transaction."""
        async with transaction(pool) as database:
            yield cls(database)

    async def read_clock(self) -> datetime:
        """Return the database's clock."""
        instant: datetime = await self._database.fetchval("SELECT clock_timestamp()")
        return instant

    async def read_run(self, run_id: UUID) -> tuple[JobSettings, datetime] | None:
        """Return the frozen settings and the slot of a run whose files are to be delivered; None for another run."""
        row = await self._database.fetchrow(SQL["read_run_delivery"], run_id)
        return None if row is None else (JOB_SETTINGS.validate_json(row["settings"]), row["slot"])

    async def insert_delivery(
        self,
        run: RunSucceeded | RunSucceededV1,
        destination_id: UUID,
        *,
        settings: JobSettings,
        slot: datetime,
        now: datetime,
    ) -> DeliveryCreated | None:
        """Create a delivery and return its event, or None when it was created before."""
        assert settings.delivery is not None
        delivery_id = derive_delivery_id(run.run_id, destination_id)
        give_up_at = await self._database.fetchval(
            *SQL.bind(
                "insert_delivery",
                delivery_id=delivery_id,
                run_id=run.run_id,
                job_id=run.job_id,
                tenant_id=run.tenant_id,
                destination_id=destination_id,
                title=settings.title,
                type=settings.type,
                slot=slot,
                settings=DELIVERY_SETTINGS.dump_json(settings.delivery).decode(),
                files=FILES.dump_json(run.files).decode(),
                manifest=run.manifest,
                now=now,
                within_hours=settings.delivery.within_hours,
            )
        )
        if give_up_at is None:
            return None
        known = await self._database.fetchrow(SQL["find_destination"], destination_id, run.tenant_id)
        return DeliveryCreated(
            job_id=run.job_id,
            tenant_id=run.tenant_id,
            run_id=run.run_id,
            delivery_id=delivery_id,
            destination_id=destination_id,
            token=0,
            seq=0,
            at=now,
            destination_name=known["name"] if known else None,
            destination_kind=known["kind"] if known else None,
            title=settings.title,
            slot=slot,
            files=len(run.files),
            bytes=run.bytes_packed,
            give_up_at=give_up_at,
        )

    async def save_destination(self, saved: DestinationSaved) -> None:
        """Save a destination unless a newer version is already saved."""
        await self._database.execute(
            *SQL.bind(
                "save_destination",
                destination_id=saved.destination_id,
                tenant_id=saved.tenant_id,
                version=saved.version,
                state=saved.state,
                name=saved.name,
                kind=saved.kind,
                address=ADDRESS.dump_json(saved.address).decode(),
                credentials=CREDENTIALS.dump_json(saved.credentials).decode(),
            )
        )

    async def delete_destination(self, deleted: DestinationDeleted) -> None:
        """Forget a destination's address and credentials, let no older version come back, cancel its deliveries."""
        await self._database.execute(
            *SQL.bind(
                "save_destination",
                destination_id=deleted.destination_id,
                tenant_id=deleted.tenant_id,
                version=deleted.version,
                state="deleted",
                name=None,
                kind=None,
                address=None,
                credentials=None,
            )
        )
        await self._database.execute(SQL["cancel_deliveries_of"], deleted.destination_id, deleted.tenant_id)

    async def forget_destination(self, destination_id: UUID) -> None:
        """Remove a destination that was deleted long ago."""
        await self._database.execute(SQL["forget_destination"], destination_id)

    async def request_cancel(self, command: CancelDelivery) -> None:
        """Request the cancellation of an open delivery."""
        values = (command.delivery_id, command.tenant_id, command.requested_by, command.requested_at)
        await self._database.execute(SQL["request_delivery_cancel"], *values)

    async def retry(self, command: RetryDelivery) -> DeliveryRetried | None:
        """Make a delivery that has failed or was cancelled pending again; return its event, or None for another one."""
        row = await self._database.fetchrow(
            SQL["retry_delivery"], command.delivery_id, command.tenant_id, command.requested_at
        )
        if row is None:
            return None
        return DeliveryRetried(
            **dict(row), tenant_id=command.tenant_id, delivery_id=command.delivery_id, requested_by=command.requested_by
        )

    async def insert_test(self, command: RunDestinationTest) -> None:
        """Save a requested test, once."""
        values = (command.test_id, command.destination_id, command.tenant_id, command.version)
        await self._database.execute(SQL["insert_destination_test"], *values)

    async def write_events(self, events: Sequence[Event], at: datetime) -> None:
        """Write events to the outbox."""
        await outbox.write(self._database, events, source=EVENT_SOURCE, at=at)
