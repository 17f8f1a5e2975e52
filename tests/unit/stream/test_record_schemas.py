"""The records' JSON Schemas: generated from the code, committed, and strict."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from exporter.source.columns import map_record_keys
from exporter.source.record_descriptions import DESCRIPTIONS
from exporter.source.record_schema import build_documents, build_schema
from shared.contract import format_document
from shared.events.values import FileKind
from shared.record_schemas import FOLDER, RECORD_TYPES, read_record_schema, schema_file
from shared.schema_ids import SCHEMA_BASE

KEYS = {
    "interaction": "id, status, entityTypeId, mediaTypeId, typeId, subtypeId, externalId, ownerId, contactId, "
    "parentId, startDate, modifiedDate, endDate, threadId, categoryId, timeShift, subject, text, structuredText, "
    "structTextMimetype, theComment, tenantId, subtenantId, threadHash, canBeParent, creatorAppId, queueName, "
    "allAttributes, isSpam, webSafeEmailStatus",
    "contact": "id, tenantId, createdDate, modifiedDate, firstName, lastName, customerId, emailAddresses, "
    "phoneNumbers, attributes",
    "interaction-attachment": "id, entityId, name, mimeType, size, content",
}
VALUES: dict[str, Any] = {
    "text": "some text",
    "int": 1,
    "bigint": 2**40,
    "bool": False,
    "timestamptz": "2026-11-24T10:00:00.12+00:00",
    "jsonb": ["a"],
    "bytea": "AA==",
}


def make_record(kind: FileKind) -> dict[str, Any]:
    return {key: VALUES[column] for key, column in map_record_keys(kind).items()}


def make_validator(kind: FileKind) -> Draft202012Validator:
    return Draft202012Validator(build_schema(kind), format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_E4_committed_schemas_are_those_of_the_columns() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    ours = {name: format_document(document) for name, document in build_documents().items()}
    assert {name: committed.get(name) for name in ours} == ours, "run `make schemas`"
    assert set(ours) == {schema_file(each) for each in RECORD_TYPES}
    ids = [json.loads(read_record_schema(each))["$id"] for each in RECORD_TYPES]
    assert ids == [f"{SCHEMA_BASE}records/{schema_file(each)}" for each in RECORD_TYPES]


@pytest.mark.parametrize("kind", RECORD_TYPES)
def test_E2_a_record_has_the_keys_of_the_rule_and_a_description_of_each(kind: FileKind) -> None:
    assert ", ".join(map_record_keys(kind)) == KEYS[kind]
    assert list(build_schema(kind)["properties"]) == list(map_record_keys(kind)) == list(DESCRIPTIONS[kind])


@pytest.mark.parametrize("kind", RECORD_TYPES)
def test_E4_schemas_are_valid_and_accept_exported_records(kind: FileKind) -> None:
    Draft202012Validator.check_schema(build_schema(kind))
    make_validator(kind).validate(make_record(kind))
    unknown = {key: None for key in map_record_keys(kind) if key not in {"id", "tenantId", "entityId"}}
    make_validator(kind).validate(make_record(kind) | unknown)


INSTANTS = [
    "2026-11-24T10:00:00+00:00",
    "0001-01-01T00:00:00.000001+00:00",
    "infinity",
    "-infinity",
    "294276-12-31T23:59:59.999999+00:00",
    "4713-01-01T00:00:00+00:00 BC",
]


@pytest.mark.parametrize("instant", INSTANTS)
def test_E4_every_instant_of_postgresql_is_accepted(instant: str) -> None:
    make_validator("contact").validate(make_record("contact") | {"createdDate": instant})


WRONG: list[dict[str, Any]] = [
    {"startDate": "2026-11-24 10:00:00"},
    {"startDate": "2026-11-24T10:00:00Z"},
    {"startDate": "2026-11-24T10:00:00+01:00"},
    {"startDate": "2026-13-24T10:00:00+00:00"},
    {"startDate": 1_795_514_400},
    {"id": None},
    {"id": 7},
    {"status": "7"},
    {"status": 2**31},
    {"status": 1.5},
    {"isSpam": "f"},
    {"text": {"a": "b"}},
    {"tenantId": None},
    {"more": 1},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_E4_a_wrong_line_is_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_validator("interaction").validate(make_record("interaction") | wrong)


@pytest.mark.parametrize("kind", RECORD_TYPES)
def test_E4_a_line_without_a_key_is_rejected(kind: FileKind) -> None:
    for key in map_record_keys(kind):
        with pytest.raises(ValidationError):
            make_validator(kind).validate({name: value for name, value in make_record(kind).items() if name != key})


def test_E4_a_contact_s_lists_contain_texts() -> None:
    for wrong in ({"emailAddresses": [1]}, {"phoneNumbers": "+49"}, {"emailAddresses": [["a"]]}):
        with pytest.raises(ValidationError):
            make_validator("contact").validate(make_record("contact") | wrong)
