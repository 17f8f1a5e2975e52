"""Creating topics, and changing their settings without touching those of operators."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.errors import SluiceError
from shared.kafka.incremental_configs import TopicAdminClient
from shared.kafka.producer import KafkaUnavailable
from shared.kafka.topic_configs import (
    Config,
    ExistingTopic,
    find_contradictions,
    find_kept,
    find_missing,
    to_topic_configs,
)
from shared.settings import KafkaSettings
from shared.topics import TOPICS, Topic

_SET_ON_TOPIC = 1  # of Kafka's enumeration of where a setting comes from


class TopicsUnsuitable(SluiceError):
    """Existing topics cannot keep what Sluice promises; nothing was changed. The message lists what to change."""


class TopicsRefused(SluiceError):
    """The brokers refused to create or change topics; the message has their words."""


@dataclass(frozen=True, slots=True)
class TopicChanges:
    """What was done: topics created, settings added to existing ones, and settings of operators that were kept."""

    created: Sequence[str]
    changed: Mapping[str, Config]
    kept: Sequence[str]

    def describe(self) -> Iterator[str]:
        """Yield the lines that say it."""
        yield f"topics created: {', '.join(self.created) or 'none, all exist'}"
        for topic, config in self.changed.items():
            yield f"changed: {topic} {' '.join(f'{name}={value}' for name, value in config.items())}"
        yield from (f"kept as it is: {each}" for each in self.kept)


async def create_topics(settings: KafkaSettings, topics: Sequence[Topic] = TOPICS) -> TopicChanges:
    """Create missing topics, and add to existing ones the settings that nobody has set on them.

    Raises TopicsUnsuitable before anything is changed, TopicsRefused and KafkaUnavailable.
    """
    wanted = to_topic_configs(topics, settings.kafka_replication)
    admin = TopicAdminClient(**settings.kafka.client_options(), client_id="sluice-admin")
    try:
        await admin.start()
        existing = await _describe_topics(admin, wanted)
        _check_suitable(existing, wanted, settings.kafka_replication)
        created = sorted(set(wanted) - set(existing))
        await _create(admin, settings, {name: wanted[name] for name in created})
        missing = {name: find_missing(topic, wanted[name]) for name, topic in existing.items()}
        changed = {name: config for name, config in missing.items() if config}
        await _change(admin, changed)
    except KafkaError as error:
        raise KafkaUnavailable(f"Kafka: {error}") from error
    finally:
        await admin.close()
    kept = [
        each
        for name, topic in existing.items()
        for each in find_kept(topic, wanted[name], partitions=settings.kafka_partitions)
    ]
    return TopicChanges(created, changed, kept)


def _check_suitable(existing: Mapping[str, ExistingTopic], wanted: Mapping[str, Config], replication: int) -> None:
    contradictions = [
        each
        for name, topic in existing.items()
        for each in find_contradictions(topic, wanted[name], replication=replication)
    ]
    if contradictions:
        raise TopicsUnsuitable("\n".join(["existing topics do not suit Sluice, nothing was changed:", *contradictions]))


async def _describe_topics(admin: TopicAdminClient, names: Iterable[str]) -> dict[str, ExistingTopic]:
    """Return those of some topics that exist. Raises TopicsRefused."""
    partitions = {
        each["topic"]: each["partitions"] for each in await admin.describe_topics() if each["topic"] in set(names)
    }
    if not partitions:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(partitions)]
    found = {}
    for answer in await admin.describe_configs(resources):
        _check_answers("describe", [(name, code, message) for code, message, _, name, _ in answer.resources])
        for _, _, _, name, entries in answer.resources:
            found[name] = ExistingTopic(
                name=name,
                partitions=len(partitions[name]),
                replicas=min(len(each["replicas"]) for each in partitions[name]),
                effective={entry[0]: entry[1] for entry in entries if entry[1] is not None},
                own={entry[0]: entry[1] for entry in entries if entry[3] == _SET_ON_TOPIC},
            )
    return found


async def _create(admin: TopicAdminClient, settings: KafkaSettings, configs: Mapping[str, Config]) -> None:
    new = [
        NewTopic(name, settings.kafka_partitions, settings.kafka_replication, topic_configs=dict(config))
        for name, config in configs.items()
    ]
    if new:
        answer = await admin.create_topics(new)
        _check_answers("create", [(each[0], each[1], each[2]) for each in answer.topic_errors])


async def _change(admin: TopicAdminClient, changes: Mapping[str, Config]) -> None:
    if changes:
        _check_answers("change", await admin.set_topic_configs(changes))


def _check_answers(action: str, answers: Iterable[tuple[str, int, str | None]]) -> None:
    """Raise TopicsRefused with every refusal among the answers: topic, error code, and message."""
    refusals = []
    for topic, code, message in answers:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # another deployment was faster
            refusals.append(f"{topic}: {message or error.description} ({error.message})")
    if refusals:
        raise TopicsRefused("\n".join([f"Kafka refused to {action} topics:", *refusals]))
