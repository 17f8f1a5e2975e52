"""Destinations and their tests in PostgreSQL, as deliverers see them."""

from dataclasses import dataclass
from uuid import UUID

from pydantic import TypeAdapter

from exporter.store.statements import EVENT_SOURCE, SQL
from shared import outbox
from shared.events import DestinationAddress, DestinationTested, SealedCredentials
from shared.events.values import DestinationKind
from shared.postgres import Pool, Record, connection, transaction

ADDRESS = TypeAdapter(DestinationAddress)
CREDENTIALS = TypeAdapter(SealedCredentials)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDestination:
    """A tenant's destination in one version; its credentials are sealed."""

    destination_id: UUID
    tenant_id: UUID
    version: int
    kind: DestinationKind
    address: DestinationAddress
    credentials: SealedCredentials


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedTest:
    """A test to be carried out, of this version of the destination or a later one."""

    test_id: UUID
    destination_id: UUID
    tenant_id: UUID
    version: int


class DestinationStore:
    """Destinations and their tests; every method raises PostgresUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim_test(self) -> RequestedTest | None:
        """Return the next requested test, which another deliverer begins again if this one does not end it in time."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["claim_destination_test"])
        return None if row is None else RequestedTest(**dict(row))

    async def find(self, destination_id: UUID, tenant_id: UUID) -> SealedDestination | None:
        """Return a tenant's destination, or None when it is unknown or deleted."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["read_destination"], destination_id, tenant_id)
        return None if row is None else to_destination(row)

    async def end_test(self, tested: DestinationTested) -> None:
        """Record that a test has ended, with its event; does nothing when it had ended before."""
        async with transaction(self._pool) as database:
            if await database.fetchval(SQL["end_destination_test"], tested.test_id) is not None:
                await outbox.write(database, [tested], source=EVENT_SOURCE, at=tested.at)

    async def purge_tests(self) -> None:
        """Remove tests whose command can no longer be read again."""
        async with connection(self._pool) as database:
            await database.execute(SQL["purge_destination_tests"])


def to_destination(row: Record) -> SealedDestination:
    """Return the destination in a row."""
    return SealedDestination(
        destination_id=row["destination_id"],
        tenant_id=row["tenant_id"],
        version=row["version"],
        kind=row["kind"],
        address=ADDRESS.validate_json(row["address"]),
        credentials=CREDENTIALS.validate_json(row["credentials"]),
    )
