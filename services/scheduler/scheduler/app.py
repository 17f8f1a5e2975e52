"""The scheduler's composition root."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from scheduler.auditor import Auditor
from scheduler.changes import Intake
from scheduler.consumer import intake
from scheduler.emitter import SOURCE
from scheduler.service import Scheduler
from scheduler.settings import Settings
from scheduler.store import Ledger
from scheduler.store_audit import AuditLog
from scheduler.upkeep import Upkeep
from shared.kafka import Consumer, Producer
from shared.lifecycle import Health, Loop
from shared.outbox import Relay
from shared.postgres import check_connection, open_pool
from shared.topics import COMMANDS, JOBS


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
        Producer.open(settings.kafka, name=SOURCE) as producer,
    ):
        ledger = Ledger(pool)
        scheduler = Scheduler(ledger, missed_after=settings.missed_after, batch=settings.batch)
        consumer = Consumer(
            kafka=settings.kafka,
            group="sluice.scheduler",
            topics=[JOBS, COMMANDS],
            handle=intake(Intake(ledger, wake=scheduler.wake)),
            producer=producer,
        )
        health = Health()
        health.add_check("postgres", lambda: check_connection(pool))
        health.add_check("jobs", consumer.find_fault)
        loops = {
            "slots": scheduler.run,
            "jobs": consumer.run,
            "outbox": Relay(pool, producer, dsn=settings.postgres, service=SOURCE).run,
            "upkeep": Upkeep(ledger, kept=settings.ledger_kept).run,
            "audit": Auditor(AuditLog(pool), every=settings.audit_every).run,
        }
        yield Process(loops, health)
