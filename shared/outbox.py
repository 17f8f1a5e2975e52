"""The outbox: an event is written in the transaction of the change that it tells, and published afterwards.

Any number of relays may run. Rows are divided into shards by key; a relay takes some shards' locks for one batch,
deletes the rows, sends them in order, and commits after Kafka's acknowledgement. A relay that dies in between leaves
the rows for the next one: sent twice at worst, never lost. Rows of one key are written under that key's own row lock,
so their ids rise in the order of their commits.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from zlib import crc32

from shared import codec
from shared.errors import TransientError
from shared.events import Event
from shared.kafka import Producer
from shared.lifecycle import wait_for_first
from shared.observe import OUTBOX_AGE, OUTBOX_DELAY, OUTBOX_PUBLISHED, OUTBOX_ROWS, get_logger, observe_many
from shared.postgres import Connection, Pool, Record, connection, listen, transaction
from shared.topics import TOPIC_OF

SHARDS = 8
BATCH = 1000
"""The most rows of one shard that are sent at once."""
# A relay holds the locks of one half at a time, so that two relays do not stand in each other's way, and yet a busy one
# pays for few transactions.
_GATHER = 0.02
"""A busy relay that keeps up lets rows gather for so long (s): it costs nearly the same to take one as hundreds."""
_HALVES = (tuple(range(0, SHARDS, 2)), tuple(range(1, SHARDS, 2)))
log = get_logger(__name__)

_COLUMNS = ["shard", "topic", "key", "value", "headers"]
# COPY costs two round trips more than a statement, and half of its time a row.
_COPY_FROM = 50
_INSERT = """
INSERT INTO outbox (shard, topic, key, value, headers)
SELECT * FROM unnest($1::smallint[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[])
"""
# hashtext of the schema keeps services that share a database from sharing locks.
# A relay whose machine is gone without a word must not hold a shard until TCP gives up; Kafka's own limit is 20 s.
# Nobody waits for this commit to reach the disk: forgotten in a crash, the rows are there again and are sent twice.
_LOCK = """
SELECT array_agg(n) FILTER (WHERE pg_try_advisory_xact_lock(hashtext(current_schema() || '.outbox'), n)),
       set_config('idle_in_transaction_session_timeout', '30s', true), set_config('synchronous_commit', 'off', true)
FROM unnest($1::int[]) AS each (n)
"""
_TAKE = """
DELETE FROM outbox WHERE ctid = ANY (ARRAY(
    SELECT first.ctid FROM unnest($1::int[]) AS held (n)
    CROSS JOIN LATERAL (SELECT ctid FROM outbox WHERE shard = n ORDER BY id LIMIT $2) AS first))
RETURNING id, topic, key, value, headers, date_part('epoch', written_at)
"""
_WAITING = "SELECT n FROM generate_series(0, $1 - 1) AS each (n) WHERE EXISTS (SELECT FROM outbox WHERE shard = n)"
_BACKLOG = "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(written_at)), 0)::float8 FROM outbox"


Row = tuple[int, str, bytes, bytes | None, bytes]
"""Shard, topic, key, value, packed headers."""


async def write(database: Connection, events: Iterable[Event], *, source: str, at: datetime) -> None:
    """Write events into the outbox, within the caller's transaction; they are published in this order per key."""
    await write_rows(database, to_rows(events, source=source, at=at))


def to_rows(events: Iterable[Event], *, source: str, at: datetime) -> list[Row]:
    """Return the rows of events, for those who write them in a statement of their own."""
    records = [codec.encode(event, source=source, at=at) for event in events]
    return [
        (select_shard(record.key), record.topic, record.key, record.value, pack_headers(record.headers))
        for record in records
    ]


async def write_rows(database: Connection, rows: Sequence[Row]) -> None:
    """Write rows that are ready, within the caller's transaction."""
    if len(rows) >= _COPY_FROM:
        await database.copy_records_to_table("outbox", records=rows, columns=_COLUMNS)
    elif rows:
        await database.execute(_INSERT, *(list(column) for column in zip(*rows, strict=True)))


class EventRowFactory:
    """Makes outbox rows of one kind of event, for those who write so many that they build the values themselves."""

    def __init__(self, event_type: type[Event], *, source: str, at: datetime) -> None:
        self._topic = TOPIC_OF[event_type].name
        self._common = pack_headers(codec.common_headers(event_type, source=source, at=at)) + b"\n"

    def row(self, key: str, event_id: str, value: bytes) -> Row:
        """Return the row of an event whose key, id (a UUID, never used twice) and encoded value are given.

        The event begins a trace of its own that bears its id, so that who has the one finds the other.
        """
        trace = event_id.replace("-", "")
        own = f"ce_id\0{event_id}\nce_subject\0{key}\ntraceparent\x0000-{trace}-{trace[16:]}-01"
        encoded = key.encode()
        return select_shard(encoded), self._topic, encoded, value, self._common + own.encode()


def select_shard(key: bytes) -> int:
    """Return the shard of a key: the same in every process."""
    return crc32(key) % SHARDS


def pack_headers(headers: codec.Headers) -> bytes:
    """Pack headers into one value; names and values of ours never hold a NUL or a line feed."""
    return b"\n".join(name.encode() + b"\0" + value for name, value in headers)


def unpack_headers(packed: bytes) -> codec.Headers:
    """Unpack what `pack_headers` made."""
    # All but the last three are the same for many rows: codec puts an event's own id, subject and trace at the end.
    common, *own = packed.rsplit(b"\n", 3)
    return *_unpacked(common), *map(_header, own)


def _header(packed: bytes) -> tuple[str, bytes]:
    name, _, value = packed.partition(b"\0")
    return name.decode(), value


@lru_cache(maxsize=1024)
def _unpacked(packed: bytes) -> codec.Headers:
    return tuple(_header(each) for each in packed.split(b"\n"))


class Relay:
    """Publishes a service's outbox; woken by NOTIFY at each commit that wrote to it, looking anyway every second."""

    def __init__(self, pool: Pool, producer: Producer, *, dsn: str, service: str) -> None:
        self._pool = pool
        self._dsn = dsn
        self._producer = producer
        self._service = service
        self._woken = asyncio.Event()
        self._busy = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish until `stopping` is set; what is away is waited for."""
        wakers = {f"{self._service.replace('-', '_')}_outbox": lambda _: self._woken.set()}
        listening = asyncio.create_task(listen(self._dsn, wakers, stopping), name="outbox listener")
        measuring = asyncio.create_task(self._measure(stopping), name="outbox measure")
        try:
            while not stopping.is_set():
                try:
                    self._woken.clear()
                    busy = await self.turn()
                except TransientError as error:
                    log.warning("cannot publish, trying again", error=str(error))
                    busy, self._busy = 0, False
                if not busy:
                    await wait_for_first(self._woken, stopping, seconds=1.0)
                elif busy < BATCH:
                    await wait_for_first(stopping, seconds=_GATHER)
        finally:
            listening.cancel()
            measuring.cancel()
            await asyncio.gather(listening, measuring, return_exceptions=True)

    async def turn(self) -> int:
        """Publish a batch of every shard that nobody else is at; return the number of rows published."""
        # Looking where something waits means passing over all that was sent lately: while busy, do not even look.
        waiting = set(range(SHARDS)) if self._busy else await self._waiting()
        self._busy, published = False, 0
        for half in _HALVES:
            if wanted := [shard for shard in half if shard in waiting]:
                published += await self._publish(wanted)
        return published

    async def _waiting(self) -> set[int]:
        async with connection(self._pool) as database:
            return {row["n"] for row in await database.fetch(_WAITING, SHARDS)}

    async def _publish(self, shards: Sequence[int]) -> int:
        async with transaction(self._pool) as database:
            held = await database.fetchval(_LOCK, shards)
            rows = sorted(await database.fetch(_TAKE, held, BATCH), key=itemgetter(0)) if held else []
            self._busy = self._busy or bool(rows) or not held  # what is held by others was full a moment ago
            if not rows:
                return 0
            await self._producer.send(
                [codec.Record(topic, key, value, unpack_headers(packed)) for _, topic, key, value, packed, _ in rows]
            )
        self._count(rows)
        return len(rows)

    def _count(self, rows: Sequence[Record]) -> None:
        now = time.time()
        for topic, count in Counter([row[1] for row in rows]).items():
            OUTBOX_PUBLISHED.labels(self._service, topic).inc(count)
        observe_many(OUTBOX_DELAY.labels(self._service), [max(0.0, now - row[5]) for row in rows])

    async def _measure(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                async with connection(self._pool) as database:
                    rows, age = await database.fetchrow(_BACKLOG) or (0, 0.0)
                OUTBOX_ROWS.labels(self._service).set(rows)
                OUTBOX_AGE.labels(self._service).set(max(0.0, age))
            except TransientError as error:
                log.debug("outbox not measured", error=str(error))
            await wait_for_first(stopping, seconds=5.0)
