"""Dead letters: messages that could not be read or handled, with the reason, and a limit on their number."""

from collections import deque
from datetime import datetime, timedelta

from shared.codec import Headers, Received, Record
from shared.topics import DEAD_LETTER_SUFFIX


class DeadLetterLimit:
    """Counts dead letters: more than `maximum` within a time point to a fault of the consumer.

    A bad message now and then is its sender's fault and must not stop the others. A hundred within minutes are the
    consumer's (a bad release, a missing table), and continuing would set good messages aside.
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


def to_dead_letter(origin: Received, *, group: str, reason: str, at: datetime) -> Record:
    """Return the record for the dead-letter topic: the message unchanged, with its origin and the reason as headers."""
    notes = {
        "dead_topic": origin.topic,
        "dead_partition": str(origin.partition),
        "dead_offset": str(origin.offset),
        "dead_group": group,
        "dead_reason": reason,
        "dead_time": at.isoformat(),
    }
    return Record(
        origin.topic + DEAD_LETTER_SUFFIX,
        origin.key or b"",
        origin.value,
        origin.headers + tuple((name, text.encode("ascii", "backslashreplace")) for name, text in notes.items()),
    )


def restore_record(dead: Received) -> Record:
    """Return the record that republishes a dead letter on the topic that it came from."""
    headers: Headers = tuple((name, value) for name, value in dead.headers if not name.startswith("dead_"))
    return Record(dead.topic.removesuffix(DEAD_LETTER_SUFFIX), dead.key or b"", dead.value, headers)
