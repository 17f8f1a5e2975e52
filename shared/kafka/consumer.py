"""The consumer runtime: batches, effect before commit, nothing lost in a rebalance, poison set aside with a reason.

Delivery is at least once: a handler must be idempotent. A handler gets the decoded messages of one poll, those of one
partition in order, does its effect in one transaction and returns; only then the offsets are committed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from shared.clock import Clock, SystemClock
from shared.codec import Message, Received, decode
from shared.errors import InvalidMessage, SluiceError, TooManyDeadLetters, TransientError
from shared.kafka.dead_letters import DeadLetterLimit, dead_letter
from shared.kafka.producer import Producer
from shared.kafka_access import KafkaAccess
from shared.lifecycle import wait_for_first
from shared.observe import CONSUMED, CONSUMER_LAG, CONSUMER_RETRIES, DEAD_LETTERS, get_logger
from shared.topics import Topic

Handler = Callable[[Sequence[Message]], Awaitable[None]]
Batch = Mapping[TopicPartition, Sequence[ConsumerRecord]]
log = get_logger(__name__)

_POLL_MS = 500
_FIRST_BACKOFF, _LAST_BACKOFF = 0.2, 10.0
_LOOK_EVERY, _STALLED_AFTER = 5.0, 90.0


class ConsumerStalled(SluiceError):
    """Messages wait and none has been handled for long; a fresh process is the cure (seen after broker restarts)."""


class Consumer(ConsumerRebalanceListener):
    """One member of a consumer group; `run` works until told to stop."""

    def __init__(
        self,
        *,
        bootstrap: str | KafkaAccess,
        group: str,
        topics: Sequence[Topic],
        handle: Handler,
        producer: Producer,
        batch: int = 500,
        limit: DeadLetterLimit | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._kafka = KafkaAccess.parse(bootstrap)
        self._group = group
        self._topics = topics
        self._handle = handle
        self._producer = producer
        self._batch = batch
        self._limit = limit or DeadLetterLimit()
        self._clock = clock or SystemClock()
        # Held while a batch is worked on, never around getmany: a rebalance waits for the batch's commit, so that the
        # next owner begins after it, and records of partitions that have just been taken away are dropped unseen.
        self._gate = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None
        self._joined = False
        self._lag: int | None = None
        self._advanced = time.monotonic()
        self._failures = 0
        self._stopping = asyncio.Event()

    def find_fault(self) -> str | None:
        """Return why this member is not at work, or None when it is: ready means advancing or with nothing to do."""
        if not self._joined:
            return f"{self._group}: no partitions assigned yet"
        if self._lag and time.monotonic() - self._advanced > _STALLED_AFTER / 3:
            return f"{self._group}: {self._lag} messages wait and none was handled lately"
        return None

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set. Raises TooManyDeadLetters or ConsumerStalled, the offset unmoved."""
        self._stopping = stopping
        consumer = AIOKafkaConsumer(
            **self._kafka.options(),
            group_id=self._group,
            client_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            max_poll_interval_ms=300_000,
        )
        consumer.subscribe([topic.name for topic in self._topics], listener=self)
        await self._start(consumer, stopping)
        try:
            watch = asyncio.create_task(self._watch(consumer), name=f"{self._group} lag")
            try:
                while not stopping.is_set():
                    if watch.done():
                        watch.result()
                    await self._turn(consumer)
            finally:
                watch.cancel()
                with suppress(asyncio.CancelledError, SluiceError):
                    await watch
        finally:
            self._joined = False
            await consumer.stop()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Wait for the batch in hand, so that its offsets are committed while they are still ours."""
        async with self._gate:
            self._joined = False
        log.debug("partitions revoked", group=self._group, partitions=len(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Note that the group has settled."""
        self._joined = True
        self._advanced = time.monotonic()
        log.info("partitions assigned", group=self._group, partitions=len(assigned))

    async def _start(self, consumer: AIOKafkaConsumer, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await consumer.start()
            except KafkaError as error:
                await self._back_off("Kafka is away", error)
            else:
                self._consumer, self._failures = consumer, 0
                return

    async def _turn(self, consumer: AIOKafkaConsumer) -> None:
        try:
            polled = await consumer.getmany(timeout_ms=_POLL_MS, max_records=self._batch)
        except KafkaError as error:
            await self._back_off("cannot fetch", error)
            return
        if not polled:
            return
        async with self._gate:
            batch = {where: records for where, records in polled.items() if where in consumer.assignment()}
            try:
                await self._work(batch)
            except TransientError as error:
                self._put_back(consumer, batch)
                CONSUMER_RETRIES.labels(self._group).inc()
                failure: TransientError | None = error
            else:
                failure = None
                await self._commit(consumer, batch)
        if failure is not None:
            await self._back_off("batch put back", failure)

    async def _work(self, batch: Batch) -> None:
        messages = [
            message
            for records in batch.values()
            for record in records
            if (message := await self._decoded(_received(record))) is not None
        ]
        if not messages:
            return
        try:
            await self._handle(messages)
        except TransientError:
            raise
        except Exception as error:
            # One of them is the cause, or the handler is: alone, each shows which.
            log.warning("batch failed, handling its messages one by one", group=self._group, error=_words(error))
            for message in messages:
                await self._alone(message)

    async def _alone(self, message: Message) -> None:
        try:
            await self._handle([message])
        except TransientError:
            raise
        except Exception as error:
            log.exception("message refused", group=self._group, topic=message.origin.topic)
            await self._bury(message.origin, _words(error))

    async def _decoded(self, record: Received) -> Message | None:
        try:
            return decode(record)
        except InvalidMessage as error:
            await self._bury(record, str(error))
            return None

    async def _bury(self, record: Received, reason: str) -> None:
        now = self._clock.now()
        if self._limit.count(now):
            raise TooManyDeadLetters(f"{self._group}: too many messages refused, the latest because: {reason}")
        await self._producer.send([dead_letter(record, group=self._group, reason=reason, at=now)])
        DEAD_LETTERS.labels(self._group, record.topic).inc()
        log.error(
            "dead letter",
            group=self._group,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
        )

    def _put_back(self, consumer: AIOKafkaConsumer, batch: Batch) -> None:
        for where, records in batch.items():
            # A partition that was taken away in the meantime is read by its next owner from the committed offset.
            with suppress(IllegalStateError):
                consumer.seek(where, records[0].offset)

    async def _commit(self, consumer: AIOKafkaConsumer, batch: Batch) -> None:
        self._advanced, self._failures = time.monotonic(), 0
        if not batch:
            return
        try:
            await consumer.commit({where: records[-1].offset + 1 for where, records in batch.items()})
        except (CommitFailedError, IllegalStateError):
            # The group has moved on; the next owner does these again, and idempotent effects make that harmless.
            log.warning("offsets not committed, the group was rebalanced", group=self._group)
        except KafkaError as error:
            log.warning("offsets not committed yet", group=self._group, error=type(error).__name__)
        for where, records in batch.items():
            CONSUMED.labels(self._group, where.topic).inc(len(records))

    async def _back_off(self, what: str, error: Exception) -> None:
        seconds = min(_LAST_BACKOFF, _FIRST_BACKOFF * 2**self._failures)
        self._failures += 1
        log.warning(what, group=self._group, error=_words(error), retry_in_seconds=seconds)
        await wait_for_first(self._stopping, seconds=seconds)

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            await self._clock.sleep(_LOOK_EVERY)
            lag = await self._look(consumer)
            if lag is None:
                continue
            self._lag = lag
            CONSUMER_LAG.labels(self._group).set(lag)
            if not lag:
                self._advanced = time.monotonic()
            elif self._failures == 0 and time.monotonic() - self._advanced > _STALLED_AFTER:
                raise ConsumerStalled(f"{self._group}: {lag} messages wait and none was handled")

    async def _look(self, consumer: AIOKafkaConsumer) -> int | None:
        try:
            ends = await consumer.end_offsets(consumer.assignment())
            return int(sum([end - await consumer.position(where) for where, end in ends.items()]))
        except (KafkaError, IllegalStateError):
            return None


def _received(record: ConsumerRecord) -> Received:
    return Received(record.topic, record.partition, record.offset, record.key, record.value, tuple(record.headers))


def _words(error: Exception) -> str:
    # The text of an unforeseen error may hold what was in the message; its kind is enough to find it in the log.
    return f"{type(error).__name__}: {error}" if isinstance(error, SluiceError) else type(error).__name__
