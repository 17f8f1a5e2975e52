"""The records' JSON Schemas (draft 2020-12, rule E4), generated from the exported columns.

`python -m exporter.source.record_schema` writes them to `shared/schemas/records/`, and rejects a change that would
break readers of the current version: raise `LATEST` in shared/record_schemas.py instead.
"""

import json
import sys
from typing import Any, get_args

from exporter.source.columns import map_record_keys
from exporter.source.record_descriptions import DESCRIPTIONS
from shared.contract import Schema, find_breaks, format_document
from shared.events.values import FileKind
from shared.record_schemas import FOLDER, LATEST, schema_file
from shared.schema_ids import SCHEMA_BASE

_NEVER_NULL = {"id", "tenantId", "entityId"}
_LISTS_OF_TEXT = {"emailAddresses", "phoneNumbers"}
_AFTER_YEAR = r"-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]{1,6})?\+00:00"
_DATE_TIME = f"^[0-9]{{4}}{_AFTER_YEAR}$"
_BEYOND_RFC_3339 = f"^(-?infinity|[0-9]{{5,6}}{_AFTER_YEAR}|[0-9]{{4}}{_AFTER_YEAR} BC)$"
_INSTANT: Schema = {
    "description": "An instant in UTC, with up to six decimal places; null if unknown",
    "anyOf": [
        {"type": "null"},
        {"type": "string", "format": "date-time", "pattern": _DATE_TIME},
        {
            "description": "PostgreSQL's form of what RFC 3339 cannot express: infinity, years after 9999 or BC",
            "type": "string",
            "pattern": _BEYOND_RFC_3339,
        },
    ],
}
_OF_COLUMN: dict[str, Schema] = {
    "text": {"type": "string"},
    "int": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "bigint": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "bool": {"type": "boolean"},
    "bytea": {"type": "string", "contentEncoding": "base64"},
}


def build_schema(kind: FileKind) -> Schema:
    """Return the schema of one line of a kind of file."""
    keys = map_record_keys(kind)
    properties = {
        key: _build_property(key, column) | {"description": DESCRIPTIONS[kind][key]} for key, column in keys.items()
    }
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{SCHEMA_BASE}records/{schema_file(kind, LATEST)}",
        "title": kind.title(),
        "description": f"A line of a {kind.title()} file. Every key is present; unknown values are null.",
        "type": "object",
        "properties": properties,
        "required": list(keys),
        "additionalProperties": False,
    }
    return schema | ({"$defs": {"instant": _INSTANT}} if "timestamptz" in keys.values() else {})


def build_documents() -> dict[str, Schema]:
    """Return all schemas by the name of their file."""
    kinds: tuple[FileKind, ...] = get_args(FileKind)
    return {schema_file(kind, LATEST): build_schema(kind) for kind in kinds}


def write_documents() -> list[str]:
    """Write the schemas' files, or write nothing and return the incompatible changes."""
    documents = build_documents()
    incompatible = []
    for name, document in documents.items():
        if (file := FOLDER / name).exists():
            before = json.loads(file.read_text(encoding="utf-8"))
            incompatible += [f"{name} {fault}" for fault in find_breaks(before, document)]
    if not incompatible:
        for name, document in documents.items():
            (FOLDER / name).write_text(format_document(document), encoding="utf-8")
    return incompatible


def _build_property(key: str, column: str) -> Schema:
    if column == "timestamptz":
        return {"$ref": "#/$defs/instant"}
    if column == "jsonb":
        # The customer decides what it contains; only these two lists have a fixed form.
        return {"type": ["array", "null"], "items": {"type": "string"}} if key in _LISTS_OF_TEXT else {}
    schema: dict[str, Any] = dict(_OF_COLUMN[column])
    return schema if key in _NEVER_NULL else schema | {"type": [schema["type"], "null"]}


if __name__ == "__main__":
    if found := write_documents():
        sys.exit("\n".join(["This would break readers of the current version; raise LATEST:", *found]))
