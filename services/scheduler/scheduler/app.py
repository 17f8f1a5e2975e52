"""The scheduler's composition root."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from scheduler.auditor import Auditor
from scheduler.changes import ChangeService
from scheduler.consumer import create_handler
from scheduler.emitter import SOURCE
from scheduler.maintenance import Maintenance
from scheduler.service import Scheduler
from scheduler.settings import Settings
from scheduler.store import Ledger
from scheduler.store_audit import AuditStore
from shared.kafka import Consumer, Producer
from shared.lifecycle import Health, Loop
from shared.outbox import Relay
from shared.postgres import check_connection, open_pool
from shared.topics import COMMANDS, JOBS


@dataclass(frozen=True)
class Process:
    """The loops of the process, and the checks of its readiness."""

    loops: Mapping[str, Loop]
    health: Health


@asynccontextmanager
async def open_scheduler(settings: Settings) -> AsyncIterator[Process]:
    """Open PostgreSQL and Kafka and assemble the scheduler.

    Raises PostgresUnavailable, PostgresMisconfigured or KafkaUnavailable.
    """
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
            handle=create_handler(ChangeService(ledger, wake=scheduler.wake)),
            producer=producer,
        )
        relay = Relay(pool, producer, dsn=settings.postgres, service=SOURCE)
        gate = consumer.create_gate([JOBS])
        health = Health()
        health.add_check("postgres", lambda: check_connection(pool))
        health.add_check("jobs", consumer.find_fault)
        health.add_check("outbox", relay.find_fault)
        health.add_check("start", gate.find_fault)
        loops = {
            "slots": gate.hold(scheduler.run),
            "jobs": consumer.run,
            "start": gate.run,
            "outbox": relay.run,
            "maintenance": Maintenance(ledger, retention=settings.ledger_kept).run,
            "audit": Auditor(AuditStore(pool), every=settings.audit_every).run,
        }
        yield Process(loops, health)
