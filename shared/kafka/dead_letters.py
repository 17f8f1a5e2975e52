"""Dead letters: what could not be read or handled, kept with its reason, and a limit on how much of that is normal."""

from collections import deque
from datetime import datetime, timedelta

from shared.codec import Headers, Received, Record
from shared.topics import DEAD_LETTER_SUFFIX


class DeadLetterLimit:
    """Says when refusing has become the rule.

    A poisoned message now and then is the sender's fault and must not stop the others; a hundred within minutes are
    ours (a bad release, a missing table), and going on would push good data aside.
    """

    def __init__(self, *, most: int = 100, within: timedelta = timedelta(minutes=10)) -> None:
        self._most = most
        self._within = within
        self._seen: deque[datetime] = deque()

    def count(self, now: datetime) -> bool:
        """Count one more refused message; return whether the limit is exceeded."""
        self._seen.append(now)
        while self._seen[0] <= now - self._within:
            self._seen.popleft()
        return len(self._seen) > self._most


def dead_letter(origin: Received, *, group: str, reason: str, at: datetime) -> Record:
    """Return the record for the dead-letter topic: the message as it was, and where and why it was refused."""
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
    """Return the record that puts a dead letter back on the topic it came from."""
    headers: Headers = tuple((name, value) for name, value in dead.headers if not name.startswith("dead_"))
    return Record(dead.topic.removesuffix(DEAD_LETTER_SUFFIX), dead.key or b"", dead.value, headers)
