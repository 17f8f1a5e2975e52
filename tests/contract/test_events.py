"""The events' contract: schemas are committed, golden examples stay readable, breaking changes are rejected."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from shared import contract, events
from shared.codec import ADAPTERS, NAME_OF, TOMBSTONES, Received, decode, encode, key_of, schema_file
from shared.errors import InvalidMessage
from shared.topics import TOPIC_OF, TOPICS, Topic
from tests.contract.samples import AT, samples, tombstones

EXAMPLES = Path(__file__).parent / "examples"
WITH_VALUE = samples()


def example_files() -> list[Path]:
    return sorted(EXAMPLES.glob("*.v*/*.json"))


def folder_of(event: events.Event) -> str:
    name, version = NAME_OF[type(event)]
    return f"{name}.v{version}"


def test_every_event_has_a_topic_a_version_and_an_example() -> None:
    assert set(TOPIC_OF) == set(NAME_OF) == set(events.REGISTRY.values())
    assert sum(len(topic.events) for topic in TOPICS) == len(TOPIC_OF), "an event is on two topics"
    shown = {path.parent.name for path in example_files()}
    assert shown == {folder_of(event) for event in WITH_VALUE}
    assert {type(event) for event in tombstones()} == TOMBSTONES, "these have no value to show"


def without_later_fields(written: Any, example: Any) -> Any:
    """Return what was written, without the fields that the example's release did not have, which must be null."""
    if isinstance(written, list) and isinstance(example, list):
        return [without_later_fields(*each) for each in zip(written, example, strict=True)]
    if not (isinstance(written, dict) and isinstance(example, dict)):
        return written
    added_later = written.keys() - example.keys()
    assert {name: written[name] for name in added_later} == dict.fromkeys(added_later), "optional, and null by default"
    return {name: without_later_fields(value, example[name]) for name, value in written.items() if name in example}


@pytest.mark.parametrize("path", example_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_H7_golden_examples_are_read_and_written_unchanged(path: Path) -> None:
    name, _, version = path.parent.name.rpartition(".v")
    event_type = events.REGISTRY[name, int(version)]
    event = ADAPTERS[event_type].validate_json(path.read_bytes())
    example, written = json.loads(path.read_bytes()), json.loads(ADAPTERS[event_type].dump_json(event))
    assert without_later_fields(written, example) == example


@pytest.mark.parametrize("event", WITH_VALUE, ids=folder_of)
def test_events_match_their_schema_and_survive_the_wire(event: events.Event) -> None:
    record = encode(event, source="exporter", at=AT)
    schema = json.loads((contract.FOLDER / schema_file(type(event))).read_text())
    assert record.value is not None
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(record.value))
    message = decode(Received(record.topic, 0, 0, record.key, record.value, record.headers))
    assert message.event == event
    assert key_of(event) == getattr(message.event, TOPIC_OF[type(event)].key)


@pytest.mark.parametrize("event", tombstones(), ids=folder_of)
def test_a_tombstone_has_no_value_and_an_event_with_a_value_is_none(event: events.Event) -> None:
    record = encode(event, source="job-api", at=AT)
    assert record.value is None
    assert decode(Received(record.topic, 0, 0, record.key, None, record.headers)).event == event
    with pytest.raises(InvalidMessage, match="Tombstone has a value"):
        decode(Received(record.topic, 0, 0, record.key, b"{}", record.headers))


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic.retention is None and not topic.is_public])
def test_a_deletion_on_a_compacted_topic_is_an_explicit_record_before_it_is_a_tombstone(topic: Topic) -> None:
    names = {NAME_OF[event][0].partition(".")[2]: event for event in topic.events if event not in TOMBSTONES}
    deleted = {field.name for field in dataclasses.fields(names["deleted"])}
    assert {"tenant_id", "version", "deleted_at", topic.key} == deleted
    assert "version" in {field.name for field in dataclasses.fields(names["saved"])}
    assert [event for event in topic.events if event in TOMBSTONES]


def test_committed_schemas_are_those_of_the_code() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in contract.FOLDER.glob("*.json")}
    generated = {name: contract.format_document(document) for name, document in contract.documents().items()}
    assert committed == generated, "run `make schemas`"


@pytest.mark.parametrize("event_type", NAME_OF, ids=lambda each: each.__name__)
def test_every_event_and_every_field_has_a_description(event_type: type[events.Event]) -> None:
    schema = contract.event_schema(event_type)
    for name, each in {"the event": schema, **schema.get("$defs", {})}.items():
        assert each["description"], name
        assert [field for field, value in each["properties"].items() if not value.get("description")] == [], name


def test_a_breaking_change_of_a_version_is_rejected(tmp_path: Path) -> None:
    contract.write(tmp_path)
    path = tmp_path / schema_file(events.RunProgressed)
    older = json.loads(path.read_text())
    older["properties"]["gone"] = {"type": "string"}
    older["properties"]["units_done"] = {"title": "Units Done", "type": "string"}
    older["required"].remove("phase")
    path.write_text(json.dumps(older))
    breaks = "\n".join(contract.write(tmp_path))
    assert "gone was removed" in breaks
    assert 'units_done.type: changed from "string" to "integer"' in breaks
    assert "phase was optional" in breaks
    assert json.loads(path.read_text()) == older, "a rejected change writes nothing"


def test_an_optional_addition_is_no_breaking_change() -> None:
    new = contract.event_schema(events.RunProgressed)
    old = json.loads(json.dumps(new))
    del old["properties"]["slices"]
    assert list(contract.find_breaks(old, new)) == []


def test_R1_each_event_of_a_run_leaves_it_in_one_state() -> None:
    states = {type(event): events.state_after(event) for event in WITH_VALUE if isinstance(event, events.RunEvent)}
    assert states == {
        events.RunQueued: "queued",
        events.RunStarted: "running",
        events.PartFinished: None,
        events.RunAttemptFailed: "queued",
        events.RunHandedBack: "queued",
        events.RunSucceeded: "succeeded",
        events.RunSucceededV1: "succeeded",
        events.RunFailed: "failed",
        events.RunCancelled: "cancelled",
        events.RunSkipped: "skipped",
    }
