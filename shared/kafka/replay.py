"""Reading topics from their beginning to their current end, without a consumer group, to rebuild what they feed."""

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
    """Reads all partitions of some topics once. Undecodable messages are skipped and counted in `unreadable`."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.unreadable = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, kafka: str | KafkaAccess, topics: Sequence[Topic]) -> AsyncIterator[Self]:
        """Open a replay at the beginning of the topics. Raises KafkaUnavailable."""
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
        """Yield batches of messages up to the topics' ends at the time of the call, those of one partition in order."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        while await self._is_behind(ends):
            polled = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
            messages = [
                message
                for records in polled.values()
                for each in records
                if (message := self._decode(each)) is not None
            ]
            if messages:
                yield messages

    async def _is_behind(self, ends: Mapping[TopicPartition, int]) -> bool:
        # The position, not the last record's offset: compaction may have removed the records before the end.
        for where, end in ends.items():
            if await self._consumer.position(where) < end:
                return True
        return False

    def _decode(self, each: ConsumerRecord) -> Message | None:
        record = Received(each.topic, each.partition, each.offset, each.key, each.value, tuple(each.headers))
        try:
            return decode(record)
        except InvalidMessage as error:
            self.unreadable += 1
            log.warning(
                "skipped unreadable message",
                topic=each.topic,
                partition=each.partition,
                offset=each.offset,
                reason=str(error),
            )
            return None
