"""The unit of work: one transaction with its rows, audit entries and events."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from history.store import SOURCE, SQL
from shared import outbox
from shared.auth import Identity
from shared.clock import Clock, SystemClock
from shared.events import Event
from shared.postgres import Connection, Pool, transaction

AuditAction = Literal[
    "download", "download-archive", "make-link", "delete-file", "cancel-run", "remove-run", "set-retention"
]


@dataclass(slots=True)
class UnitOfWork:
    """A transaction that a caller began at an instant; events and audit entries are written at its end."""

    connection: Connection
    identity: Identity
    at: datetime
    _events: list[Event] = field(default_factory=list)
    _entries: list[tuple[AuditAction, list[UUID], dict[str, object]]] = field(default_factory=list)

    def emit(self, *events: Event) -> None:
        """Publish events when the transaction commits."""
        self._events.extend(events)

    def audit(self, action: AuditAction, object_ids: Sequence[UUID], **details: object) -> None:
        """Add an entry for each object to the audit trail (rule U5)."""
        self._entries.append((action, list(object_ids), details))

    async def flush(self) -> None:
        """Write the audit entries and events."""
        for action, object_ids, details in self._entries:
            statement = SQL.bind(
                "add_audit",
                tenant_id=self.identity.tenant_id,
                user_id=self.identity.user_id,
                name=self.identity.name,
                action=action,
                object_ids=object_ids,
                details=details,
            )
            await self.connection.execute(*statement)
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
