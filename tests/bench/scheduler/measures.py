"""The measurements: each function is one trial, from filling the ledger to stopping the schedulers."""

import asyncio
import secrets
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from aiokafka import AIOKafkaConsumer

from scheduler.service import Scheduler
from scheduler.store import Ledger
from shared.clock import SystemClock
from shared.postgres import open_pool
from tests.bench.scheduler.stack import BenchStack, cpu_seconds, second_from_now, stop, wait_until
from tests.support.wait import eventually

LEAD = timedelta(seconds=3)
DUE = 100
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name IN ('scheduler', 'listener')"


async def measure_burst(stack: BenchStack, jobs: int) -> tuple[float, float]:
    """All jobs due in one second, two schedulers: slots per second until the last is committed, and until published."""
    running = await stack.start_schedulers(2)
    await stack.fill(jobs, first := second_from_now(0), jobs)
    try:
        begin = first + await stack.set_clock(first - LEAD)
        await wait_until(begin)
        await stack.wait_until_none("SELECT 1 FROM schedule WHERE next_slot = $1 LIMIT 1", first, limit=60 + jobs / 500)
        seconds = (SystemClock().now() - begin).total_seconds()
        await stack.wait_until_none("SELECT 1 FROM outbox LIMIT 1", limit=60 + jobs / 500)
        published = (SystemClock().now() - begin).total_seconds()
        assert await stack.value("SELECT count(*) FROM slot WHERE fate = 'triggered'") == jobs
        return jobs / seconds, jobs / published
    finally:
        stop(running)


async def measure_steady(stack: BenchStack, jobs: int, a_second: int, seconds: int) -> tuple[float, float, float]:
    """Jobs due one after another: p99 of the slots' lateness and of the triggers' delay to a reader, and failover.

    After two thirds of the time one of the two schedulers is killed: failover is the latest slot from then on.
    """
    running = await stack.start_schedulers(2)
    await stack.fill(jobs, first := second_from_now(0), a_second)
    at, end = first + timedelta(seconds=2 * seconds // 3), first + timedelta(seconds=seconds)
    try:
        async with read_triggers(stack) as delays:
            ahead = await stack.set_clock(first - LEAD)
            await wait_until(at + ahead)
            running[0].process.kill()
            await wait_until(end + ahead)
            waiting = "SELECT count(*) FROM schedule WHERE next_slot < $1"

            async def is_decided() -> bool:
                return not await stack.value(waiting, end)

            await eventually(is_decided, timeout=60)
            await eventually(lambda: len(delays) >= a_second * seconds, timeout=60)
        late = (
            "SELECT percentile_disc({}) WITHIN GROUP (ORDER BY extract(epoch FROM decided_at - at))"
            " FROM slot WHERE at >= $1 AND at < $2"
        )
        lateness = await stack.value(late.format(0.99), first, at)
        failover = await stack.value(late.format(1), at, end)
        published = sorted(delay - ahead.total_seconds() for slot, delay in delays if slot < at)
        return lateness, published[int(0.99 * len(published))], failover
    finally:
        stop(running)


@asynccontextmanager
async def read_triggers(stack: BenchStack) -> AsyncIterator[list[tuple[datetime, float]]]:
    """Collect the slot and the delay (s) of each trigger, from the start of its transaction to a reader of Kafka."""
    consumer = AIOKafkaConsumer(
        "sluice.triggers",
        bootstrap_servers=stack.system.kafka,
        group_id=f"bench-{secrets.token_hex(4)}",
        auto_offset_reset="latest",
    )
    await consumer.start()
    for partition in consumer.assignment():
        await consumer.position(partition)
    delays: list[tuple[datetime, float]] = []

    async def read() -> None:
        while True:
            found = await consumer.getmany(timeout_ms=200)
            now = SystemClock().now()
            for record in (each for records in found.values() for each in records):
                slot = record.value.partition(b'"slot":"')[2][:20].decode()
                triggered_at = record.value.rpartition(b'"triggered_at":"')[2].partition(b'"')[0].decode()
                delay = (now - datetime.fromisoformat(triggered_at)).total_seconds()
                delays.append((datetime.fromisoformat(slot), delay))

    reading = asyncio.create_task(read())
    try:
        yield delays
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await consumer.stop()


async def measure_idle(stack: BenchStack, jobs: int, seconds: int) -> tuple[float, float]:
    """Nothing due: the fraction of a core that one scheduler uses, and that PostgreSQL uses for it."""
    running = await stack.start_schedulers(1)
    await stack.fill(jobs, second_from_now(86_400), 1000)
    try:
        await stack.set_clock(SystemClock().now())
        await wait_until(second_from_now(10))
        pids = [int(row["pid"]) for row in await stack.system.fetch("scheduler", BACKENDS)]
        began, own, served = SystemClock().now(), cpu_seconds(running[0].process.pid), sum(map(cpu_seconds, pids))
        await wait_until(second_from_now(seconds))
        took = (SystemClock().now() - began).total_seconds()
        own, served = cpu_seconds(running[0].process.pid) - own, sum(map(cpu_seconds, pids)) - served
        return own / took, served / took
    finally:
        stop(running)


async def measure_batch(stack: BenchStack, jobs: int, batches: int) -> float:
    """A hundred of `jobs` jobs are due: the median time (s) of the `batches` batches that decide them.

    The ledger's clock advances by a second before each batch, and a hundred jobs are due in each second.
    """
    await stack.fill(jobs, first := second_from_now(86_400), DUE)
    took: list[float] = []
    async with open_pool(stack.dsn, size=2, name="scheduler") as pool:
        scheduler = Scheduler(Ledger(pool), missed_after=timedelta(minutes=5), batch=1000)
        for number in range(batches):
            await stack.set_clock(first + timedelta(seconds=number))
            began = time.perf_counter()
            assert await scheduler.decide_batch() == DUE
            took.append(time.perf_counter() - began)
    return statistics.median(took)
