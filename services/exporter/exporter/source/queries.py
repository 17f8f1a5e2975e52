"""The SQL text that reads a selection (rules E2, E3, E5). Pure: no connection, no clock."""
# ruff: noqa: S608 - every name in these texts is ours, and every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.source.selection import KeyRange, RecordKind, Selection

LARGE_CONTENT = 4 * 1024 * 1024
"""Attachments above this many bytes are read by chunks."""

_SAMPLE = 500

CONTENT_CHUNK = 768 * 1024
"""Bytes of such a chunk; a multiple of 3, so that base64 of the chunks joins up."""


@dataclass(frozen=True, slots=True)
class Query:
    """SQL text with $1, $2 ... and their values."""

    text: str
    values: tuple[object, ...]


# Column of the view -> type it is exported as. The key of the record is the column's name in camel case.
INTERACTION_COLUMNS = {
    "id": "text",
    "status": "int",
    "entity_type_id": "int",
    "media_type_id": "text",
    "type_id": "text",
    "subtype_id": "text",
    "external_id": "text",
    "owner_id": "int",
    "contact_id": "text",
    "parent_id": "text",
    "start_date": "timestamptz",
    "modified_date": "timestamptz",
    "end_date": "timestamptz",
    "thread_id": "text",
    "category_id": "text",
    "time_shift": "int",
    "subject": "text",
    "text": "text",
    "structured_text": "text",
    "struct_text_mimetype": "text",
    "the_comment": "text",
    "tenant_id": "int",
    "subtenant_id": "int",
    "thread_hash": "text",
    "can_be_parent": "bool",
    "creator_app_id": "int",
    "queue_name": "text",
    "all_attributes": "jsonb",
    "is_spam": "bool",
    "web_safe_email_status": "text",
}
CONTACT_COLUMNS = {
    "id": "text",
    "tenant_id": "int",
    "created_date": "timestamptz",
    "modified_date": "timestamptz",
    "first_name": "text",
    "last_name": "text",
    "customer_id": "text",
    "email_addresses": "jsonb",
    "phone_numbers": "jsonb",
    "attributes": "jsonb",
}
ATTACHMENT_COLUMNS = {"id": "text", "entity_id": "text", "name": "text", "mime_type": "text", "size": "bigint"}
"""Without `content`, which is last in the record and encoded by us: PostgreSQL's own base64 costs three times as much
and fails at 200 MB.
"""

_VIEWS = {RecordKind.INTERACTION: "interaction", RecordKind.CONTACT: "contact", RecordKind.ATTACHMENT: "attachment"}
_COLUMNS = {
    RecordKind.INTERACTION: INTERACTION_COLUMNS,
    RecordKind.CONTACT: CONTACT_COLUMNS,
    RecordKind.ATTACHMENT: ATTACHMENT_COLUMNS,
}


def exported_columns(kind: RecordKind) -> dict[str, str]:
    """Return the keys of a record in their order, those of rule E2, with the PostgreSQL type of each."""
    columns = {_camel(column): exported_as for column, exported_as in _COLUMNS[kind].items()}
    return columns | {"content": "bytea"} if kind is RecordKind.ATTACHMENT else columns


def record_keys(kind: RecordKind) -> list[str]:
    """Return the keys of a record in their order."""
    return list(exported_columns(kind))


def mend_of(column: str) -> str | None:
    """Return the SQL that a view lacks which lacks a column; None for one that must be known, or that no view has."""
    if column in {"id", "tenant_id", "entity_id"}:
        return None
    lacking = {_view(kind): columns[column] for kind, columns in _COLUMNS.items() if column in columns}
    if column == "content":
        lacking = {_view(RecordKind.ATTACHMENT): "bytea"}
    if not lacking:
        return None
    return f"add NULL::{next(iter(lacking.values()))} AS {column} to the SELECT of {' or '.join(lacking)}"


def records_query(selection: Selection) -> Query:
    """Select each record's JSON text in key order; for attachments also the content's length and, if it is not large,
    the content.
    """
    condition, values = _condition(selection)
    # `row_to_json` over a subselect is the cheapest JSON PostgreSQL makes; jsonb (not json) never holds a raw newline.
    columns, from_view = _select(selection, condition)
    if selection.kind is not RecordKind.ATTACHMENT:
        return Query(f"SELECT row_to_json(x)::text FROM (SELECT {columns} {from_view}) x", values)
    text = (
        f"SELECT (SELECT row_to_json(x)::text FROM (SELECT {columns}) x), octet_length(v.content)::bigint, "
        f"CASE WHEN octet_length(v.content) <= {LARGE_CONTENT} THEN v.content END {from_view}"
    )
    return Query(text, values)


