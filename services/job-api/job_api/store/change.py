"""One change: rows, audit and events, in one transaction, by somebody."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from job_api.errors import IdempotencyConflict
from job_api.store.database import SOURCE, SQL, Database
from shared import outbox
from shared.auth import Identity
from shared.events import Event
from shared.postgres import Connection

Answer = dict[str, Any]
"""What was answered, as JSON: `status`, `headers`, `body`."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change, within one tenant; `user_id` None is the system itself."""

    tenant_id: UUID
    user_id: UUID | None
    name: str

    @classmethod
    def of(cls, who: Identity) -> "Actor":
        """Return the actor behind a request."""
        return cls(who.tenant_id, who.user_id, who.name)

    @classmethod
    def system(cls, tenant_id: UUID) -> "Actor":
        """Return the system, acting on a tenant's things."""
        return cls(tenant_id, None, "system")


@dataclass(frozen=True, slots=True)
class Once:
    """A request that may be sent again: its Idempotency-Key, if it has one, and the hash of its body."""

    operation: str
    key: str | None
    body_hash: str


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction in a tenant's scope, and how to tell of what it does."""

    database: Connection
    actor: Actor
    at: datetime

    @classmethod
    @asynccontextmanager
    async def begun(cls, database: Database, actor: Actor, at: datetime) -> AsyncIterator["Change"]:
        """Begin a change; it holds when the block ends without an error."""
        async with database.changing(actor.tenant_id) as connection:
            yield cls(connection, actor, at)

    async def tell(self, *events: Event) -> None:
        """Write events into the outbox."""
        await outbox.write(self.database, events, source=SOURCE, at=self.at)

    async def note(
        self,
        action: str,
        object_id: UUID,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a line of the audit trail; `action` is `<kind>.<verb>`, as in `job.suspend`."""
        actor, kind = self.actor, action.partition(".")[0]
        await self.database.execute(
            SQL["insert_audit"],
            actor.tenant_id,
            self.at,
            actor.user_id,
            actor.name,
            action,
            kind,
            object_id,
            before,
            after,
        )

    async def once(self, once: Once, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """Answer as the same request was answered before, else make the answer and keep it.

        Raises IdempotencyConflict when the key was used for something else.
        """
        if once.key is None:
            return await make()
        place = (self.actor.tenant_id, self.actor.user_id, once.operation, once.key)
        if await self.database.fetchval(SQL["reserve_key"], *place, once.body_hash, self.at) is None:
            row = await self.database.fetchrow(SQL["recall_key"], *place)
            if row is None or row["body_hash"] != once.body_hash:
                raise IdempotencyConflict(once.key)
            earlier: Answer = row["answer"]
            return earlier
        answer = await make()
        await self.database.execute(SQL["answer_key"], *place, answer)
        return answer
