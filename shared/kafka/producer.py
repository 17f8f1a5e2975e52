"""The producer: when `send` returns, all in-sync replicas have acknowledged the records."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from operator import attrgetter
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from shared.codec import Record
from shared.errors import TransientError
from shared.kafka.partition import select_partitions
from shared.kafka_access import KafkaAccess
from shared.observe import get_logger

log = get_logger(__name__)

LARGEST_MESSAGE = 16 * 1024 * 1024
"""The largest message, in bytes: the end of a run with ten thousand files lists them all."""
_BATCHES_FROM = 50


class KafkaUnavailable(TransientError):
    """Kafka is unavailable or did not acknowledge in time; some of the records may have been written."""


class Producer:
    """Sends records in order, idempotently; reconnects after a failure."""

    def __init__(self, kafka: str | KafkaAccess, *, name: str) -> None:
        self._kafka = KafkaAccess.parse(kafka)
        self._name = name
        self._client: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, kafka: str | KafkaAccess, *, name: str) -> AsyncIterator[Self]:
        """Open a connected producer. Raises KafkaUnavailable."""
        producer = cls(kafka, name=name)
        await producer._connect()
        try:
            yield producer
        finally:
            await producer._close()

    async def send(self, records: Iterable[Record]) -> None:
        """Send records, those of one key in their order, and wait for all acknowledgements.

        Raises KafkaUnavailable; any of the records may have been written then, so the caller sends all of them again.
        """
        producer = await self._connect()
        try:
            await asyncio.gather(*await _enqueue(producer, list(records)))
        except KafkaError as error:
            # After a failure an idempotent producer may reject everything (its sequence is broken): use a new one.
            await self._close()
            raise KafkaUnavailable(f"Kafka: {error}") from error

    async def _connect(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._client is None:
                producer = AIOKafkaProducer(
                    **self._kafka.client_options(),
                    client_id=self._name,
                    acks="all",
                    enable_idempotence=True,
                    # aiokafka uses lz4 at its highest level; zstd is three times as fast and a third smaller.
                    compression_type="zstd",
                    max_batch_size=256 * 1024,
                    max_request_size=LARGEST_MESSAGE,
                    request_timeout_ms=20_000,
                )
                try:
                    await producer.start()
                except KafkaError as error:
                    await _stop(producer)
                    raise KafkaUnavailable(f"Kafka: {error}") from error
                self._client = producer
            return self._client

    async def _close(self) -> None:
        async with self._connecting:
            producer, self._client = self._client, None
        if producer is not None:
            await _stop(producer)


async def _enqueue(producer: AIOKafkaProducer, records: Sequence[Record]) -> list[Awaitable[object]]:
    """Pass records to the sender, in order; return the acknowledgements to wait for."""
    if len(records) >= _BATCHES_FROM:
        return await _enqueue_batches(producer, records)
    return [
        await producer.send(each.topic, value=each.value, key=each.key, headers=list(each.headers)) for each in records
    ]


async def _enqueue_batches(producer: AIOKafkaProducer, records: Sequence[Record]) -> list[Awaitable[object]]:
    """Build the batches here: the same bytes as from `send`, in a third of the time for each record."""
    batches: dict[tuple[str, int], BatchBuilder] = {}
    acknowledgements: list[Awaitable[object]] = []
    for topic, these in groupby(records, key=attrgetter("topic")):
        group, count = list(these), len(await producer.partitions_for(topic))
        for each, partition in zip(group, select_partitions([each.key for each in group], count), strict=True):
            batch = batches.get((topic, partition))
            if batch is None or not _append(batch, each):
                if batch is not None:
                    acknowledgements.append(await producer.send_batch(batch, topic, partition=partition))
                batch = batches[topic, partition] = producer.create_batch()
                _append(batch, each)
    for (topic, partition), batch in batches.items():
        acknowledgements.append(await producer.send_batch(batch, topic, partition=partition))
    return acknowledgements


def _append(batch: BatchBuilder, record: Record) -> bool:
    added = batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
    return added is not None


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        await asyncio.wait_for(producer.stop(), 10)
    except (KafkaError, TimeoutError) as error:
        log.warning("producer did not stop cleanly", error=type(error).__name__)
