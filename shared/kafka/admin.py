"""Creating topics."""

from collections.abc import Sequence
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.kafka.producer import LARGEST_MESSAGE, KafkaUnavailable
from shared.settings import KafkaSettings
from shared.topics import CONSUMER_GROUPS, DEAD_LETTER_RETENTION, HANDLING_TOPIC, TOPICS, Topic


async def create_topics(settings: KafkaSettings, topics: Sequence[Topic] = TOPICS) -> list[str]:
    """Create missing topics and apply the settings of all; return the names of those created.

    Raises KafkaUnavailable.
    """
    wanted = to_topic_configs(topics, settings.kafka_replication)
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


def to_topic_configs(topics: Sequence[Topic], replication: int) -> dict[str, dict[str, str]]:
    """Return every topic's Kafka configuration by name: the given ones, their dead letters, and the internal ones."""
    compacted = {"cleanup.policy": "compact", **_durability_config(replication)}
    return {
        **{topic.name: to_topic_config(topic, replication) for topic in topics},
        **{topic.dead_letter_topic: to_dead_letter_config(replication) for topic in topics if topic.dead_letters},
        **{group.replay_topic: to_dead_letter_config(replication) for group in CONSUMER_GROUPS},
        HANDLING_TOPIC: compacted,
    }


def to_topic_config(topic: Topic, replication: int) -> dict[str, str]:
    """Return a topic's Kafka configuration for a replication factor."""
    cleanup = (
        {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.2"}
        if topic.retention is None
        else {"cleanup.policy": "delete", "retention.ms": _milliseconds(topic.retention)}
    )
    return {**cleanup, **_durability_config(replication), **topic.settings}


def to_dead_letter_config(replication: int) -> dict[str, str]:
    """Return the Kafka configuration of dead-letter topics and replay topics for a replication factor."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": _milliseconds(DEAD_LETTER_RETENTION),
        **_durability_config(replication),
    }


def _raise_for(response: object) -> None:
    for _, code, *__ in getattr(response, "topic_errors", []):
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # another deployment was faster
            raise error


def _durability_config(replication: int) -> dict[str, str]:
    return {"min.insync.replicas": str(max(1, replication - 1)), "max.message.bytes": str(LARGEST_MESSAGE)}


def _milliseconds(retention: timedelta) -> str:
    return str(int(retention.total_seconds() * 1000))
