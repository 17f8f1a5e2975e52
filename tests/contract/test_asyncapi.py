"""The AsyncAPI document and the schemas: what they refer to exists, and messages are as they say."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from shared import contract, events
from shared.asyncapi import DOCUMENT_ID, asyncapi_document
from shared.codec import TOMBSTONES, Record, encode
from shared.schema_ids import SCHEMA_BASE
from shared.topics import TOPIC_OF, TOPICS
from tests.contract.samples import AT, samples, tombstones

DOCUMENT = asyncapi_document()
FILES = {
    SCHEMA_BASE + path.relative_to(contract.FOLDER).as_posix(): json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(contract.FOLDER.rglob("*.json"))
    if path.parent.name != "openapi"  # the HTTP services' documents
}
REGISTRY: Registry[Any] = Registry().with_resources(
    (uri, DRAFT202012.create_resource(content)) for uri, content in FILES.items()
)
EVENTS = [*samples(), *tombstones()]


def references(node: object) -> Iterator[str]:
    """Yield every `$ref` in a document."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def validate(instance: object, event: events.Event, place: str) -> None:
    """Validate a value against a schema of the event's message in the document."""
    schema = {"$ref": f"{DOCUMENT_ID}#/components/messages/{type(event).__name__}/{place}"}
    Draft202012Validator(schema, registry=REGISTRY, format_checker=FormatChecker()).validate(instance)


def headers_of(record: Record) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


def test_every_id_is_the_address_of_its_file_below_one_base() -> None:
    assert {uri: content.get("$id", content.get("id")) for uri, content in FILES.items()} == {uri: uri for uri in FILES}


@pytest.mark.parametrize("uri", FILES)
def test_every_reference_leads_to_something(uri: str) -> None:
    resolver = REGISTRY.resolver(base_uri=uri)
    for reference in references(FILES[uri]):
        resolver.lookup(reference)


def test_the_document_has_every_topic_message_and_operation() -> None:
    assert set(DOCUMENT["channels"]) == {topic.name for topic in TOPICS}
    assert set(DOCUMENT["components"]["messages"]) == {event.__name__ for event in TOPIC_OF}
    operations = {
        (operation["action"], name.split(".")[0], operation["channel"]["$ref"].removeprefix("#/channels/"))
        for name, operation in DOCUMENT["operations"].items()
    }
    sent = {("send", each, topic.name) for topic in TOPICS for each in topic.producers}
    received = {("receive", each, topic.name) for topic in TOPICS for each in topic.consumers}
    assert operations == sent | received


def test_a_topic_is_tagged_as_public_or_internal() -> None:
    tags = {name: channel["tags"] for name, channel in DOCUMENT["channels"].items()}
    assert tags == {topic.name: [{"name": "public" if topic.is_public else "internal"}] for topic in TOPICS}
    assert {name for name, (tag,) in tags.items() if tag["name"] == "public"} == {
        "sluice.triggers",
        "sluice.runs",
        "sluice.progress",
        "sluice.estimates",
        "sluice.deliveries",
    }


def test_servers_require_what_sluice_can_log_in_with() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    secured = [each["$ref"].rpartition("/")[2] for each in DOCUMENT["servers"]["secure"]["security"]]
    assert secured == list(schemes)
    assert {each["type"] for each in schemes.values()} == {"scramSha512", "scramSha256", "plain", "X509"}
    assert "security" not in DOCUMENT["servers"]["local"]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_a_message_has_the_headers_the_key_and_the_payload_of_the_document(event: events.Event) -> None:
    record = encode(event, source=TOPIC_OF[type(event)].producers[0], at=AT)
    headers = headers_of(record)
    validate(headers, event, "headers")
    validate(record.key.decode(), event, "bindings/kafka/key")
    validate(None if record.value is None else json.loads(record.value), event, "payload")
    described = set(DOCUMENT["components"]["schemas"]["CloudEventHeaders"]["properties"])
    assert set(headers) == described - ({"ce_dataschema"} if type(event) in TOMBSTONES else set())


@pytest.mark.parametrize("event", samples(), ids=lambda event: type(event).__name__)
def test_subject_and_schema_of_a_message_are_its_key_and_a_schema_in_the_repository(event: events.Event) -> None:
    record = encode(event, source="exporter", at=AT)
    headers = headers_of(record)
    assert headers["ce_subject"] == record.key.decode()
    schema = FILES[headers["ce_dataschema"]]
    assert record.value is not None
    Draft202012Validator(schema, registry=REGISTRY, format_checker=FormatChecker()).validate(json.loads(record.value))


@pytest.mark.parametrize("name", ["ce_id", "ce_type", "ce_subject", "ce_dataschema", "traceparent"])
def test_a_message_without_a_header_does_not_match_the_document(name: str) -> None:
    event = EVENTS[0]
    headers = headers_of(encode(event, source="job-api", at=AT))
    del headers[name]
    validator = Draft202012Validator(
        {"$ref": f"{DOCUMENT_ID}#/components/messages/{type(event).__name__}/headers"}, registry=REGISTRY
    )
    assert not validator.is_valid(headers)
