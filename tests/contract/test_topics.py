"""The table of topics, and its copies in the documentation."""

import re
from pathlib import Path

import pytest

from shared.asyncapi import asyncapi_document
from shared.codec import NAME_OF
from shared.topics import TOPIC_OF, TOPICS, Topic

ROOT = Path(__file__).parents[2]
KEYS = {
    "job_id": "job id",
    "certificate_id": "certificate id",
    "destination_id": "destination id",
    "identity_id": "key or session id",
    "tenant_id": "tenant id",
}


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def retention(topic: Topic) -> str:
    return f"{topic.retention.days} days" if topic.retention else "compacted"


def architecture_row(topic: Topic) -> str:
    route = f"{', '.join(topic.producers)} -> {', '.join(topic.consumers)}"
    return f"| `{topic.name}` | {KEYS[topic.key]} | {retention(topic)} | {topic.description} | {route} |"


def events_row(topic: Topic) -> str:
    audience = "**public**" if topic.is_public else "internal"
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(NAME_OF[event][0] for event in topic.events))
    return f"| `{topic.name}` | {audience} | {KEYS[topic.key]} | {retention(topic)} | {names} |"


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_the_documentation_lists_every_topic_as_it_is(topic: Topic) -> None:
    assert architecture_row(topic) in text_of("ARCHITECTURE.md")
    assert events_row(topic) in text_of("docs/EVENTS.md")


def test_the_documentation_lists_every_header() -> None:
    (table,) = re.findall(r"\| header \| value \|\n\|---\|---\|\n((?:\|.*\n)+)", text_of("docs/EVENTS.md"))
    headers = asyncapi_document()["components"]["schemas"]["CloudEventHeaders"]["properties"]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(headers)


def test_the_recipe_for_access_grants_the_public_topics() -> None:
    granted = re.findall(r"--topic (\S+)", text_of("docs/EVENTS.md"))
    assert sorted(granted) == sorted(topic.name for topic in TOPICS if topic.is_public)


def test_names_are_unique_and_every_event_has_the_key_of_its_topic() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    for event, topic in TOPIC_OF.items():
        assert topic.key in event.__dataclass_fields__, (event, topic.key)
