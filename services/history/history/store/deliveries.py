"""Deliveries of the log: written by the recorder within its transaction, and read for one tenant (rule U3)."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from history.recording.projections import DeliveryChanges, DeliveryEntry, LoggedDelivery
from history.store import SQL
from history.store.lists import DELIVERIES, DELIVERY_COLUMNS
from shared.events import FileDelivered
from shared.http.lists import Page, PageRequest
from shared.postgres import Connection, Pool, Record, connection

_DELIVERY = TypeAdapter(LoggedDelivery)
_ENTRY = TypeAdapter(DeliveryEntry)
_FILE = TypeAdapter(FileDelivered)
_FIND = SQL["find_delivery"].replace("{columns}", DELIVERY_COLUMNS)


async def load_deliveries(database: Connection, delivery_ids: Collection[UUID]) -> dict[UUID, LoggedDelivery]:
    """Return those of the deliveries that the log has."""
    rows = await database.fetch(SQL["load_deliveries"], list(delivery_ids))
    return {row["delivery_id"]: LoggedDelivery(**row) for row in rows}


async def save_deliveries(database: Connection, changes: DeliveryChanges) -> None:
    """Write the changes, and let their runs be shown again; each write can be repeated."""
    if not changes.deliveries:
        return
    rows = [_DELIVERY.dump_python(each, mode="json") for each in changes.deliveries.values()]
    await database.execute(SQL["save_deliveries"], rows)
    entries = [_ENTRY.dump_python(each, mode="json") for each in changes.entries]
    await database.execute(SQL["insert_delivery_entries"], entries)
    files = [_FILE.dump_python(each, mode="json") for each in changes.files.values()]
    await database.execute(SQL["save_delivered_files"], files)
    run_ids = [each.run_id for each in changes.deliveries.values()]
    await database.execute(SQL["touch_runs"], run_ids)
    await database.execute(SQL["keep_delivered"], run_ids)
    await database.execute(SQL["notify"])


class DeliveryReader:
    """Reads deliveries. Every method raises PostgresUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_page(self, tenant_id: UUID, request: PageRequest) -> Page[Record]:
        """Return a page of a tenant's deliveries."""
        async with connection(self._pool) as database:
            return await DELIVERIES.fetch(database, tenant_id, request)

    async def find(self, tenant_id: UUID, delivery_id: UUID) -> Record | None:
        """Return a delivery."""
        async with connection(self._pool) as database:
            return await database.fetchrow(_FIND, tenant_id, delivery_id)

    async def list_entries(self, delivery_id: UUID) -> list[dict[str, Any]]:
        """Return a delivery's timeline."""
        async with connection(self._pool) as database:
            return [dict(row) for row in await database.fetch(SQL["list_delivery_entries"], delivery_id)]

    async def list_files(self, delivery_id: UUID) -> list[dict[str, Any]]:
        """Return the files that are complete at the destination, the latest first, at most 1,000."""
        async with connection(self._pool) as database:
            return [dict(row) for row in await database.fetch(SQL["list_delivered_files"], delivery_id)]
