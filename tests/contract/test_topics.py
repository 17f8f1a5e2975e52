"""The table of topics, and its copies in the documentation."""

from pathlib import Path

from shared.topics import TOPIC_OF, TOPICS, Topic

ARCHITECTURE = Path(__file__).parents[2] / "ARCHITECTURE.md"
KEYS = {"job_id": "job id", "certificate_id": "certificate id", "identity_id": "key or session id"}


def row(topic: Topic) -> str:
    retention = f"{topic.retention.days} days" if topic.retention else "compacted"
    route = f"{', '.join(topic.producers)} -> {', '.join(topic.consumers)}"
    return f"| `{topic.name}` | {KEYS[topic.key]} | {retention} | {topic.description} | {route} |"


def test_the_architecture_lists_every_topic_as_it_is() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    assert [row(topic) for topic in TOPICS if row(topic) not in text] == []


def test_names_are_unique_and_every_event_has_the_key_of_its_topic() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    for event, topic in TOPIC_OF.items():
        assert topic.key in event.__dataclass_fields__, (event, topic.key)
