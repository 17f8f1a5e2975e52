"""The events' contract: schemas are committed, golden examples stay readable for ever, breaking changes are refused."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from shared import contract, events
from shared.codec import ADAPTERS, NAME_OF, Received, decode, encode, key_of
from shared.topics import TOPIC_OF, TOPICS
from tests.contract.samples import AT, JOB, samples

EXAMPLES = Path(__file__).parent / "examples"
WITH_VALUE = samples()


def example_files() -> list[Path]:
    return sorted(EXAMPLES.glob("*.v*/*.json"))


def folder_of(event: events.Event) -> str:
    name, version = NAME_OF[type(event)]
    return f"{name}.v{version}"


def test_every_event_has_a_topic_a_version_and_an_example() -> None:
    assert set(TOPIC_OF) == set(NAME_OF) == set(events.REGISTRY.values())
    assert sum(len(topic.events) for topic in TOPICS) == len(TOPIC_OF), "an event stands on two topics"
    shown = {path.parent.name for path in example_files()}
    assert shown == {folder_of(event) for event in WITH_VALUE}


@pytest.mark.parametrize("path", example_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_H7_golden_examples_are_read_and_written_the_same(path: Path) -> None:
    name, _, version = path.parent.name.rpartition(".v")
    event_type = events.REGISTRY[name, int(version)]
    event = ADAPTERS[event_type].validate_json(path.read_bytes())
    assert json.loads(ADAPTERS[event_type].dump_json(event)) == json.loads(path.read_bytes())


@pytest.mark.parametrize("event", WITH_VALUE, ids=folder_of)
def test_events_fit_their_schema_and_survive_the_wire(event: events.Event) -> None:
    record = encode(event, source="test", at=AT)
    schema = json.loads((contract.FOLDER / contract.schema_file(type(event))).read_text())
    assert record.value is not None
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(record.value))
    message = decode(Received(record.topic, 0, 0, record.key, record.value, record.headers))
    assert message.event == event
    assert key_of(event) == message.event.__getattribute__(TOPIC_OF[type(event)].key)


def test_a_deletion_is_a_tombstone() -> None:
    record = encode(events.JobDeleted(job_id=JOB), source="test", at=AT)
    assert record.value is None
    message = decode(Received(record.topic, 0, 0, record.key, None, record.headers))
    assert message.event == events.JobDeleted(job_id=JOB)


def test_committed_schemas_are_those_of_the_code() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in contract.FOLDER.glob("*.json")}
    generated = {name: contract.text_of(document) for name, document in contract.documents().items()}
    assert committed == generated, "run `make schemas`"


def test_a_breaking_change_of_a_version_is_refused(tmp_path: Path) -> None:
    contract.write(tmp_path)
    path = tmp_path / contract.schema_file(events.RunProgressed)
    older = json.loads(path.read_text())
    older["properties"]["gone"] = {"type": "string"}
    older["properties"]["units_done"] = {"title": "Units Done", "type": "string"}
    older["required"].remove("phase")
    path.write_text(json.dumps(older))
    faults = "\n".join(contract.write(tmp_path))
    assert "gone is gone" in faults
    assert 'units_done.type: was "string", is "integer"' in faults
    assert "phase was not required" in faults
    assert json.loads(path.read_text()) == older, "a refused change writes nothing"


def test_an_optional_addition_is_no_break() -> None:
    new = contract.event_schema(events.RunProgressed)
    old = json.loads(json.dumps(new))
    del old["properties"]["slices"]
    assert list(contract.breaks(old, new)) == []


def test_asyncapi_tells_of_every_topic_and_message() -> None:
    document = contract.asyncapi()
    assert set(document["channels"]) == {topic.name for topic in TOPICS}
    assert set(document["components"]["messages"]) == {event.__name__ for event in TOPIC_OF}


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
