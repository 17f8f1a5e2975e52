"""What operators and consumers note about messages that cannot be handled, in the topic `sluice.handling`.

An operator sets messages aside: they become dead letters when they fail again. A consumer that has met too many
unreadable messages notes where it paused, so that neither a restart nor another member of its group writes more dead
letters. A pause ends when the group's committed offset has passed the message.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, Protocol

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.codec import Received, Record
from shared.kafka.producer import KafkaUnavailable, Producer
from shared.kafka.reading import read_topic
from shared.kafka_access import KafkaAccess
from shared.topics import HANDLING_TOPIC

_FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One note: the messages of a partition from offset `first` to `last`, and the reason in words."""

    kind: Literal["set-aside", "pause"]
    group: str
    topic: str
    partition: int
    first: int
    last: int
    reason: str

    def to_record(self) -> Record:
        """Return the record that makes the note, in place of an earlier one about the same."""
        start = (str(self.first),) if self.kind == "set-aside" else ()
        key = "|".join((self.kind, self.group, self.topic, str(self.partition), *start))
        return Record(HANDLING_TOPIC, key.encode(), json.dumps(asdict(self)).encode(), ())


class HandlingNotes(Protocol):
    """The notes about one group's messages."""

    async def find_order(self, record: Received) -> str | None:
        """Return the operator's reason for setting a message aside, or None without such an order."""
        ...

    async def find_pause(self) -> str | None:
        """Return why the group has paused, or None when it has not, or has gone on since."""
        ...

    async def note_pause(self, record: Received, reason: str) -> None:
        """Note that the group has paused before a message."""
        ...


class KafkaNotes:
    """The notes in their topic, read anew when they are asked for, at most once a second.

    All methods raise KafkaUnavailable.
    """

    def __init__(self, kafka: KafkaAccess, producer: Producer, *, group: str) -> None:
        self._kafka = kafka
        self._producer = producer
        self._group = group
        self._notes: Sequence[Note] = ()
        self._read_at = float("-inf")

    async def find_order(self, record: Received) -> str | None:
        """Return the operator's reason for setting a message aside, or None without such an order."""
        for note in await self._read():
            is_place = (note.topic, note.partition) == (record.topic, record.partition)
            if note.kind == "set-aside" and is_place and note.first <= record.offset <= note.last:
                return note.reason
        return None

    async def find_pause(self) -> str | None:
        """Return why the group has paused, or None when it has not, or has gone on since."""
        pauses = [note for note in await self._read() if note.kind == "pause"]
        if not pauses:
            return None
        committed = await self._read_committed()
        for note in pauses:
            if committed.get((note.topic, note.partition), -1) <= note.first:
                return f"paused at {note.topic}[{note.partition}] offset {note.first}: {note.reason}"
        return None

    async def note_pause(self, record: Received, reason: str) -> None:
        """Note that the group has paused before a message."""
        place = {"topic": record.topic, "partition": record.partition, "first": record.offset, "last": record.offset}
        note = Note(kind="pause", group=self._group, reason=reason, **place)  # type: ignore[arg-type]
        await self._producer.send([note.to_record()])
        self._read_at = float("-inf")

    async def _read(self) -> Sequence[Note]:
        if time.monotonic() - self._read_at > _FRESH_SECONDS:
            latest = {record.key: record.value async for record in read_topic(self._kafka, HANDLING_TOPIC)}
            notes = [Note(**json.loads(value)) for value in latest.values() if value is not None]
            self._notes = [note for note in notes if note.group == self._group]
            self._read_at = time.monotonic()
        return self._notes

    async def _read_committed(self) -> dict[tuple[str, int], int]:
        admin = AIOKafkaAdminClient(**self._kafka.client_options(), client_id="sluice-notes")
        try:
            await admin.start()
            found: dict[TopicPartition, object] = await admin.list_consumer_group_offsets(self._group)
        except KafkaError as error:
            raise KafkaUnavailable(f"Kafka: {error}") from error
        finally:
            await admin.close()
        return {(where.topic, where.partition): each.offset for where, each in found.items()}  # type: ignore[attr-defined]
