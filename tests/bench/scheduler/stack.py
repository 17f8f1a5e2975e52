"""The servers of the benchmark: Kafka, a durable PostgreSQL, and any number of jobs and schedulers."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg

from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.reaper import Reaper
from scheduler.emitter import to_settings_json
from shared import events
from shared.clock import SystemClock
from tests.contract.samples import CERTIFICATE
from tests.support.servers import Databases
from tests.support.system import Service, System
from tests.support.wait import eventually

FROZEN = events.JobSettings(
    title="Nightly, all mail",
    source="contact_history",
    type="interaction",
    source_tenant=101,
    timeframe=events.Timeframe(kind="last", count=1, unit="days"),
    media_types=("email", "chat"),
    split_size=64 * 1024 * 1024,
    certificates=(CERTIFICATE,),
)

# The defaults are meant for a server that shares its machine.
TUNED = {"shared_buffers": "1GB", "max_wal_size": "8GB"}

# Job number n is due daily, at $2 plus n / $3 seconds, truncated to the second: $3 jobs in every second. They started
# on any of a thousand days.
_FILL = """
INSERT INTO schedule (job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings,
                      since, deleted, next_slot)
SELECT gen_random_uuid(), gen_random_uuid(), 1, 'active', 'daily', at - make_interval(days => n % 1000), false, 1,
       'last', 'skip', $4, at - interval '1 hour', false, at
FROM (SELECT n, $2::timestamptz + make_interval(secs => floor(n / $3::float8)) AS at
      FROM generate_series(0, $1::int - 1) AS each(n) ORDER BY gen_random_uuid()) AS slots
"""


@dataclass
class BenchStack:
    """The running servers, and how to reach them."""

    system: System
    dsn: str
    admin_dsn: str

    async def fill(self, jobs: int, first: datetime, a_second: float) -> None:
        """Replace all jobs by new ones, due from `first` on, `a_second` in every second; delete all slots.

        Filling takes a while, so the ledger's clock is set to an hour before `first`. The data is on disk afterwards,
        so no checkpoint of it falls into a measurement.
        """
        await self.set_clock(first - timedelta(hours=1))
        database = await asyncpg.connect(self.system.owner_dsn("scheduler"), command_timeout=600)
        try:
            await database.execute("TRUNCATE schedule, schedule_history, slot, outbox, audit")
            # Creating the indexes after all rows takes a fifth of the time.
            await database.execute("ALTER TABLE schedule DROP CONSTRAINT schedule_pkey")
            indexes = await database.fetch(
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'scheduler' AND tablename = 'schedule'"
            )
            for name, _ in indexes:
                await database.execute(f"DROP INDEX {name}")
            await database.execute(_FILL, jobs, first, float(a_second), to_settings_json(FROZEN))
            await database.execute("ALTER TABLE schedule ADD PRIMARY KEY (job_id) WITH (fillfactor = 60)")
            for _, definition in indexes:
                await database.execute(definition)
            await database.execute("VACUUM (ANALYZE) schedule")
            await database.execute("VACUUM (ANALYZE) slot")
        finally:
            await database.close()
        administrator = await asyncpg.connect(self.admin_dsn, command_timeout=600)
        try:
            await administrator.execute("CHECKPOINT")
        finally:
            await administrator.close()
        await asyncio.to_thread(os.sync)

    async def set_clock(self, instant: datetime) -> timedelta:
        """Set the ledger's clock to `instant`; return by how much the wall clock is ahead of it."""
        ahead = SystemClock().now() - instant
        await self.system.fetch_as_owner(
            "scheduler",
            "CREATE OR REPLACE FUNCTION ledger_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS"
            f" 'SELECT clock_timestamp() - make_interval(secs => {ahead.total_seconds()})'",
        )
        return ahead

    async def value(self, query: str, *values: object) -> float:
        """Return one number from the ledger."""
        (row,) = await self.system.fetch("scheduler", query, *values)
        return float(row[0] or 0)

    async def wait_until_none(self, query: str, *values: object, limit: float) -> None:
        """Wait until a query returns no row; the query must be cheap compared with what is measured."""
        database = await asyncpg.connect(self.dsn)
        try:
            end = time.monotonic() + limit
            while await database.fetchrow(query, *values) is not None:
                assert time.monotonic() < end, f"rows left after {limit:g} s: {query}"
                await asyncio.sleep(0.25)
        finally:
            await database.close()

    async def start_schedulers(self, count: int) -> list[Service]:
        """Start schedulers and wait until they are ready."""
        started = [self.system.start("scheduler", "run") for _ in range(count)]
        for each in started:
            await each.wait_ready()
        return started


@asynccontextmanager
async def open_stack() -> AsyncIterator[BenchStack]:
    """Start the servers, and stop them at the end."""
    with Reaper() as reaper:
        folder = reaper.temporary_folder("sluice-bench-", parent=Path("/var/tmp"))
        kafka, postgres = Kafka(folder / "kafka", reaper), Postgres(folder / "postgres", reaper, settings=TUNED)
        bootstrap, admin = kafka.start(), postgres.start()
        try:
            databases = Databases(admin)
            system = await System.prepare(folder / "logs", bootstrap, databases, reaper)
            yield BenchStack(system, system.dsn("scheduler"), databases.dsn(system.database))
            system.stop()
        finally:
            kafka.stop()
            postgres.stop()


def stop(services: Sequence[Service]) -> None:
    """Stop schedulers gracefully."""
    for each in services:
        each.process.stop()


def second_from_now(seconds: float) -> datetime:
    """Return a whole second at least this many seconds from now."""
    return (SystemClock().now() + timedelta(seconds=seconds + 1)).replace(microsecond=0)


async def wait_until(instant: datetime, *, limit: float = 3600) -> None:
    """Wait for an instant of the wall clock."""
    await eventually(lambda: SystemClock().now() >= instant, timeout=limit)


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
