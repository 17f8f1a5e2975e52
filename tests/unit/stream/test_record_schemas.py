"""The records' schemas: those of the code, committed, and strict."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from exporter.domain.runs import SCHEMA_VERSION
from exporter.source.queries import exported_columns, record_keys
from exporter.source.record_descriptions import WORDS
from exporter.source.record_schema import documents, record_schema
from exporter.source.selection import RecordKind
from shared.contract import format_document
from shared.record_schemas import FOLDER, LATEST, RECORD_TYPES, read_record_schema, schema_file
from shared.schema_ids import SCHEMA_BASE

KEYS = {
    RecordKind.INTERACTION: "id, status, entityTypeId, mediaTypeId, typeId, subtypeId, externalId, ownerId, contactId, "
    "parentId, startDate, modifiedDate, endDate, threadId, categoryId, timeShift, subject, text, structuredText, "
    "structTextMimetype, theComment, tenantId, subtenantId, threadHash, canBeParent, creatorAppId, queueName, "
    "allAttributes, isSpam, webSafeEmailStatus",
    RecordKind.CONTACT: "id, tenantId, createdDate, modifiedDate, firstName, lastName, customerId, emailAddresses, "
    "phoneNumbers, attributes",
    RecordKind.ATTACHMENT: "id, entityId, name, mimeType, size, content",
}
VALUES: dict[str, Any] = {
    "text": "words",
    "int": 1,
    "bigint": 2**40,
    "bool": False,
    "timestamptz": "2026-11-24T10:00:00.12+00:00",
    "jsonb": ["a"],
    "bytea": "AA==",
}


def record(kind: RecordKind) -> dict[str, Any]:
    return {key: VALUES[column] for key, column in exported_columns(kind).items()}


def validator(kind: RecordKind) -> Draft202012Validator:
    return Draft202012Validator(record_schema(kind), format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_E4_committed_schemas_are_those_of_the_columns() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    ours = {name: format_document(document) for name, document in documents().items()}
    assert {name: committed.get(name) for name in ours} == ours, "run `make schemas`"
    assert LATEST == SCHEMA_VERSION, "whoever serves the schemas must know the version that manifests name"
    assert set(ours) == {schema_file(each) for each in RECORD_TYPES}
    ids = [json.loads(read_record_schema(each))["$id"] for each in RECORD_TYPES]
    assert ids == [f"{SCHEMA_BASE}records/{schema_file(each)}" for each in RECORD_TYPES]


@pytest.mark.parametrize("kind", RecordKind)
def test_E2_a_record_has_the_keys_of_the_rule_and_words_for_each(kind: RecordKind) -> None:
    assert ", ".join(record_keys(kind)) == KEYS[kind]
    assert list(record_schema(kind)["properties"]) == record_keys(kind) == list(WORDS[kind])


@pytest.mark.parametrize("kind", RecordKind)
def test_E4_schemas_are_valid_and_take_what_is_exported(kind: RecordKind) -> None:
    Draft202012Validator.check_schema(record_schema(kind))
    validator(kind).validate(record(kind))
    unknown = {key: None for key in record_keys(kind) if key not in {"id", "tenantId", "entityId"}}
    validator(kind).validate(record(kind) | unknown)


INSTANTS = [
    "2026-11-24T10:00:00+00:00",
    "0001-01-01T00:00:00.000001+00:00",
    "infinity",
    "-infinity",
    "294276-12-31T23:59:59.999999+00:00",
    "4713-01-01T00:00:00+00:00 BC",
]


@pytest.mark.parametrize("instant", INSTANTS)
def test_E4_every_instant_of_postgresql_has_a_place(instant: str) -> None:
    validator(RecordKind.CONTACT).validate(record(RecordKind.CONTACT) | {"createdDate": instant})


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
def test_E4_a_wrong_line_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        validator(RecordKind.INTERACTION).validate(record(RecordKind.INTERACTION) | wrong)


@pytest.mark.parametrize("kind", RecordKind)
def test_E4_a_line_that_lacks_a_key_is_refused(kind: RecordKind) -> None:
    for key in record_keys(kind):
        with pytest.raises(ValidationError):
            validator(kind).validate({name: value for name, value in record(kind).items() if name != key})


def test_E4_lists_of_a_contact_hold_texts() -> None:
    for wrong in ({"emailAddresses": [1]}, {"phoneNumbers": "+49"}, {"emailAddresses": [["a"]]}):
        with pytest.raises(ValidationError):
            validator(RecordKind.CONTACT).validate(record(RecordKind.CONTACT) | wrong)
