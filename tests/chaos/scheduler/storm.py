"""A storm: jobs change and the clock is stepped while schedulers run, and processes and servers are killed."""

import asyncio
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg

from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from shared import events
from shared.errors import TransientError
from shared.events.values import CatchUp, JobState, Schedule
from tests.chaos.scheduler.oracle import JobEvents, LedgerRow
from tests.contract.samples import SETTINGS, TENANT, to_deleted
from tests.support.system import Service, System
from tests.support.wait import eventually
from tests.unit.scheduler.memory import HOUR

STATES: tuple[JobState, ...] = ("active", "active", "suspended")
CATCH_UPS: tuple[CatchUp, ...] = ("all", "last", "none")


@dataclass
class Storm:
    """Changes jobs, steps the clock and breaks processes and servers."""

    system: System
    kafka: Kafka
    postgres: Postgres
    dice: random.Random
    jobs: dict[UUID, JobEvents] = field(default_factory=dict)
    schedulers: list[Service] = field(default_factory=list)
    ahead: timedelta = timedelta(0)
    latest: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    shown: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    changes: int = 0
    broken: dict[str, int] = field(default_factory=dict)

    async def fetch(self, query: str, *values: object, as_owner: bool = False) -> list[asyncpg.Record]:
        """Query the ledger, retrying while PostgreSQL is unavailable."""
        fetch = self.system.fetch_as_owner if as_owner else self.system.fetch

        async def query_once() -> list[list[asyncpg.Record]]:
            try:
                return [await fetch("scheduler", query, *values)]
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return []

        return (await eventually(query_once, timeout=120))[0]

    async def now(self) -> datetime:
        """Return the ledger's time; like job-api's clock it never goes back."""
        (row,) = await self.fetch("SELECT ledger_now() AS now")
        self.shown = row["now"]
        self.latest = max(self.latest + timedelta(milliseconds=1), self.shown)
        return self.latest

    async def step(self, by: timedelta) -> None:
        """Step the ledger's clock."""
        self.ahead += by
        await self.fetch(
            "CREATE OR REPLACE FUNCTION ledger_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS"
            f" 'SELECT clock_timestamp() + interval ''{self.ahead.total_seconds()} seconds'''",
            as_owner=True,
        )
        (row,) = await self.fetch("SELECT ledger_now() AS now")
        self.latest = max(self.latest, row["now"])
        for job in self.jobs.values():
            if job.deleted_at is not None:
                job.deleted_at = min(job.deleted_at, row["now"])

    async def publish(self, *published: events.Event) -> None:
        """Publish events, retrying while Kafka is unavailable."""

        async def try_once() -> bool:
            try:
                await self.system.publish(*published)
            except TransientError:
                return False
            return True

        await eventually(try_once, timeout=120)
        self.changes += len(published)

    def new_job(self, now: datetime) -> events.JobSaved:
        """Create a random job: mostly hourly, some daily, some one-time with an immediate or a later start."""
        kind = self.dice.choice(["hourly", "hourly", "hourly", "hourly", "daily", "once"])
        immediately = kind != "daily" and self.dice.random() < 0.15  # the oracle computes whole hours only
        hour = now.replace(minute=0, second=0, microsecond=0)
        start = now if immediately else hour + self.dice.randint(1, 12) * HOUR
        if kind != "once" and not immediately:
            start = hour - self.dice.randint(0, 500) * HOUR
        created = events.JobSaved(
            job_id=uuid4(),
            tenant_id=TENANT,
            version=1,
            state="suspended" if kind == "once" and immediately else self.dice.choice(STATES),
            state_reason=None,
            description="",
            settings=SETTINGS,
            schedule=Schedule(
                kind=kind,  # type: ignore[arg-type]  # one of three of its values
                start=start,
                every=self.dice.choice([1, 1, 1, 2, 3]),
                immediately=immediately,
            ),
            catch_up=self.dice.choice(CATCH_UPS),
            overlap="skip",
            saved_at=now,
        )
        self.jobs[created.job_id] = JobEvents([created])
        return created

    def change(self, job: JobEvents, now: datetime) -> events.Event:
        """Create a random change of a job."""
        last = job.versions[-1]
        if last.schedule.kind != "once" and self.dice.random() < 0.2:
            request = events.RunNow(
                job_id=last.job_id,
                tenant_id=last.tenant_id,
                request_id=uuid4(),
                job_version=last.version,
                settings=last.settings,
                overlap=last.overlap,
                requested_by=None,
                requested_at=now,
            )
            job.requests.append(request)
            return request
        if self.dice.random() < 0.03:
            # A deletion has no time of its own: it takes effect when it arrives, by a clock that may have gone back.
            job.deleted_at = self.shown
            return to_deleted(last)
        changed = replace(last, version=last.version + 1, saved_at=now, state=self.dice.choice(STATES))
        if last.schedule.kind == "once":
            changed = replace(changed, state=last.state if last.schedule.immediately else changed.state)
        elif self.dice.random() < 0.5:
            immediately = last.schedule.kind != "daily" and self.dice.random() < 0.2
            schedule = replace(last.schedule, every=self.dice.choice([1, 1, 2, 3]), immediately=immediately)
            schedule = replace(
                schedule, start=now if immediately else schedule.start.replace(minute=0, second=0, microsecond=0)
            )
            changed = replace(changed, schedule=schedule, catch_up=self.dice.choice(CATCH_UPS))
        job.versions.append(changed)
        return changed

    async def change_jobs(self, changes: int) -> None:
        """Change some jobs at random."""
        alive = [job for job in self.jobs.values() if job.deleted_at is None]
        now = await self.now()
        changed: list[events.Event] = []
        for job in self.dice.sample(alive, min(changes, len(alive))):
            now = self.latest = now + timedelta(milliseconds=1)
            changed.append(self.change(job, now))
        changed += [self.new_job(now) for event in changed if isinstance(event, events.JobDeleted)]
        # Some events are published twice.
        await self.publish(*changed, *self.dice.sample(changed, len(changed) // 10))

    async def break_something(self, what: str) -> None:
        """Kill or stop something, and start it again."""
        self.broken[what] = self.broken.get(what, 0) + 1
        if what == "scheduler":
            victim = self.schedulers.pop(self.dice.randrange(len(self.schedulers)))
            victim.process.kill()
            self.schedulers.append(self.system.start("scheduler", "run"))
        elif what == "stalled":
            self.schedulers[0].process.pause(paused=True)
            await self.step(2 * HOUR)
            count = await self.count_slots()
            await self.wait_for_growth(count)
            self.schedulers[0].process.pause(paused=False)
        elif what == "postgres":
            await asyncio.to_thread(self.postgres.kill if self.dice.random() < 0.5 else self.postgres.stop)
            await asyncio.to_thread(self.postgres.start)
        else:
            await asyncio.to_thread(self.kafka.kill if self.dice.random() < 0.5 else self.kafka.stop)
            await asyncio.to_thread(self.kafka.start)

    async def keep_running(self) -> None:
        """Restart schedulers that ended by themselves, as a supervisor does."""
        for service in list(self.schedulers):
            if service.process.exit_code() is not None:
                self.schedulers.remove(service)
                self.schedulers.append(self.system.start("scheduler", "run"))
                self.broken["ended by itself"] = self.broken.get("ended by itself", 0) + 1

    async def count_slots(self) -> int:
        """Return the number of slots in the ledger."""
        return int((await self.fetch("SELECT count(*) FROM slot"))[0][0])

    async def wait_for_growth(self, count: int) -> None:
        """Wait until the ledger has more than `count` slots."""

        async def has_grown() -> bool:
            await self.keep_running()
            return await self.count_slots() > count

        await eventually(has_grown, timeout=240)

    async def knows_all(self) -> bool:
        """Return whether the schedulers know all changes."""
        await self.keep_running()
        rows = await self.fetch("SELECT job_id, version, deleted FROM schedule")
        return {row["job_id"]: (row["version"], row["deleted"]) for row in rows} == {
            job_id: (job.versions[-1].version, job.deleted_at is not None) for job_id, job in self.jobs.items()
        }

    async def wait_until_done(self) -> None:
        """Wait until all events are applied, all due slots decided and all decisions published.

        A clock that was stepped back may be behind the latest change of a job, whose slots up to then are not due yet.
        """
        (row,) = await self.fetch("SELECT ledger_now() AS now")
        if row["now"] < self.latest:
            await self.step(self.latest - row["now"])

        async def is_done() -> bool:
            assert await self.knows_all(), "not all changes are known"
            (row,) = await self.fetch(
                "SELECT (SELECT count(*) FROM schedule WHERE next_slot <= ledger_now()) AS due,"
                " (SELECT count(*) FROM schedule_history WHERE next_slot IS NOT NULL) AS superseded,"
                " (SELECT count(*) FROM outbox) AS unpublished,"
                " (SELECT count(*) FROM slot WHERE reason = 'run-now' OR at <> date_trunc('second', at)) AS requests"
            )
            requests = sum(len(job.requests) for job in self.jobs.values())
            assert (row["due"], row["superseded"], row["unpublished"]) == (0, 0, 0), dict(row)
            assert row["requests"] == requests, f"{row['requests']} of {requests} requests"
            return True

        await eventually(is_done, timeout=300)

    async def ledger(self) -> list[LedgerRow]:
        """Return the whole ledger."""
        rows = await self.fetch("SELECT job_id, at, run_id, version, fate, reason FROM slot ORDER BY job_id, at")
        return [LedgerRow(*row) for row in rows]
