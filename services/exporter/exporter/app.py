"""The exporter's composition root."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from exporter.consumer import create_handler
from exporter.package.objects import ObjectStore, open_store
from exporter.runs.admission import AdmissionService
from exporter.runs.claimer import RunClaimer
from exporter.runs.coordinator import RunCoordinator
from exporter.runs.helper import SliceHelper
from exporter.runs.lease import Lease
from exporter.runs.progress import ProgressReporter
from exporter.runs.source_numbers import create_source_number_handler
from exporter.runs.sweep import Sweeper
from exporter.settings import Settings
from exporter.source.native.choice import choose_transcoder
from exporter.store.leases import LeaseStore
from exporter.store.runs import RunClaim, RunStore
from exporter.store.slices import SliceClaim, SliceStore
from exporter.store.statements import EVENT_SOURCE
from shared.clock import SystemClock
from shared.kafka import Consumer, Producer
from shared.lifecycle import Health, Loop
from shared.outbox import Relay
from shared.postgres import Pool, check_connection, open_pool
from shared.postgres_listener import Listener
from shared.topics import CERTIFICATES, COMMANDS, JOBS, TRIGGERS

_POOL_NAME = "exporter"


@dataclass(frozen=True)
class Process:
    """The process's loops, and what its readiness depends on."""

    loops: Mapping[str, Loop]
    health: Health


@asynccontextmanager
async def open_exporter(settings: Settings) -> AsyncIterator[Process]:
    """Open what the exporter needs and assemble it. Raises PostgresUnavailable or KafkaUnavailable."""
    async with (
        # An exporter that stalls within a transaction must not keep the run's row locked against a takeover.
        open_pool(
            settings.postgres, size=settings.postgres_pool, name=_POOL_NAME, idle_limit=settings.lease / 2
        ) as pool,
        Producer.open(settings.kafka, name=_POOL_NAME) as producer,
    ):
        store, objects = RunStore(pool), open_store(settings.store, settings.store_options)
        claimer = _create_claimer(settings, pool, objects=objects, producer=producer)
        consumer = Consumer(
            kafka=settings.kafka,
            group="sluice.exporter",
            topics=[TRIGGERS, COMMANDS, JOBS, CERTIFICATES],
            handle=create_handler(AdmissionService(pool)),
            producer=producer,
        )
        source_numbers = Consumer(
            kafka=settings.kafka,
            group="sluice.exporter.numbers",
            topics=[JOBS],
            handle=create_source_number_handler(pool),
            producer=producer,
        )
        gate = consumer.create_gate([JOBS, CERTIFICATES, COMMANDS])
        relay = Relay(pool, producer, dsn=settings.postgres, service=EVENT_SOURCE)
        listener = Listener(settings.postgres, {"exporter_run": claimer.wake})
        health = Health()
        health.add_check("postgres", lambda: check_connection(pool))
        health.add_check("admission", consumer.find_fault)
        health.add_check("numbers", source_numbers.find_fault)
        health.add_check("outbox", relay.find_fault)
        health.add_check("wake", listener.find_fault)
        health.add_check("start", gate.find_fault)
        loops: dict[str, Loop] = {
            "export": gate.hold(claimer.run),
            "admission": consumer.run,
            "numbers": source_numbers.run,
            "start": gate.run,
            "outbox": relay.run,
            "sweep": Sweeper(store, objects).run,
            "wake": listener.run,
        }
        yield Process(loops, health)


def _create_claimer(settings: Settings, pool: Pool, *, objects: ObjectStore, producer: Producer) -> RunClaimer:
    store, slices = RunStore(pool), SliceStore(pool)
    clock, is_native = SystemClock(), choose_transcoder(settings.transcoder) == "native"

    def coordinate(claim: RunClaim, stopping: asyncio.Event) -> RunCoordinator:
        return RunCoordinator(
            claim,
            Lease(partial(store.renew, claim), settings.lease, clock=clock),
            store=store,
            slices=slices,
            objects=objects,
            progress=ProgressReporter(producer, claim, slices, clock=clock),
            settings=settings,
            clock=clock,
            is_native=is_native,
            stopping=stopping,
        )

    def help_with(claim: SliceClaim, stopping: asyncio.Event) -> SliceHelper:
        return SliceHelper(
            claim,
            store=store,
            slices=slices,
            settings=settings,
            clock=clock,
            is_native=is_native,
            stopping=stopping,
        )

    return RunClaimer(
        store=store,
        slices=slices,
        leases=LeaseStore(pool),
        objects=objects,
        settings=settings,
        coordinate=coordinate,
        help_with=help_with,
    )
