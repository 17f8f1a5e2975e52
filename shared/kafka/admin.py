"""Making the topics, and giving dead letters a second life."""

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
    """Create the topics that are missing and set the settings of all; return the names of those created.

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
    """Return a topic's settings in Kafka's words."""
    kept = (
        {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.2"}
        if topic.retention is None
        else {"cleanup.policy": "delete", "retention.ms": _milliseconds(topic.retention)}
    )
    return {**kept, **_safety(replication), **topic.settings}


def to_dead_letter_config(replication: int) -> dict[str, str]:
    """Return a dead-letter topic's settings."""
    return {"cleanup.policy": "delete", "retention.ms": _milliseconds(DEAD_LETTER_RETENTION), **_safety(replication)}


async def replay_dead_letters(kafka: str | KafkaAccess, topic: Topic, *, quiet: timedelta) -> int:
    """Put the dead letters of this moment back on their topic, each once; return their number.

    It stops early when none came for `quiet`.

    Raises KafkaUnavailable; what was put back until then is not put back again.
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
            # What a consumer refuses again while we work would be put back without end.
            ends = await consumer.end_offsets(consumer.assignment())
            while await _behind(consumer, ends):
                found = await consumer.getmany(timeout_ms=int(quiet.total_seconds() * 1000))
                if not found:
                    break
                records = [each for where, records in found.items() for each in records if each.offset < ends[where]]
                await producer.send(
                    restore_record(
                        Received(each.topic, each.partition, each.offset, each.key, each.value, each.headers)
                    )
                    for each in records
                )
                await consumer.commit(
                    {where: min(records[-1].offset + 1, ends[where]) for where, records in found.items()}
                )
                count += len(records)
    except KafkaError as error:
        raise KafkaUnavailable(f"Kafka: {error}") from error
    finally:
        await consumer.stop()
    return count


async def _behind(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> bool:
    return any([await consumer.position(where) < end for where, end in ends.items()])


def _raise_for(response: object) -> None:
    for _, code, *__ in getattr(response, "topic_errors", []):
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # another deploy was quicker
            raise error


def _safety(replication: int) -> dict[str, str]:
    return {"min.insync.replicas": str(max(1, replication - 1)), "max.message.bytes": str(LARGEST_MESSAGE)}


def _milliseconds(kept: timedelta) -> str:
    return str(int(kept.total_seconds() * 1000))
