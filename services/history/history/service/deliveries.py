"""Operations on the deliveries of one tenant (rules D6, D11): the log of them, and commands to the deliverers."""

from uuid import UUID

from history.errors import DeliveryNotFound, DeliveryRefused
from history.store.deliveries import DeliveryReader
from history.store.unit_of_work import UnitOfWork
from history.views.deliveries import Delivery, DeliveryDetails, to_delivery, to_delivery_details
from shared.auth import Identity
from shared.events import CancelDelivery, RetryDelivery
from shared.http.lists import Page, PageRequest
from shared.postgres import Record

_OPEN = ("pending", "delivering")
_RETRIED = ("failed", "cancelled")


class DeliveryService:
    """Reads deliveries, and requests that they be retried or cancelled. Every method raises PostgresUnavailable."""

    def __init__(self, deliveries: DeliveryReader) -> None:
        self._deliveries = deliveries

    async def list_page(self, identity: Identity, request: PageRequest) -> Page[Delivery]:
        """Return a page of deliveries."""
        return (await self._deliveries.list_page(identity.tenant_id, request)).map(to_delivery)

    async def get(self, identity: Identity, delivery_id: UUID) -> DeliveryDetails:
        """Return a delivery with its timeline and files. Raises DeliveryNotFound."""
        row = await self._find(identity, delivery_id)
        entries = await self._deliveries.list_entries(delivery_id)
        return to_delivery_details(row, entries, await self._deliveries.list_files(delivery_id))

    async def retry(self, work: UnitOfWork, delivery_id: UUID) -> Delivery:
        """Request another try, which never exports again. Raises DeliveryNotFound, or DeliveryRefused."""
        row = await self._find(work.identity, delivery_id)
        if row["state"] not in _RETRIED:
            raise DeliveryRefused(f"This delivery is {row['state']}: only failed and cancelled ones can be retried.")
        work.emit(
            RetryDelivery(
                job_id=row["job_id"],
                tenant_id=work.identity.tenant_id,
                run_id=row["run_id"],
                delivery_id=delivery_id,
                requested_by=work.identity.user_id,
                requested_at=work.at,
            )
        )
        work.audit("delivery.retry", [delivery_id], before={"state": row["state"]})
        return to_delivery(row)

    async def cancel(self, work: UnitOfWork, delivery_id: UUID) -> Delivery:
        """Request that an open delivery be cancelled. Raises DeliveryNotFound, or DeliveryRefused."""
        row = await self._find(work.identity, delivery_id)
        if row["state"] not in _OPEN:
            raise DeliveryRefused(f"This delivery has already ended: {row['state']}.")
        work.emit(
            CancelDelivery(
                job_id=row["job_id"],
                tenant_id=work.identity.tenant_id,
                run_id=row["run_id"],
                delivery_id=delivery_id,
                requested_by=work.identity.user_id,
                requested_at=work.at,
            )
        )
        work.audit("delivery.cancel", [delivery_id], before={"state": row["state"]})
        return to_delivery(row)

    async def _find(self, identity: Identity, delivery_id: UUID) -> Record:
        row = await self._deliveries.find(identity.tenant_id, delivery_id)
        if row is None:
            raise DeliveryNotFound
        return row
