"""Dead letters: messages that are wrong in themselves, with the reason, and a limit on their number.

A letter belongs to the consumer group that could not handle the message, and is known by group, topic, partition and
offset: written again, it is the same letter.
"""

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.codec import Headers, Received, Record
from shared.topics import DEAD_LETTER_SUFFIX


class DeadLetterLimit:
    """Counts dead letters: more than `maximum` within a time point to a fault of the consumer.

    A bad message now and then is its sender's fault and must not stop the others. A hundred within minutes are the
    consumer's (a bad release), and continuing would set good messages aside.
    """

    def __init__(self, *, maximum: int = 100, within: timedelta = timedelta(minutes=10)) -> None:
        self._maximum = maximum
        self._within = within
        self._times: deque[datetime] = deque()

    def count(self, now: datetime) -> bool:
        """Count one more dead letter; return whether the limit is exceeded."""
        self._times.append(now)
        while self._times[0] <= now - self._within:
            self._times.popleft()
        return len(self._times) > self._maximum


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A letter as it is read from a dead-letter topic: whose it is, and the message as it was.

    `offset` is the letter's own on that topic. The mark of a replay has as `replayed` the offset of the letter that was
    replayed: a later one of the same id is open, wherever the mark stands.
    """

    group: str
    message: Received
    offset: int
    replayed: int | None = None

    @property
    def id(self) -> bytes:
        """The letter's identity, the same however often it is written."""
        return _to_id(self.group, self.message)


def to_dead_letter(origin: Received, *, group: str, reason: str, at: datetime) -> Record:
    """Return the record for the dead-letter topic: the message unchanged, with its origin and the reason as headers."""
    notes = {"dead_group": group, "dead_reason": reason, "dead_time": at.isoformat()}
    headers = (*origin.headers, *_origin_headers(origin), *_encode(notes))
    return Record(origin.topic + DEAD_LETTER_SUFFIX, _to_id(group, origin), origin.value, headers)


def to_replayed_mark(letter: DeadLetter, *, at: datetime) -> Record:
    """Return the record that follows a letter on its topic, under its key, once it has been replayed."""
    notes = {"dead_group": letter.group, "dead_replayed": str(letter.offset), "dead_time": at.isoformat()}
    topic = letter.message.topic + DEAD_LETTER_SUFFIX
    return Record(topic, letter.id, b"{}", (*_origin_headers(letter.message), *_encode(notes)))


def to_replay_record(letter: DeadLetter, *, topic: str) -> Record:
    """Return the record that hands a letter to its group on the group's replay topic."""
    message = letter.message
    return Record(topic, message.key or b"", message.value, (*message.headers, *_origin_headers(message)))


def read_dead_letter(record: Received) -> DeadLetter | None:
    """Return the letter, or the mark of a replayed one, that a record of a dead-letter topic holds; None for others."""
    headers = dict(record.headers)
    if (origin := find_origin(record)) is None or "dead_group" not in headers:
        return None
    replayed = int(headers["dead_replayed"]) if "dead_replayed" in headers else None
    return DeadLetter(headers["dead_group"].decode(), origin, record.offset, replayed)


def find_origin(record: Received) -> Received | None:
    """Return the message, as it was first received, that a letter or a replayed record holds; None for others."""
    headers = dict(record.headers)
    try:
        topic, partition, offset = (headers[f"dead_{name}"].decode() for name in ("topic", "partition", "offset"))
        place = int(partition), int(offset)
    except (KeyError, ValueError):
        return None
    own: Headers = tuple((name, value) for name, value in record.headers if not name.startswith("dead_"))
    key = None if "dead_no_key" in headers else headers.get("dead_key", record.key)
    return replace(record, topic=topic, partition=place[0], offset=place[1], key=key, headers=own)


def _to_id(group: str, origin: Received) -> bytes:
    return f"{group}|{origin.topic}|{origin.partition}|{origin.offset}".encode()


def _origin_headers(origin: Received) -> Headers:
    place = {"dead_topic": origin.topic, "dead_partition": str(origin.partition), "dead_offset": str(origin.offset)}
    key = ("dead_no_key", b"") if origin.key is None else ("dead_key", origin.key)
    return (*_encode(place), key)


def _encode(notes: dict[str, str]) -> Headers:
    return tuple((name, text.encode("ascii", "backslashreplace")) for name, text in notes.items())
