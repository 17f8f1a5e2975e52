"""The leases of all exporters in PostgreSQL, as others see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from exporter.store.statements import SQL
from shared.postgres import Pool, connection


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLease:
    """A lease on a run, or on a helper's slice (`kind` and `number`); each heartbeat of its holder makes another one.

    `length` is the holder's. `until` is only compared: exporters of the previous release have no other heartbeat.
    """

    run_id: UUID
    kind: str | None
    number: int | None
    token: int
    heartbeat: int
    until: datetime
    length: timedelta | None


class LeaseStore:
    """Lists leases and marks those that have expired; every method raises PostgresUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_held(self) -> list[HeldLease]:
        """Return the leases that have not been marked as expired."""
        async with connection(self._pool) as database:
            return [HeldLease(**dict(row)) for row in await database.fetch(SQL["list_leases"])]

    async def expire(self, leases: Sequence[HeldLease]) -> None:
        """Mark leases as expired, so that any exporter may claim the work, unless they have been renewed since."""
        async with connection(self._pool) as database:
            for lease in leases:
                name = "expire_run" if lease.kind is None else "expire_slice"
                values = [lease.run_id, lease.token, lease.heartbeat, lease.until]
                await database.execute(SQL[name], *values, *([] if lease.kind is None else [lease.kind, lease.number]))
