"""The unit of work: one transaction with its rows and events, those of the audit trail included."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from history.store import SOURCE
from shared import outbox
from shared.auth import Identity
from shared.clock import Clock, SystemClock
from shared.events import AuditRecorded, Event
from shared.postgres import Connection, Pool, transaction

AuditAction = Literal[
    "artifact.download",
    "artifact.download-archive",
    "artifact.link",
    "artifact.delete",
    "delivery.retry",
    "delivery.cancel",
    "run.cancel",
    "run.remove",
    "retention.edit",
]
AuditValues = dict[str, str | int | None]


@dataclass(slots=True)
class UnitOfWork:
    """A transaction that a caller began at an instant; its events are written at its end."""

    connection: Connection
    identity: Identity
    at: datetime
    _events: list[Event] = field(default_factory=list)

    def emit(self, *events: Event) -> None:
        """Publish events when the transaction commits."""
        self._events.extend(events)

    def audit(
        self,
        action: AuditAction,
        object_ids: Sequence[UUID],
        *,
        before: AuditValues | None = None,
        after: AuditValues | None = None,
    ) -> None:
        """Add an entry for each object to the audit trail (rule U5), which job-api keeps for all services."""
        self.emit(
            *(
                AuditRecorded(
                    audit_id=uuid4(),
                    tenant_id=self.identity.tenant_id,
                    service=SOURCE,
                    at=self.at,
                    actor_id=self.identity.user_id,
                    actor_name=self.identity.name,
                    action=action,
                    object_kind=action.partition(".")[0],
                    object_id=object_id,
                    before=before,
                    after=after,
                )
                for object_id in object_ids
            )
        )

    async def flush(self) -> None:
        """Write the events."""
        if self._events:
            await outbox.write(self.connection, self._events, source=SOURCE, at=self.at)


class UnitOfWorkFactory:
    """Begins units of work."""

    def __init__(self, pool: Pool, clock: Clock | None = None) -> None:
        self._pool = pool
        self._clock = clock or SystemClock()

    @asynccontextmanager
    async def begin(self, identity: Identity) -> AsyncIterator[UnitOfWork]:
        """Begin a unit of work; it commits when the block ends, and rolls back when the block raises.

        Raises PostgresUnavailable.
        """
        async with transaction(self._pool) as database:
            work = UnitOfWork(database, identity, self._clock.now())
            yield work
            await work.flush()
