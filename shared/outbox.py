"""The outbox: an event is written in the transaction of the change that it reports, and published afterwards.

Any number of relays may run. Rows are divided into shards by key. A relay locks some shards for one batch, deletes the
rows, sends them in order, and commits after Kafka's acknowledgement. If a relay dies in between, the next one sends the
rows again: at worst they are published twice, never lost. Rows of one key are written under the row lock of what the
key names, so their ids rise in the order of their commits.
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
from shared.errors import SluiceError, TransientError
from shared.events import Event
from shared.kafka import Producer
from shared.kafka.producer import LARGEST_MESSAGE
from shared.lifecycle import wait_for_first
from shared.observe import OUTBOX_AGE, OUTBOX_DELAY, OUTBOX_PUBLISHED, OUTBOX_ROWS, get_logger, observe_many
from shared.postgres import Connection, Pool, Record, connection, transaction
from shared.postgres_listener import Listener
from shared.topics import TOPIC_OF

SHARDS = 8
BATCH = 1000
"""The largest number of rows of one shard in a batch."""
_GATHER_SECONDS = 0.02
"""How long a busy relay that keeps up lets rows gather: taking hundreds costs hardly more than taking one."""
# A relay locks one half at a time: two relays do not block each other, and a busy one needs few transactions.
_HALVES = (tuple(range(0, SHARDS, 2)), tuple(range(1, SHARDS, 2)))
log = get_logger(__name__)

_COLUMNS = ["shard", "topic", "key", "value", "headers"]
# COPY costs two more round trips than INSERT, and half of its time for each row.
_COPY_FROM = 50
_INSERT = """
INSERT INTO outbox (shard, topic, key, value, headers)
SELECT * FROM unnest($1::smallint[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[])
"""
# The schema's name keeps the locks of services that share a database apart. A relay whose machine vanishes must not
# hold a shard until TCP times out; sending to Kafka takes 20 s at most. The commit need not reach the disk: if a crash
# undoes it, the rows are back and are sent twice.
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


LARGEST_EVENT = LARGEST_MESSAGE - 64 * 1024
"""The largest value of an event, in bytes; the rest is for its key, its headers and the batch around it."""


class EventTooLarge(SluiceError):
    """An event is larger than Kafka accepts. It must not enter the outbox, which it would hold up for ever."""


OutboxRow = tuple[int, str, bytes, bytes | None, bytes]
"""Shard, topic, key, value (None for a tombstone), packed headers."""


async def write(database: Connection, events: Iterable[Event], *, source: str, at: datetime) -> None:
    """Write events into the outbox within the caller's transaction; those of one key are published in this order.

    `source` names the service; `at` is when the events happened, aware. Raises EventTooLarge.
    """
    await write_rows(database, to_rows(events, source=source, at=at))


def to_rows(events: Iterable[Event], *, source: str, at: datetime) -> list[OutboxRow]:
    """Return the outbox rows of events, for a caller that writes them in a statement of its own."""
    records = [codec.encode(event, source=source, at=at) for event in events]
    return [
        (select_shard(record.key), record.topic, record.key, record.value, pack_headers(record.headers))
        for record in records
    ]


async def write_rows(database: Connection, rows: Sequence[OutboxRow]) -> None:
    """Write outbox rows within the caller's transaction. Raises EventTooLarge before any is written."""
    if (largest := max((len(row[3] or b"") for row in rows), default=0)) > LARGEST_EVENT:
        raise EventTooLarge(f"an event of {largest:,} bytes exceeds the limit of {LARGEST_EVENT:,} bytes")
    if len(rows) >= _COPY_FROM:
        await database.copy_records_to_table("outbox", records=rows, columns=_COLUMNS)
    elif rows:
        await database.execute(_INSERT, *(list(column) for column in zip(*rows, strict=True)))


class EventRowFactory:
    """Builds outbox rows of one event type from values that the caller encodes, for callers that write very many."""

    def __init__(self, event_type: type[Event], *, source: str, at: datetime) -> None:
        self._topic = TOPIC_OF[event_type].name
        self._common = pack_headers(codec.common_headers(event_type, source=source, at=at)) + b"\n"

    def build(self, key: str, event_id: str, value: bytes) -> OutboxRow:
        """Return the row of an event; `event_id` is a UUID that is never used twice, `value` the event's JSON.

        The event begins a trace of its own, whose id is the event's, so that either leads to the other.
        """
        trace = event_id.replace("-", "")
        own = f"ce_id\0{event_id}\nce_subject\0{key}\ntraceparent\x0000-{trace}-{trace[16:]}-01"
        encoded = key.encode()
        return select_shard(encoded), self._topic, encoded, value, self._common + own.encode()


def select_shard(key: bytes) -> int:
    """Return the shard of a key, the same in every process."""
    return crc32(key) % SHARDS


def pack_headers(headers: codec.Headers) -> bytes:
    """Pack headers into one value; names and values must not contain NUL or line feed."""
    return b"\n".join(name.encode() + b"\0" + value for name, value in headers)


def unpack_headers(packed: bytes) -> codec.Headers:
    """Unpack what `pack_headers` returned."""
    # All but the last three are the same for many rows: the codec puts an event's own id, subject and trace last.
    common, *own = packed.rsplit(b"\n", 3)
    return *_unpack_common(common), *map(_unpack_header, own)


def _unpack_header(packed: bytes) -> tuple[str, bytes]:
    name, _, value = packed.partition(b"\0")
    return name.decode(), value


@lru_cache(maxsize=1024)
def _unpack_common(packed: bytes) -> codec.Headers:
    return tuple(_unpack_header(each) for each in packed.split(b"\n"))


class Relay:
    """Publishes a service's outbox: woken by NOTIFY after each commit that wrote to it, and polling every second."""

    def __init__(self, pool: Pool, producer: Producer, *, dsn: str, service: str) -> None:
        self._pool = pool
        self._producer = producer
        self._service = service
        self._woken = asyncio.Event()
        self._busy = False
        channel = f"{service.replace('-', '_')}_outbox"
        self._listener = Listener(dsn, {channel: lambda _: self._woken.set()})

    def find_fault(self) -> str | None:
        """Return what is wrong with the relay, for readiness, or None."""
        return self._listener.find_fault()

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish until `stopping` is set; transient errors are retried."""
        listening = asyncio.create_task(self._listener.run(stopping), name="outbox listener")
        measuring = asyncio.create_task(self._measure(stopping), name="outbox measure")
        try:
            while not stopping.is_set():
                try:
                    self._woken.clear()
                    published = await self.publish_batch()
                except TransientError as error:
                    log.warning("retrying to publish events", error=str(error))
                    published, self._busy = 0, False
                if not published:
                    await wait_for_first(self._woken, stopping, seconds=1.0)
                elif published < BATCH:
                    await wait_for_first(stopping, seconds=_GATHER_SECONDS)
        finally:
            listening.cancel()
            measuring.cancel()
            await asyncio.gather(listening, measuring, return_exceptions=True)

    async def publish_batch(self) -> int:
        """Publish a batch of each shard that no other relay has locked; return the number of rows.

        Raises PostgresUnavailable or KafkaUnavailable; the rows are published by a later call.
        """
        # Finding the shards with rows scans all that was deleted lately: while busy, just try them all.
        waiting = set(range(SHARDS)) if self._busy else await self._find_waiting()
        self._busy, published = False, 0
        for half in _HALVES:
            if wanted := [shard for shard in half if shard in waiting]:
                published += await self._publish(wanted)
        return published

    async def _find_waiting(self) -> set[int]:
        async with connection(self._pool) as database:
            return {row["n"] for row in await database.fetch(_WAITING, SHARDS)}

    async def _publish(self, shards: Sequence[int]) -> int:
        async with transaction(self._pool) as database:
            held = await database.fetchval(_LOCK, shards)
            rows = sorted(await database.fetch(_TAKE, held, BATCH), key=itemgetter(0)) if held else []
            self._busy = self._busy or bool(rows) or not held  # shards that others hold had rows a moment ago
            if not rows:
                return 0
            await self._producer.send(
                [codec.Record(topic, key, value, unpack_headers(packed)) for _, topic, key, value, packed, _ in rows]
            )
        self._count_published(rows)
        return len(rows)

    def _count_published(self, rows: Sequence[Record]) -> None:
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
                log.debug("cannot measure outbox", error=str(error))
            await wait_for_first(stopping, seconds=5.0)
