"""The published JSON Schemas, as a reader of exports uses them."""

import json

from jsonschema import Draft202012Validator

from shared.events.values import FileKind
from shared.record_schemas import read_record_schema


def make_validator(kind: FileKind) -> Draft202012Validator:
    """Return a validator for a line of that kind."""
    schema = json.loads(read_record_schema(kind))
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
