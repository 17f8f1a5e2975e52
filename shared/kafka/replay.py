"""Reading topics from their beginning to their end as it is now, without a group: for rebuilding what they tell."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from shared.codec import Message, Received, decode
from shared.errors import InvalidMessage
from shared.kafka.producer import KafkaUnavailable
from shared.kafka_access import KafkaAccess
from shared.observe import get_logger
from shared.topics import Topic

log = get_logger(__name__)

_BATCH = 20_000
_POLL_MS = 500


class Replay:
    """Reads all partitions of some topics once; what cannot be decoded is passed over, it is with the dead letters."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.unreadable = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, kafka: str | KafkaAccess, topics: Sequence[Topic]) -> AsyncIterator[Self]:
        """Give a replay that stands at the beginning of the topics. Raises KafkaUnavailable."""
        consumer = AIOKafkaConsumer(
            *(topic.name for topic in topics),
            **KafkaAccess.parse(kafka).client_options(),
            client_id="sluice-replay",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            yield cls(consumer)
        except KafkaError as error:
            raise KafkaUnavailable(f"Kafka: {error}") from error
        finally:
            await consumer.stop()

    async def read_to_end(self) -> AsyncIterator[list[Message]]:
        """Yield what there is until the topics' ends as they are at the call, those of one partition in order."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        while await self._behind(ends):
            polled = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
            messages = [
                message
                for records in polled.values()
                for each in records
                if (message := self._decoded(each)) is not None
            ]
            if messages:
                yield messages

    async def _behind(self, ends: Mapping[TopicPartition, int]) -> bool:
        # A position, not the last record's offset, because compaction may have taken the records before the end.
        for where, end in ends.items():
            if await self._consumer.position(where) < end:
                return True
        return False

    def _decoded(self, each: ConsumerRecord) -> Message | None:
        record = Received(each.topic, each.partition, each.offset, each.key, each.value, tuple(each.headers))
        try:
            return decode(record)
        except InvalidMessage as error:
            self.unreadable += 1
            log.warning(
                "passed over", topic=each.topic, partition=each.partition, offset=each.offset, reason=str(error)
            )
            return None
