"""How each topic is to be configured, and which settings of operators would break what Sluice promises."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.kafka.producer import LARGEST_MESSAGE
from shared.topics import (
    CONSUMER_GROUPS,
    DEAD_LETTER_RETENTION,
    HANDLING_TOPIC,
    TOMBSTONE_RETENTION,
    Topic,
)

Config = Mapping[str, str]
"""A topic's settings by name, as Kafka spells them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingTopic:
    """A topic as the brokers describe it: what is in force, and which of it was set on the topic itself."""

    name: str
    partitions: int
    replicas: int
    effective: Config
    own: Config


def to_topic_configs(topics: Sequence[Topic], replication: int) -> dict[str, dict[str, str]]:
    """Return every topic's Kafka configuration by name: the given ones, their dead letters, and the internal ones."""
    return {
        **{topic.name: to_topic_config(topic, replication) for topic in topics},
        **{topic.dead_letter_topic: to_dead_letter_config(replication) for topic in topics if topic.dead_letters},
        **{group.replay_topic: to_dead_letter_config(replication) for group in CONSUMER_GROUPS},
        HANDLING_TOPIC: {"cleanup.policy": "compact", **_durability_config(replication)},
    }


def to_topic_config(topic: Topic, replication: int) -> dict[str, str]:
    """Return a topic's Kafka configuration for a replication factor."""
    compacted = {
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.2",
        "delete.retention.ms": _milliseconds(TOMBSTONE_RETENTION),
    }
    cleanup = (
        compacted
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


def find_contradictions(topic: ExistingTopic, wanted: Config, *, replication: int) -> Iterator[str]:
    """Yield what must be changed on an existing topic, by its operator, before Sluice can keep its promises on it."""
    if topic.replicas < replication:
        yield (
            f"{topic.name} has {topic.replicas} replicas, fewer than SLUICE_KAFKA_REPLICATION={replication}: "
            "reassign its partitions to more brokers, or lower the setting"
        )
    for name, value in wanted.items():
        demand, actual = _DEMANDS.get(name), topic.own.get(name)
        if demand is not None and actual is not None and not demand.holds(actual, value):
            yield f"{topic.name} has {name}={actual}, but {demand.reason}: set {demand.advice.format(value)}"
    for name, (value, reason) in _forbid_loss(wanted).items():
        actual = topic.effective.get(name, value)
        if actual != value:
            yield f"{topic.name} has {name}={actual}, but {reason}: set {value}"


def find_missing(topic: ExistingTopic, wanted: Config) -> dict[str, str]:
    """Return the wanted settings that nobody has set on an existing topic."""
    return {name: value for name, value in wanted.items() if name not in topic.own}


def find_kept(topic: ExistingTopic, wanted: Config, *, partitions: int) -> Iterator[str]:
    """Yield what an operator has set otherwise, and what therefore stays."""
    for name, value in wanted.items():
        if topic.own.get(name, value) != value:
            yield f"{topic.name} {name}={topic.own[name]} (Sluice's: {value})"
    if topic.partitions != partitions:
        yield f"{topic.name} partitions={topic.partitions} (SLUICE_KAFKA_PARTITIONS: {partitions})"


@dataclass(frozen=True, slots=True)
class _Demand:
    """Which values of a setting keep a promise, why, and what to set; `{}` stands for Sluice's value."""

    holds: Callable[[str, str], bool]
    reason: str
    advice: str


def _is_as_long(actual: str, wanted: str) -> bool:
    return int(actual) == -1 or int(actual) >= int(wanted)


def _is_as_large(actual: str, wanted: str) -> bool:
    return int(actual) >= int(wanted)


_DEMANDS = {
    "cleanup.policy": _Demand(
        lambda actual, wanted: set(actual.split(",")) == {wanted},
        "its messages have to be kept otherwise",
        "{}",
    ),
    "retention.ms": _Demand(
        _is_as_long, "its messages are needed for longer, for replays and after an outage", "{} or more, or -1"
    ),
    "min.insync.replicas": _Demand(_is_as_large, "an acknowledged message must survive the loss of a broker", "{}"),
    "max.message.bytes": _Demand(_is_as_large, "larger messages are sent", "{} or more"),
}


def _forbid_loss(wanted: Config) -> dict[str, tuple[str, str]]:
    """Return the settings that lose messages early wherever they come from: each one's safe value, and the reason."""
    forbidden = {
        "unclean.leader.election.enable": ("false", "a broker that lags would become leader and lose what it lacks")
    }
    if wanted["cleanup.policy"] == "delete":
        forbidden["retention.bytes"] = ("-1", "messages would be removed before their time")
    return forbidden


def _durability_config(replication: int) -> dict[str, str]:
    return {"min.insync.replicas": str(max(1, replication - 1)), "max.message.bytes": str(LARGEST_MESSAGE)}


def _milliseconds(retention: timedelta) -> str:
    return str(int(retention.total_seconds() * 1000))