def columns_query(selection: Selection) -> Query:
    """Select each record's values in key order, a column for each key, of the types that `exported_columns` says."""
    if selection.kind is RecordKind.ATTACHMENT:
        raise ValueError("the records of attachments are made by the server")
    condition, values = _condition(selection)
    columns, from_view = _select(selection, condition)
    return Query(f"SELECT {columns} {from_view}", values)


def count_query(selection: Selection) -> Query:
    """Count the selected records."""
    condition, values = _condition(selection)
    return Query(f"SELECT count(*) FROM {_view(selection.kind)} v WHERE {condition}", values)


def boundaries_query(selection: Selection, step: int) -> Query:
    """Count the selected records and, in the same pass over the keys, find the key that begins each next `step`."""
    condition, values = _condition(selection)
    numbered = f'SELECT v.id, row_number() OVER (ORDER BY v.id COLLATE "C") AS n FROM {_view(selection.kind)} v'
    text = (
        f"SELECT count(*), array_agg(x.id ORDER BY x.n) FILTER (WHERE x.n > 1 AND (x.n - 1) % {step:d} = 0) "
        f"FROM ({numbered} WHERE {condition}) x"
    )
    return Query(text, values)


def size_query(selection: Selection) -> Query:
    """Select the mean bytes of a record's JSON text, from the first few; NULL where there is none."""
    condition, values = _condition(selection)
    few = f'WHERE {condition} ORDER BY v.id COLLATE "C" LIMIT {_SAMPLE}'
    if selection.kind is RecordKind.ATTACHMENT:
        # Not the records themselves, for those are made with their content.
        sizes = (
            f"SELECT coalesce(octet_length(v.content), 0) * 4 / 3 + 200 AS size FROM {_view(selection.kind)} v {few}"
        )
    else:
        records = records_query(selection)
        sizes = f"SELECT octet_length(r.row_to_json) AS size FROM ({records.text} LIMIT {_SAMPLE}) r"
    return Query(f"SELECT avg(size)::float8 FROM ({sizes}) s", values)


def content_query(source_tenant: int, attachment_id: str, offset: int) -> Query:
    """Select one chunk of one attachment's content, from byte `offset` counted from 0."""
    text = (
        f"SELECT substring(v.content FROM $3 FOR {CONTENT_CHUNK}) FROM {_view(RecordKind.ATTACHMENT)} v "
        "WHERE v.tenant_id = $1::int AND v.id = $2::text"
    )
    return Query(text, (source_tenant, attachment_id, offset + 1))


def _select(selection: Selection, condition: str) -> tuple[str, str]:
    columns = ", ".join(f'v.{name}::{kind} AS "{_camel(name)}"' for name, kind in _COLUMNS[selection.kind].items())
    return columns, f'FROM {_view(selection.kind)} v WHERE {condition} ORDER BY v.id COLLATE "C"'


def _condition(selection: Selection) -> tuple[str, tuple[object, ...]]:
    values: list[object] = []
    if selection.kind is RecordKind.ATTACHMENT:
        terms = _tenant_terms("v", selection.source_tenant, values)
        of_interactions = [
            *_tenant_terms("i", selection.source_tenant, values),
            *_content_terms("i", selection, values),
        ]
        view = _view(RecordKind.INTERACTION)
        terms.append(f"v.entity_id IN (SELECT i.id FROM {view} i WHERE {' AND '.join(of_interactions)})")
    else:
        terms = [*_tenant_terms("v", selection.source_tenant, values), *_content_terms("v", selection, values)]
    terms.extend(_key_terms(selection.keys, values))
    return " AND ".join(terms), tuple(values)


def _tenant_terms(alias: str, source_tenant: int, values: list[object]) -> list[str]:
    values.append(source_tenant)
    return [f"{alias}.tenant_id = ${len(values)}::int"]


def _content_terms(alias: str, selection: Selection, values: list[object]) -> list[str]:
    terms = []
    if selection.media_types is not None:
        values.append(list(selection.media_types))
        terms.append(f"{alias}.media_type_id = ANY(${len(values)}::text[])")
    window = selection.window
    if window is not None:
        for operator, instant in ((">=", window.start), ("<", window.end)):
            if instant is not None:
                values.append(instant)
                terms.append(f"{alias}.{window.column} {operator} ${len(values)}::timestamptz")
    return terms


def _key_terms(keys: KeyRange | None, values: list[object]) -> Sequence[str]:
    terms = []
    for operator, key in ((">=", keys.first), ("<", keys.before), (">", keys.after)) if keys is not None else ():
        if key is not None:
            values.append(key)
            terms.append(f'v.id COLLATE "C" {operator} ${len(values)}::text')
    return terms


def _view(kind: RecordKind) -> str:
    return f"contact_history.{_VIEWS[kind]}"


def _camel(column: str) -> str:
    first, *others = column.split("_")
    return first + "".join(word.capitalize() for word in others)
