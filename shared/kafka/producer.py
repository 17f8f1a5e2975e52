"""A producer that tells the truth: what `send` returns from is on Kafka, acknowledged by all replicas."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.codec import Record
from shared.errors import TransientError
from shared.observe import logger

log = logger(__name__)


class KafkaUnavailable(TransientError):
    """Kafka is away, or did not acknowledge in time; some of what was sent may be there all the same."""


class Producer:
    """Sends records in order, idempotently; opens its connection anew after a failure."""

    def __init__(self, bootstrap: str, *, name: str) -> None:
        self._bootstrap = bootstrap
        self._name = name
        self._open: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def opened(cls, bootstrap: str, *, name: str) -> AsyncIterator[Self]:
        """Give a producer that is connected. Raises KafkaUnavailable."""
        producer = cls(bootstrap, name=name)
        await producer._producer()
        try:
            yield producer
        finally:
            await producer._drop()

    async def send(self, records: Iterable[Record]) -> None:
        """Send records, those of one key in the order given, and wait for all acknowledgements.

        Raises KafkaUnavailable; then any part of the records may have arrived, and sending them again is right.
        """
        producer = await self._producer()
        try:
            waiting = [
                await producer.send(each.topic, value=each.value, key=each.key, headers=list(each.headers))
                for each in records
            ]
            await asyncio.gather(*waiting)
        except KafkaError as error:
            # An idempotent producer that failed may refuse everything after (its sequence is broken): begin afresh.
            await self._drop()
            raise KafkaUnavailable(f"Kafka: {type(error).__name__}: {error}") from error

    async def _producer(self) -> AIOKafkaProducer:
        async with self._opening:
            if self._open is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    client_id=self._name,
                    acks="all",
                    enable_idempotence=True,
                    compression_type="lz4",
                    max_batch_size=256 * 1024,
                    request_timeout_ms=20_000,
                )
                try:
                    await producer.start()
                except KafkaError as error:
                    await _stop(producer)
                    raise KafkaUnavailable(f"Kafka: {type(error).__name__}: {error}") from error
                self._open = producer
            return self._open

    async def _drop(self) -> None:
        async with self._opening:
            producer, self._open = self._open, None
        if producer is not None:
            await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        await asyncio.wait_for(producer.stop(), 10)
    except (KafkaError, TimeoutError) as error:
        log.warning("producer did not stop cleanly", error=type(error).__name__)
