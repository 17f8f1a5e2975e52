"""The deliverer's composition root."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from exporter.delivery.admission import DeliveryAdmission, create_delivery_handler
from exporter.delivery.deliverer import Deliverer
from exporter.delivery.limiter import BandwidthLimiter
from exporter.delivery.opening import TargetOpener
from exporter.delivery.settings import Settings
from exporter.delivery.source import FileSource
from exporter.delivery.testing import DestinationTester
from exporter.store.deliveries import DeliveryStore
from exporter.store.destinations import DestinationStore
from exporter.store.statements import EVENT_SOURCE
from shared.clock import SystemClock
from shared.kafka import Consumer, Producer
from shared.lifecycle import Health, Loop
from shared.net.egress import Egress
from shared.net.proxy import EgressProxy
from shared.outbox import Relay
from shared.postgres import check_connection, open_pool
from shared.postgres_listener import Listener
from shared.topics import COMMANDS, DESTINATION_TESTS, DESTINATIONS, RUNS

_POOL_NAME = "deliverer"


@dataclass(frozen=True)
class Process:
    """The process's loops, and what its readiness depends on."""

    loops: Mapping[str, Loop]
    health: Health


@asynccontextmanager
async def open_deliverer(settings: Settings) -> AsyncIterator[Process]:
    """Open what the deliverer needs and assemble it.

    Raises InvalidSettings, PostgresUnavailable or KafkaUnavailable.
    """
    clock, egress, unsealer = SystemClock(), Egress(settings.rules), settings.unsealer
    async with (
        open_pool(
            settings.postgres, size=settings.postgres_pool, name=_POOL_NAME, idle_limit=settings.lease / 2
        ) as pool,
        Producer.open(settings.kafka, name=_POOL_NAME) as producer,
        EgressProxy.open(egress) as proxy,
    ):
        source = FileSource(
            settings.store, settings.store_options, limiter=BandwidthLimiter(settings.bandwidth, clock=clock)
        )
        opener = TargetOpener(
            unsealer, egress, proxy, clock, ca=settings.ca_file, aws=settings.aws, sts_endpoint=settings.sts_endpoint
        )
        deliverer = Deliverer(store=DeliveryStore(pool), source=source, opener=opener, settings=settings, clock=clock)
        tester = DestinationTester(DestinationStore(pool), opener, clock=clock)
        consumer = Consumer(
            kafka=settings.kafka,
            group="sluice.exporter.deliveries",
            topics=[RUNS, COMMANDS, DESTINATIONS, DESTINATION_TESTS],
            handle=create_delivery_handler(DeliveryAdmission(pool)),
            producer=producer,
        )
        # Before a deletion or a cancellation has arrived, nothing may be delivered against it.
        gate = consumer.create_gate([DESTINATIONS, COMMANDS])
        relay = Relay(pool, producer, dsn=settings.postgres, service=EVENT_SOURCE)

        def wake(reason: str) -> None:
            deliverer.wake(reason)
            tester.wake()

        listener = Listener(settings.postgres, {"exporter_delivery": wake})
        health = Health()
        health.add_check("postgres", lambda: check_connection(pool))
        health.add_check("admission", consumer.find_fault)
        health.add_check("outbox", relay.find_fault)
        health.add_check("wake", listener.find_fault)
        health.add_check("start", gate.find_fault)
        loops: dict[str, Loop] = {
            "deliver": gate.hold(deliverer.run),
            "test": tester.run,
            "admission": consumer.run,
            "start": gate.run,
            "outbox": relay.run,
            "wake": listener.run,
        }
        yield Process(loops, health)
