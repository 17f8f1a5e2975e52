"""The records' JSON Schemas (draft 2020-12, rule E4), made from the columns that are exported.

`python -m exporter.source.record_schema` writes them into `shared/schemas/records/`, where whoever serves them finds them, and
refuses a change that would break a reader of a version that exists: raise SCHEMA_VERSION instead.
"""

import json
import sys
from typing import Any

from exporter.domain.runs import SCHEMA_VERSION
from exporter.source.queries import exported_columns
from exporter.source.record_descriptions import WORDS
from exporter.source.selection import RecordKind
from shared.contract import Schema, find_breaks, format_document
from shared.record_schemas import FOLDER, RECORD_TYPES, schema_file
from shared.schema_ids import SCHEMA_BASE

_TYPE_OF = dict(zip((RecordKind.INTERACTION, RecordKind.ATTACHMENT, RecordKind.CONTACT), RECORD_TYPES, strict=True))
_NEVER_NULL = {"id", "tenantId", "entityId"}
_TEXTS = {"emailAddresses", "phoneNumbers"}
_REST = r"-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]{1,6})?\+00:00"
_DATE_TIME = f"^[0-9]{{4}}{_REST}$"
_BEYOND = f"^(-?infinity|[0-9]{{5,6}}{_REST}|[0-9]{{4}}{_REST} BC)$"
_INSTANT: Schema = {
    "description": "An instant in UTC, to the microsecond at most; null if unknown",
    "anyOf": [
        {"type": "null"},
        {"type": "string", "format": "date-time", "pattern": _DATE_TIME},
        {
            "description": "What RFC 3339 has no form for, as PostgreSQL writes it: infinity, years after 9999 or BC",
            "type": "string",
            "pattern": _BEYOND,
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


def record_schema(kind: RecordKind) -> Schema:
    """Return the schema of one line of a kind of file."""
    columns = exported_columns(kind)
    properties = {key: _property(key, column) | {"description": WORDS[kind][key]} for key, column in columns.items()}
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{SCHEMA_BASE}records/{schema_file(_TYPE_OF[kind], SCHEMA_VERSION)}",
        "title": kind.value,
        "description": f"One line of a file {kind.value}-... : every key is there, and what is not known is null.",
        "type": "object",
        "properties": properties,
        "required": list(columns),
        "additionalProperties": False,
    }
    return schema | ({"$defs": {"instant": _INSTANT}} if "timestamptz" in columns.values() else {})


def documents() -> dict[str, Schema]:
    """Return every file of record schemas by its name."""
    return {schema_file(_TYPE_OF[kind], SCHEMA_VERSION): record_schema(kind) for kind in RecordKind}


def write() -> list[str]:
    """Write the files; return the faults for which nothing was written."""
    faults = []
    for name, document in documents().items():
        if (file := FOLDER / name).exists():
            faults += [
                f"{name} {fault}" for fault in find_breaks(json.loads(file.read_text(encoding="utf-8")), document)
            ]
    if not faults:
        for name, document in documents().items():
            (FOLDER / name).write_text(format_document(document), encoding="utf-8")
    return faults


def _property(key: str, column: str) -> Schema:
    if column == "timestamptz":
        return {"$ref": "#/$defs/instant"}
    if column == "jsonb":
        # What a customer keeps in it is the customer's; only the two lists have a form of ours.
        return {"type": ["array", "null"], "items": {"type": "string"}} if key in _TEXTS else {}
    schema: dict[str, Any] = dict(_OF_COLUMN[column])
    return schema if key in _NEVER_NULL else schema | {"type": [schema["type"], "null"]}


if __name__ == "__main__":
    if found := write():
        sys.exit("\n".join(["This would break what a version promises; raise SCHEMA_VERSION:", *found]))
