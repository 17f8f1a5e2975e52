"""One unit of work: rows, audit entries and events, written in one transaction on behalf of one actor."""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from job_api.store.database import SERVICE, SQL, Database
from shared import outbox
from shared.auth import Identity
from shared.clock import Clock
from shared.events import Event
from shared.postgres import Connection

_PARAMETER = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Actor:
    """On whose behalf a change is made, within one tenant; `user_id` is None for the system itself."""

    tenant_id: UUID
    user_id: UUID | None
    name: str

    @classmethod
    def from_identity(cls, identity: Identity) -> "Actor":
        """Return the actor behind a request."""
        return cls(identity.tenant_id, identity.user_id, identity.name)

    @classmethod
    def system(cls, tenant_id: UUID) -> "Actor":
        """Return the system, acting within a tenant."""
        return cls(tenant_id, None, "system")


@dataclass(slots=True)
class _Pending:
    """What a unit of work still has to write."""

    events: list[Event] = field(default_factory=list)
    entries: list[tuple[str, str, UUID, Mapping[str, Any] | None, Mapping[str, Any] | None]] = field(
        default_factory=list
    )
    statements: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    callbacks: list[Callable[[], None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class UnitOfWork:
    """A transaction in a tenant's scope; its events and audit entries are written at its end, in one statement."""

    connection: Connection
    actor: Actor
    at: datetime
    _pending: _Pending = field(default_factory=_Pending)

    @classmethod
    @asynccontextmanager
    async def begin(cls, database: Database, actor: Actor, at: datetime) -> AsyncIterator["UnitOfWork"]:
        """Begin a unit of work; it is committed when the block ends without an error. Raises PostgresUnavailable."""
        async with database.transaction(actor.tenant_id) as connection:
            work = cls(connection, actor, at)
            yield work
            await work.flush()
        for callback in work._pending.callbacks:
            callback()

    def emit(self, *events: Event) -> None:
        """Add events to the outbox."""
        self._pending.events.extend(events)

    def audit(
        self,
        action: str,
        object_id: UUID,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an entry to the audit trail; `action` is `<kind>.<verb>`, as in `job.suspend`."""
        self._pending.entries.append((action, action.partition(".")[0], object_id, before, after))

    def defer(self, statement: str, *values: Any) -> None:
        """Run a statement that changes rows, and of which no result is needed, together with the last one.

        It must not change a row that an audit entry or event adds.
        """
        self._pending.statements.append((statement, values))

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call back once the transaction is committed, as for what other requests must not see before."""
        self._pending.callbacks.append(callback)

    async def flush(self) -> None:
        """Write pending events and audit entries, and run deferred statements; `begin` does so by itself."""
        pending = self._pending
        if not (pending.events or pending.entries or pending.statements):
            return
        actions, object_kinds, object_ids, befores, afters = _to_columns(pending.entries, 5)
        rows = outbox.to_rows(pending.events, source=SERVICE, at=self.at)
        shards, topics, keys, values, headers = _to_columns(rows, 5)
        statement = SQL.bind(
            "flush",
            tenant_id=self.actor.tenant_id,
            at=self.at,
            actor_id=self.actor.user_id,
            actor_name=self.actor.name,
            actions=actions,
            object_kinds=object_kinds,
            object_ids=object_ids,
            befores=befores,
            afters=afters,
            shards=shards,
            topics=topics,
            keys=keys,
            values=values,
            headers=headers,
        )
        # One statement: a round trip costs a request more than the rows do.
        await self.connection.execute(*_add_deferred(statement, pending.statements))
        pending.events, pending.entries, pending.statements = [], [], []


@dataclass(frozen=True, slots=True)
class UnitOfWorkFactory:
    """Begins units of work at the present time; each edge opens its own and hands it to the services."""

    database: Database
    clock: Clock

    def begin(self, identity: Identity) -> AbstractAsyncContextManager[UnitOfWork]:
        """Begin a unit of work on behalf of a caller. Raises PostgresUnavailable."""
        return UnitOfWork.begin(self.database, Actor.from_identity(identity), self.clock.now())


def _add_deferred(flush: tuple[Any, ...], statements: Sequence[tuple[str, tuple[Any, ...]]]) -> tuple[Any, ...]:
    """Return the last statement with others in its WITH clause, their parameters renumbered to follow its own."""
    text, values, clauses = flush[0], list(flush[1:]), ""
    for number, (statement, own) in enumerate(statements):
        shifted = _PARAMETER.sub(partial(_shift, by=len(values)), statement)
        clauses += f"deferred_{number} AS ({shifted}),\n"
        values += own
    return (text.replace("{deferred}", clauses, 1), *values)


def _shift(parameter: re.Match[str], *, by: int) -> str:
    return f"${int(parameter[1]) + by}"


def _to_columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
