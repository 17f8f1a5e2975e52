"""How fast the log is written, compared with a bare consumer that copies as many rows, and how fast it is rebuilt."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from history.app import rebuild, relax_garbage_collection
from history.recording.consumer import LOG_TOPICS, create_handler
from history.recording.recorder import Recorder
from history.settings import Settings
from history.store.log import RunLog
from shared.codec import Message
from shared.kafka import Consumer, Producer
from shared.postgres import open_pool
from tests.support.system import System

BATCH = 5000


class Stopwatch:
    """Measures the messages per second from the first batch to the last of `expected` messages."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._count = 0
        self._started_at = 0.0
        self.per_second = 0.0
        self.done = asyncio.Event()

    async def measure(self, count: int, work: Callable[[], Awaitable[object]]) -> None:
        """Do the work of a batch of `count` messages, and stop after the last batch."""
        self._started_at = self._started_at or time.perf_counter()
        await work()
        self._count += count
        if self._count >= self._expected:
            self.per_second = self._count / (time.perf_counter() - self._started_at)
            self.done.set()


async def measure_recorder(system: System, events: int) -> float:
    """Return the events per second that the recorder writes, including PostgreSQL's time."""
    watch = Stopwatch(events)
    relax_garbage_collection()
    async with (
        open_pool(system.dsn("history"), size=4, name="bench") as pool,
        Producer.open(system.kafka, name="bench") as producer,
    ):
        record = create_handler(Recorder(RunLog(pool)))

        async def handle(messages: Sequence[Message]) -> None:
            await watch.measure(len(messages), lambda: record(messages))

        consumer = Consumer(
            kafka=system.kafka,
            group=f"bench-{secrets.token_hex(4)}",
            topics=LOG_TOPICS,
            handle=handle,
            producer=producer,
            batch=BATCH,
        )
        stopping = asyncio.Event()
        running = asyncio.create_task(consumer.run(stopping))
        await watch.done.wait()
        stopping.set()
        await running
    return watch.per_second


async def measure_bare_consumer(system: System, events: int) -> float:
    """Return the messages per second that a loop of a few lines copies into a table."""
    watch = Stopwatch(events)
    database = await asyncpg.connect(system.owner_dsn("history"))
    await database.execute("""
        CREATE UNLOGGED TABLE IF NOT EXISTS bench
            (run_id uuid, token bigint, seq bigint, kind text, at timestamptz, details text)
    """)
    await database.execute("ALTER TABLE bench SET LOGGED; TRUNCATE bench")
    consumer = AIOKafkaConsumer(
        *(topic.name for topic in LOG_TOPICS),
        bootstrap_servers=system.kafka,
        group_id=f"bench-{secrets.token_hex(4)}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        while not watch.done.is_set():
            polled = await consumer.getmany(timeout_ms=500, max_records=BATCH)
            rows = [_to_row(record) for records in polled.values() for record in records]

            async def work(rows: list[tuple[object, ...]] = rows) -> None:
                async with database.transaction():
                    await database.copy_records_to_table("bench", records=rows)
                await consumer.commit()

            if rows:
                await watch.measure(len(rows), work)
    finally:
        await consumer.stop()
        await database.close()
    return watch.per_second


def _to_row(record: ConsumerRecord) -> tuple[object, ...]:
    fields = json.loads(record.value)
    at = fields.get("at") or fields.get("triggered_at")
    text = record.value.decode()
    return (
        UUID(fields["run_id"]),
        fields.get("token"),
        fields.get("seq"),
        record.topic,
        datetime.fromisoformat(at),
        text,
    )


async def measure_rebuild(system: System) -> float:
    """Return the events per second from which the log is rebuilt, including the replacement of the old one."""
    environment = {
        "SLUICE_KAFKA_BOOTSTRAP": system.kafka,
        "SLUICE_HISTORY_POSTGRES": system.dsn("history"),
        "SLUICE_HISTORY_STORE": "file:///tmp",
    }
    rebuilt = await rebuild(Settings.load(environment))
    return rebuilt.events / rebuilt.seconds
