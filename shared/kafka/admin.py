"""Creating topics, and republishing dead letters."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.codec import Received
from shared.kafka.dead_letters import restore_record
from shared.kafka.producer import LARGEST_MESSAGE, KafkaUnavailable, Producer
from shared.kafka_access import KafkaAccess
from shared.settings import KafkaSettings
from shared.topics import DEAD_LETTER_RETENTION, TOPICS, Topic

_REPLAY_GROUP = "sluice.dead-letter-replay"


async def create_topics(settings: KafkaSettings, topics: Sequence[Topic] = TOPICS) -> list[str]:
    """Create missing topics and apply the settings of all; return the names of those created.

    Raises KafkaUnavailable.
    """
    wanted = {topic.name: to_topic_config(topic, settings.kafka_replication) for topic in topics}
    wanted |= {
        topic.dead_letter_topic: to_dead_letter_config(settings.kafka_replication)
        for topic in topics
        if topic.dead_letters
    }
    admin = AIOKafkaAdminClient(**settings.kafka.client_options(), client_id="sluice-admin")
    try:
        await admin.start()
        missing = sorted(set(wanted) - set(await admin.list_topics()))
        new = [
            NewTopic(name, settings.kafka_partitions, settings.kafka_replication, topic_configs=wanted[name])
            for name in missing
        ]
        if new:
            _raise_for(await admin.create_topics(new))
        await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name, config) for name, config in wanted.items()]
        )
    except KafkaError as error:
        raise KafkaUnavailable(f"Kafka: {error}") from error
    finally:
        await admin.close()
    return missing


def to_topic_config(topic: Topic, replication: int) -> dict[str, str]:
    """Return a topic's Kafka configuration for a replication factor."""
    cleanup = (
        {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.2"}
        if topic.retention is None
        else {"cleanup.policy": "delete", "retention.ms": _milliseconds(topic.retention)}
    )
    return {**cleanup, **_durability_config(replication), **topic.settings}


def to_dead_letter_config(replication: int) -> dict[str, str]:
    """Return the Kafka configuration of dead-letter topics for a replication factor."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": _milliseconds(DEAD_LETTER_RETENTION),
        **_durability_config(replication),
    }


async def replay_dead_letters(kafka: str | KafkaAccess, topic: Topic, *, quiet: timedelta) -> int:
    """Republish a topic's present dead letters on it, each once; return their number.

    It ends early when no letter arrives for `quiet`. Raises KafkaUnavailable; letters that were republished until then
    are not republished by the next call.
    """
    count = 0
    consumer = AIOKafkaConsumer(
        topic.dead_letter_topic,
        **KafkaAccess.parse(kafka).client_options(),
        group_id=_REPLAY_GROUP,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        await consumer.start()
        async with Producer.open(kafka, name="sluice-replay") as producer:
            # Letters that are rejected again meanwhile would be republished without end.
            ends = await consumer.end_offsets(consumer.assignment())
            while await _is_behind(consumer, ends):
                polled = await consumer.getmany(timeout_ms=int(quiet.total_seconds() * 1000))
                if not polled:
                    break
                records = [each for where, records in polled.items() for each in records if each.offset < ends[where]]
                await producer.send(
                    restore_record(
                        Received(each.topic, each.partition, each.offset, each.key, each.value, each.headers)
                    )
                    for each in records
                )
                await consumer.commit(
                    {where: min(records[-1].offset + 1, ends[where]) for where, records in polled.items()}
                )
                count += len(records)
    except KafkaError as error:
        raise KafkaUnavailable(f"Kafka: {error}") from error
    finally:
        await consumer.stop()
    return count


async def _is_behind(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> bool:
    return any([await consumer.position(where) < end for where, end in ends.items()])


def _raise_for(response: object) -> None:
    for _, code, *__ in getattr(response, "topic_errors", []):
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # another deployment was faster
            raise error


def _durability_config(replication: int) -> dict[str, str]:
    return {"min.insync.replicas": str(max(1, replication - 1)), "max.message.bytes": str(LARGEST_MESSAGE)}


def _milliseconds(retention: timedelta) -> str:
    return str(int(retention.total_seconds() * 1000))
