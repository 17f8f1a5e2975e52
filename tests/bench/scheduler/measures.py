"""What is measured of schedulers: each measure is one whole trial, from filling the ledger to stopping them."""

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
from tests.bench.scheduler.stack import Stack, cpu_seconds, second_from_now, stop, until
from tests.support.wait import eventually

LEAD = timedelta(seconds=3)
TURNS, DUE = 100, 100
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name IN ('scheduler', 'listener')"


async def burst(stack: Stack, jobs: int) -> tuple[float, float]:
    """All jobs due in one second, two schedulers: slots a second until the last is committed, and until published."""
    running = await stack.schedulers(2)
    await stack.fill(jobs, first := second_from_now(0), jobs)
    try:
        begin = first + await stack.set_clock(first - LEAD)
        await until(begin)
        await stack.none_left("SELECT 1 FROM schedule WHERE next_slot = $1 LIMIT 1", first, limit=60 + jobs / 500)
        seconds = (SystemClock().now() - begin).total_seconds()
        await stack.none_left("SELECT 1 FROM outbox LIMIT 1", limit=60 + jobs / 500)
        told = (SystemClock().now() - begin).total_seconds()
        assert await stack.value("SELECT count(*) FROM slot WHERE fate = 'triggered'") == jobs
        return jobs / seconds, jobs / told
    finally:
        stop(running)


async def steady(stack: Stack, jobs: int, a_second: int, seconds: int) -> tuple[float, float, float]:
    """Jobs due one after the other: p99 of slots' lateness, of triggers' way into a reader's hands, and failover.

    A third before the end one of the two schedulers is killed: failover is the latest slot from then on.
    """
    running = await stack.schedulers(2)
    await stack.fill(jobs, first := second_from_now(0), a_second)
    at, end = first + timedelta(seconds=2 * seconds // 3), first + timedelta(seconds=seconds)
    try:
        async with read_triggers(stack) as delays:
            ahead = await stack.set_clock(first - LEAD)
            await until(at + ahead)
            running[0].process.kill()
            await until(end + ahead)
            waiting = "SELECT count(*) FROM schedule WHERE next_slot < $1"

            async def decided() -> bool:
                return not await stack.value(waiting, end)

            await eventually(decided, timeout=60)
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
async def read_triggers(stack: Stack) -> AsyncIterator[list[tuple[datetime, float]]]:
    """Collect slot and delay (s) of each trigger, from its transaction's beginning to a reader's hands."""
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
                told = record.value.rpartition(b'"triggered_at":"')[2].partition(b'"')[0].decode()
                delay = (now - datetime.fromisoformat(told)).total_seconds()
                delays.append((datetime.fromisoformat(slot), delay))

    reading = asyncio.create_task(read())
    try:
        yield delays
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await consumer.stop()


async def idle(stack: Stack, jobs: int, seconds: int) -> tuple[float, float]:
    """Nothing due: the shares of a core that one scheduler uses, and that PostgreSQL uses for it."""
    running = await stack.schedulers(1)
    await stack.fill(jobs, second_from_now(86_400), 1000)
    try:
        await stack.set_clock(SystemClock().now())
        await until(second_from_now(10))
        pids = [int(row["pid"]) for row in await stack.system.fetch("scheduler", BACKENDS)]
        began, own, served = SystemClock().now(), cpu_seconds(running[0].process.pid), sum(map(cpu_seconds, pids))
        await until(second_from_now(seconds))
        took = (SystemClock().now() - began).total_seconds()
        own, served = cpu_seconds(running[0].process.pid) - own, sum(map(cpu_seconds, pids)) - served
        return own / took, served / took
    finally:
        stop(running)


async def turn(stack: Stack, jobs: int) -> float:
    """Of `jobs` jobs a hundred are due: the median time of the turn that decides them (s).

    The ledger's clock goes on by a second before each turn, and a hundred jobs are due in each second.
    """
    await stack.fill(jobs, first := second_from_now(86_400), DUE)
    took: list[float] = []
    async with open_pool(stack.dsn, size=2, name="scheduler") as pool:
        scheduler = Scheduler(Ledger(pool), missed_after=timedelta(minutes=5), batch=1000)
        for number in range(TURNS):
            await stack.set_clock(first + timedelta(seconds=number))
            began = time.perf_counter()
            assert await scheduler.turn() == DUE
            took.append(time.perf_counter() - began)
    return statistics.median(took)
