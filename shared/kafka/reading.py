"""Reading a whole topic to its present end, without a consumer group: for the small topics that operators use."""

from collections.abc import AsyncIterator, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from shared.codec import Received
from shared.kafka.producer import KafkaUnavailable
from shared.kafka_access import KafkaAccess

_POLL_MS = 500


async def read_topic(kafka: str | KafkaAccess, topic: str) -> AsyncIterator[Received]:
    """Yield the records of a topic up to its end at the time of the call, those of one partition in order.

    Raises KafkaUnavailable, also for a topic that does not exist.
    """
    consumer = AIOKafkaConsumer(
        topic,
        **KafkaAccess.parse(kafka).client_options(),
        client_id="sluice-reading",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        await consumer.start()
        if not consumer.assignment():
            raise KafkaUnavailable(f"Kafka: topic {topic} is missing: run python -m shared.kafka_admin create-topics")
        ends = await consumer.end_offsets(consumer.assignment())
        while await _is_behind(consumer, ends):
            polled = await consumer.getmany(timeout_ms=_POLL_MS)
            for where, records in polled.items():
                for each in records:
                    if each.offset < ends[where]:
                        yield to_received(each)
    except KafkaError as error:
        raise KafkaUnavailable(f"Kafka: {error}") from error
    finally:
        await consumer.stop()


def to_received(record: ConsumerRecord) -> Received:
    """Return a client's record in the form that the rest of Sluice uses."""

    return Received(record.topic, record.partition, record.offset, record.key, record.value, tuple(record.headers))


async def _is_behind(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> bool:
    # The position, not the last record's offset: compaction may have removed the records before the end.
    return any([await consumer.position(where) < end for where, end in ends.items()])
