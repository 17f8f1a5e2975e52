"""Live changes: one look at the log for each wake-up, however many clients follow it (H6)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

from history.store.reading import Reading
from history.views import run_view
from shared.clock import Clock, SystemClock
from shared.errors import TransientError
from shared.lifecycle import first_of
from shared.observe import LIVE_CLIENTS, LIVE_DROPPED, logger
from shared.postgres import Record, listen

log = logger(__name__)

_PAGE = 500
_MOST_PENDING = 5000
_LOOK_ANYWAY = 2.0


@dataclass(frozen=True, slots=True)
class Change:
    """A run as it is after a change; `version` is the place to resume from."""

    version: int
    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    kind: str
    text: str


@dataclass(slots=True, eq=False)
class Follower:
    """A client that follows a tenant's runs: of each run only the latest change waits for it."""

    tenant_id: UUID
    run_id: UUID | None
    job_id: UUID | None
    pending: dict[UUID, Change] = field(default_factory=dict)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: bool = False

    def wants(self, change: Change) -> bool:
        """Return whether the change is of what this client follows."""
        ours = change.tenant_id == self.tenant_id and self.run_id in (None, change.run_id)
        return ours and self.job_id in (None, change.job_id)

    def offer(self, change: Change) -> None:
        """Keep a change for the client; one that has fallen too far behind is dropped."""
        if len(self.pending) >= _MOST_PENDING:
            self.dropped = True
            LIVE_DROPPED.inc()
        else:
            self.pending[change.run_id] = change
        self.woken.set()


class Live:
    """Reads changes as they come and hands them to those who follow."""

    def __init__(self, reading: Reading, *, dsn: str, stopping: asyncio.Event, clock: Clock | None = None) -> None:
        self._reading = reading
        self._dsn = dsn
        self._stopping = stopping
        self._clock = clock or SystemClock()
        self._followers: dict[UUID, set[Follower]] = {}
        self._woken = asyncio.Event()
        self._seen: int | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Hand out changes until `stopping` is set."""
        listening = asyncio.create_task(listen(self._dsn, {"history_runs": self._wake}, stopping), name="runs listener")
        try:
            while not stopping.is_set():
                self._woken.clear()
                try:
                    await self._look()
                except TransientError as error:
                    log.warning("changes not read, trying again", error=str(error))
                await first_of(self._woken, stopping, seconds=_LOOK_ANYWAY)
        finally:
            for follower in [each for group in self._followers.values() for each in group]:
                follower.woken.set()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def follow(
        self, tenant_id: UUID, *, after: int | None, run_id: UUID | None = None, job_id: UUID | None = None
    ) -> AsyncIterator[Change]:
        """Yield changes after a version (or from now on), each run's in order, until the client goes or is dropped."""
        follower = Follower(tenant_id, run_id, job_id)
        self._followers.setdefault(tenant_id, set()).add(follower)
        LIVE_CLIENTS.inc()
        try:
            sent = after if after is not None else await self._reading.last_version()
            if after is not None:
                async for change in self._missed(tenant_id, after):
                    sent = change.version
                    if follower.wants(change):
                        yield change
            async for change in self._coming(follower, sent):
                yield change
        finally:
            LIVE_CLIENTS.dec()
            self._followers[tenant_id].discard(follower)

    async def _missed(self, tenant_id: UUID, after: int) -> AsyncIterator[Change]:
        while rows := await self._reading.changed(after, _PAGE, tenant_id):
            for row in rows:
                yield self._change(row)
            after = rows[-1]["version"]
            if len(rows) < _PAGE:
                return

    async def _coming(self, follower: Follower, sent: int) -> AsyncIterator[Change]:
        while not (follower.dropped or self._stopping.is_set()):
            await first_of(follower.woken, self._stopping)
            follower.woken.clear()
            waiting, follower.pending = sorted(follower.pending.values(), key=lambda each: each.version), {}
            for change in waiting:
                if change.version > sent:
                    yield change

    async def _look(self) -> None:
        if self._seen is None:
            self._seen = await self._reading.last_version()
        while rows := await self._reading.changed(self._seen, _PAGE):
            for row in rows:
                if followers := self._followers.get(row["tenant_id"]):
                    change = self._change(row)
                    for follower in followers:
                        if follower.wants(change):
                            follower.offer(change)
            self._seen = rows[-1]["version"]
            await asyncio.sleep(0)

    def _change(self, row: Record) -> Change:
        removed = row["removed_at"] is not None
        text = f'{{"id":"{row["run_id"]}"}}' if removed else run_view(row, self._clock.now()).model_dump_json()
        kind = "removed" if removed else "run"
        return Change(row["version"], row["run_id"], row["job_id"], row["tenant_id"], kind, text)

    def _wake(self, _: str) -> None:
        self._woken.set()
