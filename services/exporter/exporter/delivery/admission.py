"""Admission of deliveries: succeeded runs, destinations, commands and requested tests enter the tables at once.

All of them may arrive twice and in any order. A delivery whose destination is not known yet waits for it.
"""

from collections.abc import Sequence

from exporter.store.delivery_admission import DeliveryAdmissionStore
from shared.codec import Message
from shared.events import (
    CancelDelivery,
    DestinationDeleted,
    DestinationSaved,
    DestinationTombstone,
    Event,
    RetryDelivery,
    RunDestinationTest,
    RunSucceeded,
    RunSucceededV1,
)
from shared.kafka import Handler
from shared.postgres import Pool


class DeliveryAdmission:
    """Admits events, each idempotently; kinds that deliverers do not need are ignored."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def admit(self, events: Sequence[Event]) -> None:
        """Admit events in their order, in one transaction. Raises PostgresUnavailable."""
        async with DeliveryAdmissionStore.begin(self._pool) as store:
            for event in events:
                match event:
                    case RunSucceeded() | RunSucceededV1():
                        await _create_deliveries(store, event)
                    case DestinationSaved():
                        await store.save_destination(event)
                    case DestinationDeleted():
                        await store.delete_destination(event)
                    case DestinationTombstone():
                        await store.forget_destination(event.destination_id)
                    case CancelDelivery():
                        await store.request_cancel(event)
                    case RetryDelivery():
                        if (retried := await store.retry(event)) is not None:
                            await store.write_events([retried], retried.at)
                    case RunDestinationTest():
                        await store.insert_test(event)
                    case _:
                        continue


def create_delivery_handler(admission: DeliveryAdmission) -> Handler:
    """Return the handler of all topics that deliverers follow."""

    async def handle(messages: Sequence[Message]) -> None:
        await admission.admit([message.event for message in messages])

    return handle


async def _create_deliveries(store: DeliveryAdmissionStore, run: RunSucceeded | RunSucceededV1) -> None:
    found = await store.read_run(run.run_id)
    if found is None:
        return
    settings, slot = found
    assert settings.delivery is not None
    for destination_id in dict.fromkeys(settings.delivery.destinations):
        now = await store.read_clock()
        created = await store.insert_delivery(run, destination_id, settings=settings, slot=slot, now=now)
        if created is not None:
            await store.write_events([created], now)
