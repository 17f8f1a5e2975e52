"""The consumer: batches, offsets committed after their effect, and rebalances in which nothing is lost.

A handler gets the decoded messages of one poll, those of one partition in order, and applies them in one transaction;
their offsets are committed after it has returned. Retries and dead letters are decided in `shared.kafka.handling`.
A partition whose next message cannot be handled is paused, and tried again after a while; the others go on.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from shared.clock import Clock, SystemClock
from shared.errors import RestartRequired, SluiceError
from shared.kafka.catching_up import CatchUpGate
from shared.kafka.dead_letters import DeadLetterLimit
from shared.kafka.handling import REASONS, Backoff, BatchOutcome, DeadLetterWriter, Handler, MessageHandler, Waiting
from shared.kafka.notes import KafkaNotes
from shared.kafka.producer import Producer
from shared.kafka.reading import to_received
from shared.kafka_access import KafkaAccess
from shared.observe import CONSUMED, CONSUMER_LAG, CONSUMER_WAITING, get_logger
from shared.topics import Topic, find_replay_topic

Batch = Mapping[TopicPartition, Sequence[ConsumerRecord]]
log = get_logger(__name__)

_POLL_MS = 500
_CHECK_SECONDS, _STALLED_SECONDS, _LEAVE_SECONDS = 5.0, 90.0, 5.0


class ConsumerStalled(RestartRequired):
    """Messages wait and none was fetched for 90 s (seen after broker restarts): the process must be restarted."""


@dataclass(slots=True)
class _WaitingPartition:
    waiting: Waiting
    backoff: Backoff
    retry_at: float


class Consumer(ConsumerRebalanceListener):
    """One member of a consumer group."""

    def __init__(
        self,
        *,
        kafka: str | KafkaAccess,
        group: str,
        topics: Sequence[Topic],
        handle: Handler,
        producer: Producer,
        batch: int = 500,
        limit: DeadLetterLimit | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._kafka = KafkaAccess.parse(kafka)
        self._group = group
        self._topics = topics
        self._batch = batch
        self._clock = clock or SystemClock()
        notes = KafkaNotes(self._kafka, producer, group=group)
        dead_letters = DeadLetterWriter(producer, group=group, notes=notes, limit=limit, clock=self._clock)
        self._handler = MessageHandler(handle, dead_letters)
        self._backoff = Backoff(group)
        # Held while a batch is handled, never around getmany: a rebalance waits for the batch's commit, so that the
        # next owner begins after it, and records of partitions that have just been revoked are dropped.
        self._gate = asyncio.Lock()
        self._waiting: dict[TopicPartition, _WaitingPartition] = {}
        self._client: AIOKafkaConsumer | None = None
        self._joined = False
        self._lag: int | None = None
        self._advanced = time.monotonic()
        self._stopping = asyncio.Event()

    def find_fault(self) -> str | None:
        """Return why this member is not ready, or None: it is ready while it advances or nothing waits."""
        if not self._joined:
            return f"{self._group}: no partitions assigned yet"
        for where, each in self._waiting.items():
            return f"{self._group}: {each.waiting.describe((where.topic, where.partition))}"
        if self._lag and time.monotonic() - self._advanced > _STALLED_SECONDS / 3:
            return f"{self._group}: {self._lag} messages wait and none was handled lately"
        return None

    def create_gate(self, topics: Sequence[Topic]) -> CatchUpGate:
        """Return a gate that opens once this group has handled what these topics hold when this member joins."""
        return CatchUpGate(topics, lambda: self._client if self._joined and not self._gate.locked() else None)

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set. Raises ConsumerStalled, with offsets unmoved."""
        self._stopping = stopping
        consumer = AIOKafkaConsumer(
            **self._kafka.client_options(),
            group_id=self._group,
            client_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            max_poll_interval_ms=300_000,
        )
        replay_topic = find_replay_topic(self._group)
        topics = [topic.name for topic in self._topics] + ([replay_topic] if replay_topic else [])
        consumer.subscribe(topics, listener=self)
        await self._start(consumer, stopping)
        self._client = consumer
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
            self._client, self._joined = None, False
            self._waiting.clear()
            self._show_waiting()
            await self._leave(consumer)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Wait for the current batch, so that its offsets are committed before the partitions change hands."""
        async with self._gate:
            self._joined = False
            self._waiting.clear()
            self._show_waiting()
        log.debug("partitions revoked", group=self._group, partitions=len(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Note that this member has joined the group."""
        self._joined = True
        self._advanced = time.monotonic()
        log.info("partitions assigned", group=self._group, partitions=len(assigned))

    async def _start(self, consumer: AIOKafkaConsumer, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await consumer.start()
            except KafkaError as error:
                await self._backoff.wait("Kafka is unavailable", error, stopping)
            else:
                self._backoff.reset()
                return

    async def _leave(self, consumer: AIOKafkaConsumer) -> None:
        """Leave the group: what is handled is committed, so a broker that is slow to answer changes nothing."""
        try:
            await asyncio.wait_for(consumer.stop(), _LEAVE_SECONDS)
        except (TimeoutError, KafkaError) as error:
            # The group notices after the session timeout.
            log.warning("left the group without the broker's answer", group=self._group, error=type(error).__name__)

    async def _turn(self, consumer: AIOKafkaConsumer) -> None:
        self._resume_due(consumer)
        try:
            polled = await consumer.getmany(timeout_ms=_POLL_MS, max_records=self._batch)
        except KafkaError as error:
            await self._backoff.wait("cannot fetch messages", error, self._stopping)
            return
        self._backoff.reset()
        if not polled:
            return
        async with self._gate:
            batch = {where: records for where, records in polled.items() if where in consumer.assignment()}
            records = [to_received(each) for records in batch.values() for each in records]
            outcome = await self._handler.handle_batch(records)
            await self._commit(consumer, batch, outcome)
            self._pause_waiting(consumer, batch, outcome)

    def _resume_due(self, consumer: AIOKafkaConsumer) -> None:
        now = time.monotonic()
        for where, each in self._waiting.items():
            if each.retry_at <= now:
                with suppress(IllegalStateError):
                    consumer.resume(where)

    def _pause_waiting(self, consumer: AIOKafkaConsumer, batch: Batch, outcome: BatchOutcome) -> None:
        for where in batch:
            waiting = outcome.waiting.get((where.topic, where.partition))
            if waiting is None:
                self._waiting.pop(where, None)
                continue
            known = self._waiting.get(where)
            is_same = known is not None and known.waiting.offset == waiting.offset
            backoff = known.backoff if known is not None and is_same else Backoff(self._group)
            seconds = backoff.next_seconds()
            self._waiting[where] = _WaitingPartition(waiting, backoff, time.monotonic() + seconds)
            log.warning(
                "message waits",
                group=self._group,
                why=waiting.describe((where.topic, where.partition)),
                retry_in_seconds=seconds,
            )
            # A partition that was revoked in the meantime is read by its next owner from the committed offset.
            with suppress(IllegalStateError):
                consumer.pause(where)
                consumer.seek(where, waiting.offset)
        self._show_waiting()

    def _show_waiting(self) -> None:
        for reason in REASONS:
            count = sum(each.waiting.reason == reason for each in self._waiting.values())
            CONSUMER_WAITING.labels(self._group, reason).set(count)

    async def _commit(self, consumer: AIOKafkaConsumer, batch: Batch, outcome: BatchOutcome) -> None:
        positions = {}
        for where, records in batch.items():
            waiting = outcome.waiting.get((where.topic, where.partition))
            position = records[-1].offset + 1 if waiting is None else waiting.offset
            if position > records[0].offset:
                positions[where] = position
        if not positions:
            return
        self._advanced = time.monotonic()
        try:
            await self._send_commit(consumer, positions)
        except (CommitFailedError, IllegalStateError):
            # The next owner handles these again, which idempotent effects make harmless.
            log.warning("offsets not committed, the group was rebalanced", group=self._group)
        except (TimeoutError, KafkaError) as error:
            log.warning("offsets not committed yet", group=self._group, error=type(error).__name__)
        for where, position in positions.items():
            CONSUMED.labels(self._group, where.topic).inc(sum(each.offset < position for each in batch[where]))

    async def _send_commit(self, consumer: AIOKafkaConsumer, positions: dict[TopicPartition, int]) -> None:
        """Commit offsets. Raises TimeoutError at a stop, for a broker that does not answer within a few seconds."""
        committing = asyncio.create_task(consumer.commit(positions))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({committing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait_for(committing, _LEAVE_SECONDS)
        finally:
            stopping.cancel()
            committing.cancel()

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            await self._clock.sleep(_CHECK_SECONDS)
            lag = await self._measure_lag(consumer)
            if lag is None:
                self._advanced = time.monotonic()  # Kafka is unavailable: nothing could be handled
                continue
            self._lag = lag
            CONSUMER_LAG.labels(self._group).set(lag)
            if not lag:
                self._advanced = time.monotonic()
            elif self._waiting or self._backoff.failures:
                continue  # it is known why nothing is handled
            elif time.monotonic() - self._advanced > _STALLED_SECONDS:
                raise ConsumerStalled(f"{self._group}: {lag} messages wait and none was handled")

    async def _measure_lag(self, consumer: AIOKafkaConsumer) -> int | None:
        try:
            ends = await consumer.end_offsets(consumer.assignment())
            return int(sum([end - await consumer.position(where) for where, end in ends.items()]))
        except (KafkaError, IllegalStateError):
            return None
