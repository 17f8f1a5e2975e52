"""Live changes: one look at the log for each wake-up, however many clients follow it (H6)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

from history.store.reading import Reading
from history.views.documents import run_view
from shared.auth import Identity
from shared.clock import Clock, SystemClock
from shared.errors import TransientError
from shared.lifecycle import wait_for_first
from shared.observe import LIVE_CLIENTS, LIVE_DROPPED, get_logger
from shared.postgres import Record, listen

log = get_logger(__name__)

_PAGE = 500
_MOST_PENDING = 5000
_LOOK_ANYWAY, _CHECK_EVERY = 2.0, 1.0


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

    who: Identity
    run_id: UUID | None
    job_id: UUID | None
    pending: dict[UUID, Change] = field(default_factory=dict)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False

    def wants(self, change: Change) -> bool:
        """Return whether the change is of what this client follows."""
        ours = change.tenant_id == self.who.tenant_id and self.run_id in (None, change.run_id)
        return ours and self.job_id in (None, change.job_id)

    def offer(self, change: Change) -> None:
        """Keep a change for the client; one that has fallen too far behind is dropped."""
        if len(self.pending) >= _MOST_PENDING:
            LIVE_DROPPED.inc()
            self.end()
        else:
            self.pending[change.run_id] = change
        self.woken.set()

    def end(self) -> None:
        """Let the client hear no more."""
        self.over = True
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
        self._checked_at = self._clock.now()

    async def run(self, stopping: asyncio.Event) -> None:
        """Hand out changes until `stopping` is set."""
        listening = asyncio.create_task(listen(self._dsn, {"history_runs": self._wake}, stopping), name="runs listener")
        try:
            while not stopping.is_set():
                self._woken.clear()
                try:
                    await self._look()
                    await self._end_those_shut_out()
                except TransientError as error:
                    log.warning("changes not read, trying again", error=str(error))
                await wait_for_first(self._woken, stopping, seconds=_LOOK_ANYWAY)
        finally:
            for follower in [each for group in self._followers.values() for each in group]:
                follower.woken.set()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def follow(
        self, who: Identity, *, after: int | None, run_id: UUID | None = None, job_id: UUID | None = None
    ) -> AsyncIterator[Change]:
        """Yield changes after a version (or from now on), each run's in order, until the client goes or is dropped.

        It ends too when the key or session that asked has been revoked or is over.
        """
        follower = Follower(who, run_id, job_id)
        self._followers.setdefault(who.tenant_id, set()).add(follower)
        LIVE_CLIENTS.inc()
        try:
            sent = after if after is not None else await self._reading.last_version()
            if after is not None:
                async for change in self._missed(who.tenant_id, after):
                    sent = change.version
                    if follower.wants(change):
                        yield change
            async for change in self._coming(follower, sent):
                yield change
        finally:
            LIVE_CLIENTS.dec()
            self._followers[who.tenant_id].discard(follower)

    async def _missed(self, tenant_id: UUID, after: int) -> AsyncIterator[Change]:
        while rows := await self._reading.changed(after, _PAGE, tenant_id):
            for row in rows:
                yield self._change(row)
            after = rows[-1]["version"]
            if len(rows) < _PAGE:
                return

    async def _coming(self, follower: Follower, sent: int) -> AsyncIterator[Change]:
        while not self._stopping.is_set():
            await wait_for_first(follower.woken, self._stopping)
            follower.woken.clear()
            if follower.over:
                return
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

    async def _end_those_shut_out(self) -> None:
        now = self._clock.now()
        if (now - self._checked_at).total_seconds() < _CHECK_EVERY:
            return
        self._checked_at = now
        followers = [each for group in self._followers.values() for each in group]
        shut_out = await self._reading.shut_out({each.who.identity_id for each in followers}) if followers else ()
        for follower in followers:
            if follower.who.identity_id in shut_out:
                follower.end()

    def _change(self, row: Record) -> Change:
        removed = row["removed_at"] is not None
        text = f'{{"id":"{row["run_id"]}"}}' if removed else run_view(row, self._clock.now()).model_dump_json()
        kind = "removed" if removed else "run"
        return Change(row["version"], row["run_id"], row["job_id"], row["tenant_id"], kind, text)

    def _wake(self, _: str) -> None:
        self._woken.set()
