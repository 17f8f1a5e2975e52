"""The topics' table, and what the documentation says of it."""

from pathlib import Path

from shared.topics import TOPIC_OF, TOPICS, Topic

ARCHITECTURE = Path(__file__).parents[2] / "ARCHITECTURE.md"
KEYS = {"job_id": "job id", "certificate_id": "certificate id", "identity_id": "key or session id"}


def row(topic: Topic) -> str:
    kept = f"{topic.retention.days} days" if topic.retention else "compacted"
    ways = f"{', '.join(topic.producers)} -> {', '.join(topic.consumers)}"
    return f"| `{topic.name}` | {KEYS[topic.key]} | {kept} | {topic.description} | {ways} |"


def test_every_topic_stands_in_the_architecture_as_it_is() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    assert [row(topic) for topic in TOPICS if row(topic) not in text] == []


def test_names_are_used_once_and_every_event_has_the_key_of_its_topic() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    for event, topic in TOPIC_OF.items():
        assert topic.key in event.__dataclass_fields__, (event, topic.key)
