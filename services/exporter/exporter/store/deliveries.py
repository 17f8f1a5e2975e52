"""Deliveries in PostgreSQL; every write under a claim checks its fencing token."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from exporter.errors import LeaseLost
from exporter.store.destinations import SealedDestination, to_destination
from exporter.store.statements import EVENT_SOURCE, SQL
from shared import outbox
from shared.events import (
    DeliveryCancelled,
    DeliveryEvent,
    DeliveryFailed,
    DeliverySettings,
    DeliveryStarted,
    ExportedFile,
)
from shared.object_names import RunNames
from shared.postgres import Connection, Pool, Record, connection, transaction

DELIVERY_SETTINGS = TypeAdapter(DeliverySettings)
FILES = TypeAdapter(tuple[ExportedFile, ...])
_NOT_POSSIBLE = ("destination-unavailable", "The delivery was not possible in time.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLease:
    """A lease on a delivery; each heartbeat of its holder makes another one. `length` is the holder's."""

    delivery_id: UUID
    token: int
    heartbeat: int
    length: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryClaim:
    """A delivery that is ours until its lease expires."""

    delivery_id: UUID
    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    destination: SealedDestination
    names: RunNames
    settings: DeliverySettings
    files: tuple[ExportedFile, ...]
    manifest: str
    attempt: int
    token: int
    taken_over: bool

    def get_event_fields(self, seq: int, at: datetime) -> dict[str, Any]:
        """Return the fields that all events of this claim have."""
        return {
            "job_id": self.job_id,
            "tenant_id": self.tenant_id,
            "run_id": self.run_id,
            "delivery_id": self.delivery_id,
            "destination_id": self.destination.destination_id,
            "token": self.token,
            "seq": seq,
            "at": at,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedDelivery:
    """A claim that was just verified and whose delivery is locked: the next event's number and time.

    `is_overdue` says whether the delivery is to be given up if this attempt fails.
    """

    seq: int
    at: datetime
    cancel_reason: str | None
    cancel_by: UUID | None
    bytes_sent: int
    is_overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredObject:
    """An object that was verified at the destination, with the provider's tag at that time."""

    name: str
    size: int
    sha256: str
    tag: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Pending deliveries, the age of the oldest in seconds, and destinations whose last attempt failed."""

    pending: int
    oldest: float
    failing: int


class DeliveryStore:
    """The deliveries that all deliverers share; every method raises PostgresUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(
        self, deliverer: str, lease: timedelta, *, destination_limit: int, tenant_limit: int
    ) -> DeliveryClaim | None:
        """Claim the next delivery under a lease, or return None when there is none; its event is written."""
        async with transaction(self._pool) as database:
            await database.execute(SQL["lock_delivery_claims"])
            row = await database.fetchrow(
                *SQL.bind(
                    "claim_delivery",
                    deliverer=deliverer,
                    lease=lease,
                    destination_limit=destination_limit,
                    tenant_limit=tenant_limit,
                )
            )
            if row is None:
                return None
            claim = _to_claim(row)
            fields = claim.get_event_fields(1, row["at"])
            started = DeliveryStarted(**fields, deliverer=deliverer, attempt=claim.attempt)
            await self.write_events(database, [started], row["at"])
        return claim

    async def renew(self, claim: DeliveryClaim, lease: timedelta) -> bool:
        """Extend the lease and return whether the delivery is to be cancelled. Raises LeaseLost."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["renew_delivery"], claim.delivery_id, claim.token, lease)
        if row is None:
            raise _lease_lost(claim)
        return bool(row["cancelled"])

    @asynccontextmanager
    async def lock_claim(self, claim: DeliveryClaim) -> AsyncIterator[tuple[Connection, LockedDelivery]]:
        """Begin a transaction in which the claim is certain to be valid. Raises LeaseLost."""
        async with transaction(self._pool) as database:
            row = await database.fetchrow(SQL["lock_delivery_claim"], claim.delivery_id, claim.token)
            if row is None:
                raise _lease_lost(claim)
            yield (
                database,
                LockedDelivery(
                    seq=row["seq"],
                    at=row["at"],
                    cancel_reason=row["cancel_reason"],
                    cancel_by=row["cancel_by"],
                    bytes_sent=row["bytes_sent"],
                    is_overdue=row["overdue"],
                ),
            )

    async def list_delivered(self, claim: DeliveryClaim) -> Mapping[str, DeliveredObject]:
        """Return the objects that earlier attempts have verified, by name."""
        async with connection(self._pool) as database:
            rows = await database.fetch(SQL["list_delivered_objects"], claim.delivery_id)
        return {row["name"]: DeliveredObject(**dict(row)) for row in rows}

    async def save_delivered(
        self, database: Connection, claim: DeliveryClaim, delivered: DeliveredObject, *, at: datetime, bytes_sent: int
    ) -> None:
        """Save an object that was verified, and count the bytes that were sent for it."""
        await database.execute(
            *SQL.bind(
                "save_delivered_object",
                delivery_id=claim.delivery_id,
                name=delivered.name,
                size=delivered.size,
                sha256=delivered.sha256,
                tag=delivered.tag,
                at=at,
            )
        )
        await database.execute(SQL["add_bytes_sent"], claim.delivery_id, bytes_sent)

    async def complete(self, database: Connection, claim: DeliveryClaim) -> None:
        """Put a delivery into the state `delivered`; its destination works."""
        await database.execute(SQL["end_delivery"], claim.delivery_id, "delivered", None, None)
        await database.execute(SQL["clear_destination"], claim.destination.destination_id)

    async def end(
        self, database: Connection, claim: DeliveryClaim, state: str, *, error: tuple[str, str] | None
    ) -> None:
        """Put a delivery into the state `failed` or `cancelled`; `error` is its code and message."""
        code, message = error or (None, None)
        await database.execute(SQL["end_delivery"], claim.delivery_id, state, code, message)

    async def requeue(
        self, database: Connection, claim: DeliveryClaim, delay: timedelta, *, error: tuple[str, str] | None
    ) -> datetime:
        """Hand a delivery back; return when it may be claimed again. Without an `error` the attempt is not counted."""
        code, message = error or (None, None)
        counted = 0 if error else -1
        at: datetime = await database.fetchval(
            SQL["requeue_delivery"], claim.delivery_id, delay, counted, code, message
        )
        return at

    async def delay_destination(self, database: Connection, claim: DeliveryClaim) -> None:
        """Have the destination tried again later, by one delivery at a time."""
        await database.execute(SQL["delay_destination"], claim.destination.destination_id, claim.destination.version)

    async def end_unclaimed(self) -> Sequence[DeliveryCancelled | DeliveryFailed]:
        """Cancel or give up what no deliverer holds; return the events, already written."""
        async with transaction(self._pool) as database:
            ended = [_to_end(row) for row in await database.fetch(SQL["end_unclaimed_deliveries"])]
            for event in ended:
                await self.write_events(database, [event], event.at)
        return ended

    async def list_leases(self) -> list[DeliveryLease]:
        """Return the leases that have not been marked as expired."""
        async with connection(self._pool) as database:
            return [DeliveryLease(**dict(row)) for row in await database.fetch(SQL["list_delivery_leases"])]

    async def expire(self, leases: Sequence[DeliveryLease]) -> None:
        """Mark leases as expired, so that any deliverer may take over, unless they have been renewed since."""
        async with connection(self._pool) as database:
            for lease in leases:
                await database.execute(SQL["expire_delivery"], lease.delivery_id, lease.token, lease.heartbeat)

    async def get_seconds_to_retry(self) -> float | None:
        """Return the seconds until a pending delivery may be tried again; None when there is no such delivery."""
        async with connection(self._pool) as database:
            seconds: float | None = await database.fetchval(SQL["seconds_to_delivery"])
        return seconds

    async def measure_backlog(self) -> Backlog:
        """Return what waits."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["measure_deliveries"])
        assert row is not None
        return Backlog(**dict(row))

    async def write_events(self, database: Connection, events: Sequence[DeliveryEvent], at: datetime) -> None:
        """Write events to the outbox."""
        await outbox.write(database, events, source=EVENT_SOURCE, at=at)  # type: ignore[arg-type]  # each is an Event


def _lease_lost(claim: DeliveryClaim) -> LeaseLost:
    return LeaseLost(f"delivery {claim.delivery_id} is no longer held under token {claim.token}")


def _to_claim(row: Record) -> DeliveryClaim:
    return DeliveryClaim(
        delivery_id=row["delivery_id"],
        run_id=row["run_id"],
        job_id=row["job_id"],
        tenant_id=row["tenant_id"],
        destination=to_destination(row),
        names=RunNames(
            job_id=row["job_id"], run_id=row["run_id"], title=row["title"], type=row["type"], slot=row["slot"]
        ),
        settings=DELIVERY_SETTINGS.validate_json(row["settings"]),
        files=FILES.validate_json(row["files"]),
        manifest=row["manifest"],
        attempt=row["attempt"],
        token=row["token"],
        taken_over=row["previous_state"] == "delivering",
    )


def _to_end(row: Record) -> DeliveryCancelled | DeliveryFailed:
    names = ("job_id", "tenant_id", "run_id", "delivery_id", "destination_id", "token", "seq")
    fields: dict[str, Any] = {name: row[name] for name in names} | {"at": row["ended_at"]}
    if row["state"] == "cancelled":
        return DeliveryCancelled(**fields, reason=row["cancel_reason"], requested_by=row["cancel_by"])
    code, message = _NOT_POSSIBLE
    return DeliveryFailed(
        **fields, attempt=row["attempt"], code=row["error_code"] or code, message=row["error_message"] or message
    )
