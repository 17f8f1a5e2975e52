"""Handing dead letters to their group once more."""

from shared.clock import Clock, SystemClock
from shared.errors import SluiceError
from shared.kafka.dead_letters import DeadLetter, read_dead_letter, to_replay_record, to_replayed_mark
from shared.kafka.notes import Note
from shared.kafka.producer import Producer
from shared.kafka.reading import read_topic
from shared.kafka_access import KafkaAccess
from shared.topics import CONSUMER_GROUPS, ConsumerGroup, Topic

_CHUNK = 500


class NotReplayable(SluiceError):
    """These letters cannot be replayed, or no such group follows the topic; the message says what to do."""


def find_group(name: str, topic: Topic) -> ConsumerGroup:
    """Return the group of this name that follows a topic. Raises NotReplayable."""
    followers = [group for group in CONSUMER_GROUPS if topic in group.topics]
    for group in followers:
        if group.name == name:
            return group
    raise NotReplayable(f"{name} does not follow {topic.name}; {', '.join(each.name for each in followers)} do")


async def replay_dead_letters(kafka: str | KafkaAccess, topic: Topic, *, group: str, clock: Clock | None = None) -> int:
    """Hand the letters of a topic to the group that they belong to, each once; return their number.

    Raises NotReplayable and KafkaUnavailable. After a failure some letters may be handed over again by the next call.
    """
    if topic.retention is None:
        raise NotReplayable(
            f"letters of {topic.name} are not replayed, since an old state must not come after a newer one: "
            "run python -m job_api republish, which publishes the current state again"
        )
    replay_topic, clock = find_group(group, topic).replay_topic, clock or SystemClock()
    letters = await list_open_letters(kafka, topic, group=group)
    async with Producer.open(kafka, name="sluice-replay") as producer:
        for start in range(0, len(letters), _CHUNK):
            chunk = letters[start : start + _CHUNK]
            await producer.send([to_replay_record(letter, topic=replay_topic) for letter in chunk])
            await producer.send([to_replayed_mark(letter, at=clock.now()) for letter in chunk])
    return len(letters)


async def list_open_letters(kafka: str | KafkaAccess, topic: Topic, *, group: str) -> list[DeadLetter]:
    """Return the letters of a topic that belong to a group and have not been replayed, each once.

    Raises KafkaUnavailable.
    """
    latest: dict[bytes, DeadLetter] = {}
    replayed: dict[bytes, int] = {}
    async for record in read_topic(kafka, topic.dead_letter_topic):
        letter = read_dead_letter(record)
        if letter is None or letter.group != group:
            continue
        if letter.replayed is None:
            latest[letter.id] = letter
        else:
            replayed[letter.id] = max(letter.replayed, replayed.get(letter.id, -1))
    return [letter for letter in latest.values() if letter.offset > replayed.get(letter.id, -1)]


async def set_aside(kafka: str | KafkaAccess, note: Note) -> None:
    """Order a group to set messages aside when they fail again. Raises KafkaUnavailable."""
    async with Producer.open(kafka, name="sluice-set-aside") as producer:
        await producer.send([note.to_record()])
