"""Faults of a Kafka broker that need no kill: compaction that does not wait."""

from collections.abc import Iterable

from shared.kafka.incremental_configs import TopicAdminClient
from shared.topics import Topic

CLEANER = "log.cleaner.backoff.ms=100\n"
"""A setting of the broker, with which it compacts soon after topics allow it."""
_EAGER = {
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "100",
    "delete.retention.ms": "0",
}


async def compact_eagerly(address: str, topics: Iterable[Topic]) -> None:
    """Have the broker compact topics within seconds and drop tombstones at once, as if months had passed."""
    admin = TopicAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        answers = await admin.set_topic_configs({topic.name: _EAGER for topic in topics})
    finally:
        await admin.close()
    assert all(code == 0 for _, code, _ in answers), answers
