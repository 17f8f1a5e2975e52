"""One change: rows, audit and events, in one transaction, by somebody."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Pending:
    """What a change has to write of itself at its end."""

    events: list[Event] = field(default_factory=list)
    notes: list[tuple[str, str, UUID, Mapping[str, Any] | None, Mapping[str, Any] | None]] = field(default_factory=list)
    answer: tuple[Once, Answer] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction in a tenant's scope, and how to tell of what it does: written at its end, in one go."""

    database: Connection
    actor: Actor
    at: datetime
    _pending: _Pending = field(default_factory=_Pending)

    @classmethod
    @asynccontextmanager
    async def begun(cls, database: Database, actor: Actor, at: datetime) -> AsyncIterator["Change"]:
        """Begin a change; it holds when the block ends without an error."""
        async with database.changing(actor.tenant_id) as connection:
            change = cls(connection, actor, at)
            yield change
            await change.settle()

    def tell(self, *events: Event) -> None:
        """Have events told by the outbox."""
        self._pending.events.extend(events)

    def note(
        self,
        action: str,
        object_id: UUID,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Have a line written in the audit trail; `action` is `<kind>.<verb>`, as in `job.suspend`."""
        self._pending.notes.append((action, action.partition(".")[0], object_id, before, after))

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
        self._pending.answer = (once, answer)
        return answer

    async def settle(self) -> None:
        """Write what is to be told, noted and remembered; for those who began the transaction themselves."""
        pending = self._pending
        if not (pending.events or pending.notes or pending.answer):
            return
        rows = outbox.to_rows(pending.events, source=SOURCE, at=self.at)
        once, answer = pending.answer or (Once("", None, ""), None)
        # One statement: each round trip costs a command more than the rows do.
        await self.database.execute(
            SQL["settle"],
            self.actor.tenant_id,
            self.at,
            self.actor.user_id,
            self.actor.name,
            *_columns(pending.notes, 5),
            *_columns(rows, 5),
            once.operation,
            once.key,
            answer,
        )
        pending.events, pending.notes, pending.answer = [], [], None


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
