"""A storm over running schedulers: jobs change and the clock is stepped, while processes and servers are killed."""

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
from tests.chaos.scheduler.oracle import Row, Story
from tests.contract.samples import SETTINGS, TENANT
from tests.support.system import Service, System
from tests.support.wait import eventually
from tests.unit.scheduler.memory import HOUR

STATES: tuple[JobState, ...] = ("active", "active", "suspended")
CATCH_UPS: tuple[CatchUp, ...] = ("all", "last", "none")


@dataclass
class Storm:
    """The jobs' side of the world, and the hand that breaks things."""

    system: System
    kafka: Kafka
    postgres: Postgres
    dice: random.Random
    stories: dict[UUID, Story] = field(default_factory=dict)
    schedulers: list[Service] = field(default_factory=list)
    ahead: timedelta = timedelta(0)
    latest: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    shown: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    changes: int = 0
    broken: dict[str, int] = field(default_factory=dict)

    async def fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Ask the ledger, for as long as it takes PostgreSQL to be there."""

        async def ask() -> list[list[asyncpg.Record]]:
            try:
                return [await self.system.fetch("scheduler", query, *values)]
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return []

        return (await eventually(ask, timeout=120))[0]

    async def now(self) -> datetime:
        """Return the ledger's time, which never goes back as job-api sees it."""
        (row,) = await self.fetch("SELECT ledger_now() AS now")
        self.shown = row["now"]
        self.latest = max(self.latest + timedelta(milliseconds=1), self.shown)
        return self.latest

    async def step(self, by: timedelta) -> None:
        """Step the ledger's clock."""
        self.ahead += by
        await self.fetch(
            "CREATE OR REPLACE FUNCTION ledger_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS"
            f" 'SELECT clock_timestamp() + interval ''{self.ahead.total_seconds()} seconds'''"
        )
        (row,) = await self.fetch("SELECT ledger_now() AS now")
        self.latest = max(self.latest, row["now"])
        for story in self.stories.values():
            if story.deleted_at is not None:
                story.deleted_at = min(story.deleted_at, row["now"])

    async def tell(self, *told: events.Event) -> None:
        """Put events on their topics, for as long as it takes Kafka to be there."""

        async def said() -> bool:
            try:
                await self.system.publish(*told)
            except TransientError:
                return False
            return True

        await eventually(said, timeout=120)
        self.changes += len(told)

    def new_job(self, now: datetime) -> events.JobSaved:
        """Make up a job: mostly hourly ones, some daily, some that run once, at once or later."""
        kind = self.dice.choice(["hourly", "hourly", "hourly", "hourly", "daily", "once"])
        at_once = kind != "daily" and self.dice.random() < 0.15  # the oracle knows whole hours only
        hour = now.replace(minute=0, second=0, microsecond=0)
        start = now if at_once else hour + self.dice.randint(1, 12) * HOUR
        if kind != "once" and not at_once:
            start = hour - self.dice.randint(0, 500) * HOUR
        made = events.JobSaved(
            job_id=uuid4(),
            tenant_id=TENANT,
            version=1,
            state="suspended" if kind == "once" and at_once else self.dice.choice(STATES),
            state_reason=None,
            description="",
            settings=SETTINGS,
            schedule=Schedule(
                kind=kind,  # type: ignore[arg-type]  # one of three of its words
                start=start,
                every=self.dice.choice([1, 1, 1, 2, 3]),
                immediately=at_once,
            ),
            catch_up=self.dice.choice(CATCH_UPS),
            overlap="skip",
            saved_at=now,
        )
        self.stories[made.job_id] = Story([made])
        return made

    def change(self, story: Story, now: datetime) -> events.Event:
        """Make up something that is done to a job."""
        last = story.versions[-1]
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
            story.requests.append(request)
            return request
        if self.dice.random() < 0.03:
            # A deletion bears no time: it counts from when it is taken in, by a clock that may have gone back.
            story.deleted_at = self.shown
            return events.JobDeleted(job_id=last.job_id)
        changed = replace(last, version=last.version + 1, saved_at=now, state=self.dice.choice(STATES))
        if last.schedule.kind == "once":
            changed = replace(changed, state=last.state if last.schedule.immediately else changed.state)
        elif self.dice.random() < 0.5:
            at_once = last.schedule.kind != "daily" and self.dice.random() < 0.2
            schedule = replace(last.schedule, every=self.dice.choice([1, 1, 2, 3]), immediately=at_once)
            schedule = replace(
                schedule, start=now if at_once else schedule.start.replace(minute=0, second=0, microsecond=0)
            )
            changed = replace(changed, schedule=schedule, catch_up=self.dice.choice(CATCH_UPS))
        story.versions.append(changed)
        return changed

    async def gust(self, changes: int) -> None:
        """Change some jobs at once."""
        alive = [story for story in self.stories.values() if story.deleted_at is None]
        now = await self.now()
        told: list[events.Event] = []
        for story in self.dice.sample(alive, min(changes, len(alive))):
            now = self.latest = now + timedelta(milliseconds=1)
            told.append(self.change(story, now))
        told += [self.new_job(now) for event in told if isinstance(event, events.JobDeleted)]
        # Now and then something is told twice.
        await self.tell(*told, *self.dice.sample(told, len(told) // 10))

    async def break_something(self, what: str) -> None:
        """Kill or stop something, and bring it back."""
        self.broken[what] = self.broken.get(what, 0) + 1
        if what == "scheduler":
            victim = self.schedulers.pop(self.dice.randrange(len(self.schedulers)))
            victim.process.kill()
            self.schedulers.append(self.system.start("scheduler", "run"))
        elif what == "stalled":
            self.schedulers[0].process.pause(paused=True)
            await self.step(2 * HOUR)
            count = await self.slots()
            await self.grown(count)
            self.schedulers[0].process.pause(paused=False)
        elif what == "postgres":
            await asyncio.to_thread(self.postgres.kill if self.dice.random() < 0.5 else self.postgres.stop)
            await asyncio.to_thread(self.postgres.start)
        else:
            await asyncio.to_thread(self.kafka.kill if self.dice.random() < 0.5 else self.kafka.stop)
            await asyncio.to_thread(self.kafka.start)

    async def keep_running(self) -> None:
        """Start again what ended by itself, as a supervisor does."""
        for service in list(self.schedulers):
            if service.process.exit_code() is not None:
                self.schedulers.remove(service)
                self.schedulers.append(self.system.start("scheduler", "run"))
                self.broken["ended by itself"] = self.broken.get("ended by itself", 0) + 1

    async def slots(self) -> int:
        """Return how many slots the ledger holds."""
        return int((await self.fetch("SELECT count(*) FROM slot"))[0][0])

    async def grown(self, count: int) -> None:
        """Wait until the ledger holds more than `count` slots."""

        async def more() -> bool:
            await self.keep_running()
            return await self.slots() > count

        await eventually(more, timeout=240)

    async def known(self) -> bool:
        """Return whether the schedulers know all changes."""
        await self.keep_running()
        rows = await self.fetch("SELECT job_id, version, deleted FROM schedule")
        return {row["job_id"]: (row["version"], row["deleted"]) for row in rows} == {
            job: (story.versions[-1].version, story.deleted_at is not None) for job, story in self.stories.items()
        }

    async def settle(self) -> None:
        """Wait until all that was told is known, all that is due is decided, and all that was decided is told."""

        async def settled() -> bool:
            assert await self.known(), "not all changes are known"
            (row,) = await self.fetch(
                "SELECT (SELECT count(*) FROM schedule WHERE next_slot <= ledger_now()) AS due,"
                " (SELECT count(*) FROM past WHERE next_slot IS NOT NULL) AS unsettled,"
                " (SELECT count(*) FROM outbox) AS untold,"
                " (SELECT count(*) FROM slot WHERE reason = 'run-now' OR at <> date_trunc('second', at)) AS requests"
            )
            requests = sum(len(story.requests) for story in self.stories.values())
            assert (row["due"], row["unsettled"], row["untold"]) == (0, 0, 0), dict(row)
            assert row["requests"] == requests, f"{row['requests']} of {requests} requests"
            return True

        await eventually(settled, timeout=300)

    async def ledger(self) -> list[Row]:
        """Return the whole ledger."""
        rows = await self.fetch("SELECT job_id, at, run_id, version, fate, reason FROM slot ORDER BY job_id, at")
        return [Row(*row) for row in rows]
