"""The exporter's composition root."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from exporter.consumer import admissions
from exporter.package.objects import ObjectStore, open_store
from exporter.runs.admission import Admissions
from exporter.runs.claimer import Exporter
from exporter.runs.coordinator import RunWork
from exporter.runs.helper import HelpWork
from exporter.runs.lease import Lease
from exporter.runs.progress import ProgressTeller
from exporter.runs.sweep import Sweeper
from exporter.settings import Settings
from exporter.source.native.choice import is_native
from exporter.store.runs import SOURCE, Claim, RunStore
from exporter.store.slices import SliceStore
from shared.clock import SystemClock
from shared.kafka import Consumer, Producer
from shared.lifecycle import Health, Loop
from shared.outbox import Relay
from shared.postgres import check_connection, listen, open_pool
from shared.topics import CERTIFICATES, COMMANDS, JOBS, TRIGGERS


@dataclass(frozen=True)
class Process:
    """What the process runs, and what its readiness rests on."""

    loops: Mapping[str, Loop]
    health: Health


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Process]:
    """Open what the exporter needs and put it together. Raises PostgresUnavailable or KafkaUnavailable."""
    async with (
        # An exporter that stalls within a transaction must not hold the run's row against whoever takes it over.
        open_pool(settings.postgres, size=settings.postgres_pool, name=SOURCE, idle_limit=settings.lease / 2) as pool,
        Producer.open(settings.kafka, name=SOURCE) as producer,
    ):
        store, objects = RunStore(pool), open_store(settings.store, settings.store_options)
        exporter = _exporter(settings, store, SliceStore(pool), objects=objects, producer=producer)
        consumer = Consumer(
            kafka=settings.kafka,
            group="sluice.exporter",
            topics=[TRIGGERS, COMMANDS, JOBS, CERTIFICATES],
            handle=admissions(Admissions(store)),
            producer=producer,
        )
        relay = Relay(pool, producer, dsn=settings.postgres, service=SOURCE)
        health = Health()
        health.add_check("postgres", lambda: check_connection(pool))
        health.add_check("admission", consumer.find_fault)
        loops: dict[str, Loop] = {
            "export": exporter.run,
            "admission": consumer.run,
            "outbox": relay.run,
            "sweep": Sweeper(store, objects).run,
            "wake": partial(listen, settings.postgres, {"exporter_run": exporter.wake}),
        }
        yield Process(loops, health)


def _exporter(
    settings: Settings, store: RunStore, slices: SliceStore, *, objects: ObjectStore, producer: Producer
) -> Exporter:
    clock, native = SystemClock(), is_native(settings.transcoder)

    def work(claim: Claim, stopping: asyncio.Event) -> RunWork:
        return RunWork(
            claim,
            Lease(partial(store.renew, claim), settings.lease, clock=clock),
            store=store,
            slices=slices,
            objects=objects,
            progress=ProgressTeller(producer, claim, slices, clock),
            settings=settings,
            clock=clock,
            is_native=native,
            stopping=stopping,
        )

    help_work = partial(HelpWork, store=store, slices=slices, settings=settings, clock=clock, is_native=native)
    return Exporter(
        store=store,
        slices=slices,
        objects=objects,
        settings=settings,
        work=work,
        help_work=lambda claim, stopping: help_work(claim, stopping=stopping),
    )
