"""The scheduler's composition root."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from scheduler.consumer import job_changes
from scheduler.service import Scheduler
from scheduler.settings import Settings
from scheduler.store import SOURCE, Ledger
from shared.kafka import Consumer, Producer
from shared.lifecycle import Health, Loop
from shared.outbox import Relay
from shared.postgres import check, open_pool
from shared.topics import JOBS


@dataclass(frozen=True)
class Process:
    """What the process runs, and what its readiness rests on."""

    loops: Mapping[str, Loop]
    health: Health


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Process]:
    """Open what the scheduler needs and put it together. Raises PostgresUnavailable or KafkaUnavailable."""
    async with (
        open_pool(settings.postgres, size=settings.postgres_pool, name=SOURCE) as pool,
        Producer.opened(settings.kafka_bootstrap, name=SOURCE) as producer,
    ):
        scheduler = Scheduler(Ledger(pool), missed_after=settings.missed_after, batch=settings.batch)
        consumer = Consumer(
            bootstrap=settings.kafka_bootstrap,
            group="sluice.scheduler",
            topics=[JOBS],
            handle=job_changes(scheduler),
            producer=producer,
        )
        relay = Relay(pool, producer, dsn=settings.postgres, service=SOURCE)
        health = Health()
        health.add("postgres", lambda: check(pool))
        health.add("jobs", consumer.unready)
        yield Process({"slots": scheduler.run, "jobs": consumer.run, "outbox": relay.run}, health)
