"""The published schemas, as a reader of exports uses them."""

import json

from jsonschema import Draft202012Validator

from exporter.source.selection import RecordKind
from shared.record_schemas import RecordType, read_record_schema

TYPES: dict[RecordKind, RecordType] = {
    RecordKind.INTERACTION: "interaction",
    RecordKind.ATTACHMENT: "interaction-attachment",
    RecordKind.CONTACT: "contact",
}


def validator(kind: RecordKind) -> Draft202012Validator:
    """Return what checks a line of that kind."""
    schema = json.loads(read_record_schema(TYPES[kind]))
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
