"""Live updates (rule H6): one read of the log for each notification, however many clients follow it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from history.store.identities import IdentityStore
from history.store.run_log_reader import RunLogReader
from history.views.live import RemovedRun
from history.views.runs import to_run
from shared.auth import Identity
from shared.clock import Clock, SystemClock
from shared.errors import TransientError
from shared.lifecycle import wait_for_first
from shared.observe import LIVE_CLIENTS, LIVE_DROPPED, get_logger
from shared.postgres import Record
from shared.postgres_listener import Listener

log = get_logger(__name__)

_BATCH = 500
_PENDING_MAX = 5000
_POLL_SECONDS, _CHECK_SECONDS = 2.0, 1.0


@dataclass(frozen=True, slots=True)
class LiveUpdate:
    """A run after a change, as the data of a server-sent event; `version` is the position to resume from."""

    version: int
    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    kind: str
    data: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which runs a caller follows: all of the tenant's, or those of a job, or one; until `ended` is set."""

    identity: Identity
    run_id: UUID | None = None
    job_id: UUID | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, update: LiveUpdate) -> bool:
        """Return whether the run of an update is followed."""
        own = update.tenant_id == self.identity.tenant_id and self.run_id in (None, update.run_id)
        return own and self.job_id in (None, update.job_id)


@dataclass(slots=True, eq=False)
class Subscriber:
    """A client that follows a tenant's runs: of each run only the latest update is pending."""

    subscription: Subscription
    pending: dict[UUID, LiveUpdate] = field(default_factory=dict)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    def offer(self, update: LiveUpdate) -> None:
        """Keep an update for the client; a client that is too far behind is dropped."""
        if len(self.pending) >= _PENDING_MAX:
            LIVE_DROPPED.inc()
            self.end()
        else:
            self.pending[update.run_id] = update
        self.woken.set()

    def end(self) -> None:
        """End the client's stream."""
        self.ended = True
        self.woken.set()


class LiveService:
    """Reads changes of runs as they are recorded, and distributes them to subscribers."""

    def __init__(
        self,
        runs: RunLogReader,
        identities: IdentityStore,
        *,
        dsn: str,
        stopping: asyncio.Event,
        heartbeat: timedelta,
        send_timeout: timedelta,
        clock: Clock | None = None,
    ) -> None:
        self.heartbeat = heartbeat
        self.send_timeout = send_timeout
        self._runs = runs
        self._identities = identities
        self._listener = Listener(dsn, {"history_runs": self._wake})
        self._stopping = stopping
        self._clock = clock or SystemClock()
        self._subscribers: dict[UUID, set[Subscriber]] = {}
        self._woken = asyncio.Event()
        self._read_to: int | None = None
        self._checked_at = self._clock.now()

    def find_fault(self) -> str | None:
        """Return what is wrong with the notifications of changes, for readiness, or None."""
        return self._listener.find_fault()

    async def run(self, stopping: asyncio.Event) -> None:
        """Distribute changes until `stopping` is set."""
        listening = asyncio.create_task(self._listener.run(stopping), name="runs listener")
        try:
            while not stopping.is_set():
                self._woken.clear()
                try:
                    await self._distribute()
                    await self._end_streams_of_ended_identities()
                except TransientError as error:
                    log.warning("retrying to read changes of runs", error=str(error))
                await wait_for_first(self._woken, stopping, seconds=_POLL_SECONDS)
        finally:
            for subscriber in self._all_subscribers():
                subscriber.woken.set()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def follow(self, subscription: Subscription, *, after: int | None) -> AsyncIterator[LiveUpdate]:
        """Yield changes after a version, or from now on, those of each run in order.

        It ends with the subscription, when the client leaves or is dropped, and when the caller's key or session is
        revoked or expires.
        Raises PostgresUnavailable.
        """
        subscriber, tenant_id = Subscriber(subscription), subscription.identity.tenant_id
        self._subscribers.setdefault(tenant_id, set()).add(subscriber)
        LIVE_CLIENTS.inc()
        try:
            sent = after if after is not None else await self._runs.last_version()
            if after is not None:
                async for update in self._missed(tenant_id, after):
                    if subscription.ended.is_set():
                        return
                    sent = update.version
                    if subscription.wants(update):
                        yield update
            async for update in self._pending(subscriber, sent):
                yield update
        finally:
            LIVE_CLIENTS.dec()
            self._subscribers[tenant_id].discard(subscriber)

    async def _missed(self, tenant_id: UUID, after: int) -> AsyncIterator[LiveUpdate]:
        while rows := await self._runs.list_changed(after, _BATCH, tenant_id):
            for row in rows:
                yield self._to_update(row)
            after = rows[-1]["version"]
            if len(rows) < _BATCH:
                return

    async def _pending(self, subscriber: Subscriber, sent: int) -> AsyncIterator[LiveUpdate]:
        while not self._stopping.is_set():
            await wait_for_first(subscriber.woken, subscriber.subscription.ended, self._stopping)
            subscriber.woken.clear()
            if subscriber.ended or subscriber.subscription.ended.is_set():
                return
            updates, subscriber.pending = sorted(subscriber.pending.values(), key=lambda each: each.version), {}
            for update in updates:
                if update.version > sent:
                    yield update

    async def _distribute(self) -> None:
        if self._read_to is None:
            self._read_to = await self._runs.last_version()
        while rows := await self._runs.list_changed(self._read_to, _BATCH):
            for row in rows:
                if subscribers := self._subscribers.get(row["tenant_id"]):
                    update = self._to_update(row)
                    for subscriber in subscribers:
                        if subscriber.subscription.wants(update):
                            subscriber.offer(update)
            self._read_to = rows[-1]["version"]
            await asyncio.sleep(0)

    async def _end_streams_of_ended_identities(self) -> None:
        now = self._clock.now()
        if (now - self._checked_at).total_seconds() < _CHECK_SECONDS:
            return
        self._checked_at = now
        subscribers = self._all_subscribers()
        known = {each.subscription.identity.identity_id for each in subscribers}
        ended = await self._identities.find_ended(known) if known else set()
        for subscriber in subscribers:
            if subscriber.subscription.identity.identity_id in ended:
                subscriber.end()

    def _all_subscribers(self) -> list[Subscriber]:
        return [each for group in self._subscribers.values() for each in group]

    def _to_update(self, row: Record) -> LiveUpdate:
        removed = row["removed_at"] is not None
        document = RemovedRun(id=row["run_id"]) if removed else to_run(row, self._clock.now())
        kind = "removed" if removed else "run"
        return LiveUpdate(
            row["version"], row["run_id"], row["job_id"], row["tenant_id"], kind, document.model_dump_json()
        )

    def _wake(self, _: str) -> None:
        self._woken.set()
