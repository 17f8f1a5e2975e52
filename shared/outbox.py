"""The outbox: an event is written in the transaction of the change that it tells, and published afterwards.

Any number of relays may run. Rows are divided into shards by key; a relay holds a shard's lock for one batch, sends the
rows in order, and deletes them after Kafka's acknowledgement, in the same transaction as the lock. A relay that dies in
between leaves the rows for the next one: sent twice at worst, never lost. Rows of one key are written under that key's
own row lock, so their ids rise in the order of their commits.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from zlib import crc32

from shared import codec
from shared.errors import TransientError
from shared.events import Event
from shared.kafka import Producer
from shared.lifecycle import first_of
from shared.observe import OUTBOX_AGE, OUTBOX_DELAY, OUTBOX_PUBLISHED, OUTBOX_ROWS, logger, observe_many
from shared.postgres import Connection, Pool, Record, connection, listen, transaction
from shared.topics import TOPIC_OF

SHARDS = 8
BATCH = 1000
_SHARDS_AT_ONCE = 3
log = logger(__name__)

_COLUMNS = ["shard", "topic", "key", "value", "headers"]
# COPY costs two round trips more than a statement, and half of its time a row.
_COPY_FROM = 50
_INSERT = """
INSERT INTO outbox (shard, topic, key, value, headers)
SELECT * FROM unnest($1::smallint[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[])
"""
# hashtext of the schema keeps services that share a database from sharing locks.
# A relay whose machine is gone without a word must not hold a shard until TCP gives up; Kafka's own limit is 20 s.
_LOCK = """
SELECT pg_try_advisory_xact_lock(hashtext(current_schema() || '.outbox'), $1),
       set_config('idle_in_transaction_session_timeout', '30s', true)
"""
_TAKE = "SELECT id, topic, key, value, headers, written_at FROM outbox WHERE shard = $1 ORDER BY id LIMIT $2"
_DROP = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"
_SHARDS = "SELECT n FROM generate_series(0, $1 - 1) AS each(n) WHERE EXISTS (SELECT FROM outbox WHERE shard = n)"
_BACKLOG = "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(written_at)), 0)::float8 FROM outbox"


Row = tuple[int, str, bytes, bytes | None, bytes]
"""Shard, topic, key, value, packed headers."""


async def write(database: Connection, events: Iterable[Event], *, source: str, at: datetime) -> None:
    """Write events into the outbox, within the caller's transaction; they are published in this order per key."""
    records = [codec.encode(event, source=source, at=at) for event in events]
    await write_rows(
        database,
        [
            (shard_of(record.key), record.topic, record.key, record.value, pack_headers(record.headers))
            for record in records
        ],
    )


async def write_rows(database: Connection, rows: Sequence[Row]) -> None:
    """Write rows that are ready, within the caller's transaction."""
    if len(rows) >= _COPY_FROM:
        await database.copy_records_to_table("outbox", records=rows, columns=_COLUMNS)
    elif rows:
        await database.execute(_INSERT, *(list(column) for column in zip(*rows, strict=True)))


class Stamp:
    """Makes outbox rows of one kind of event, for those who write so many that they build the values themselves."""

    def __init__(self, event_type: type[Event], *, source: str, at: datetime) -> None:
        self._topic = TOPIC_OF[event_type].name
        self._common = pack_headers(codec.common_headers(event_type, source=source, at=at)) + b"\n"

    def row(self, key: str, event_id: str, value: bytes) -> Row:
        """Return the row of an event whose key, id (a UUID, never used twice) and encoded value are given.

        The event begins a trace of its own that bears its id, so that who has the one finds the other.
        """
        trace = event_id.replace("-", "")
        own = f"ce_id\0{event_id}\ntraceparent\x0000-{trace}-{trace[16:]}-01"
        encoded = key.encode()
        return shard_of(encoded), self._topic, encoded, value, self._common + own.encode()


def shard_of(key: bytes) -> int:
    """Return the shard of a key: the same in every process."""
    return crc32(key) % SHARDS


def pack_headers(headers: codec.Headers) -> bytes:
    """Pack headers into one value; names and values of ours never hold a NUL or a line feed."""
    return b"\n".join(name.encode() + b"\0" + value for name, value in headers)


def unpack_headers(packed: bytes) -> codec.Headers:
    """Unpack what `pack_headers` made."""
    # All but the last two are the same for many rows: codec puts an event's own id and trace at the end.
    common, *own = packed.rsplit(b"\n", 2)
    return _unpacked(common) + tuple(
        [(name.decode(), value) for name, _, value in [each.partition(b"\0") for each in own]]
    )


@lru_cache(maxsize=1024)
def _unpacked(packed: bytes) -> codec.Headers:
    return tuple((name.decode(), value) for name, value in (each.split(b"\0") for each in packed.split(b"\n")))


class Relay:
    """Publishes a service's outbox; woken by NOTIFY at each commit that wrote to it, looking anyway every second."""

    def __init__(self, pool: Pool, producer: Producer, *, dsn: str, service: str) -> None:
        self._pool = pool
        self._dsn = dsn
        self._producer = producer
        self._service = service
        self._woken = asyncio.Event()

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
                    busy = 0
                if not busy:
                    await first_of(self._woken, stopping, seconds=1.0)
        finally:
            listening.cancel()
            measuring.cancel()
            await asyncio.gather(listening, measuring, return_exceptions=True)

    async def turn(self) -> int:
        """Publish one batch of every shard that nobody else is at; return the number of rows published."""
        async with connection(self._pool) as database:
            shards = [row["n"] for row in await database.fetch(_SHARDS, SHARDS)]
        # Several at once, so that one shard's rows are read while another's acknowledgement is waited for.
        atonce = asyncio.Semaphore(_SHARDS_AT_ONCE)
        published = await asyncio.gather(*(self._publish(shard, atonce) for shard in shards), return_exceptions=True)
        for each in published:
            if isinstance(each, BaseException):
                raise each
        return sum(each for each in published if isinstance(each, int))

    async def _publish(self, shard: int, atonce: asyncio.Semaphore) -> int:
        async with atonce, transaction(self._pool) as database:
            if not await database.fetchval(_LOCK, shard):
                return 0
            rows = await database.fetch(_TAKE, shard, BATCH)
            await self._producer.send(
                [codec.Record(row["topic"], row["key"], row["value"], unpack_headers(row["headers"])) for row in rows]
            )
            await database.execute(_DROP, [row["id"] for row in rows])
        self._count(rows)
        return len(rows)

    def _count(self, rows: Sequence[Record]) -> None:
        now = time.time()
        for topic, count in Counter(row["topic"] for row in rows).items():
            OUTBOX_PUBLISHED.labels(self._service, topic).inc(count)
        delays = [max(0.0, now - row["written_at"].timestamp()) for row in rows]
        observe_many(OUTBOX_DELAY.labels(self._service), delays)

    async def _measure(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                async with connection(self._pool) as database:
                    rows, age = await database.fetchrow(_BACKLOG) or (0, 0.0)
                OUTBOX_ROWS.labels(self._service).set(rows)
                OUTBOX_AGE.labels(self._service).set(max(0.0, age))
            except TransientError as error:
                log.debug("outbox not measured", error=str(error))
            await first_of(stopping, seconds=5.0)
