"""The SQL text that reads a selection (rules E2, E3, E5). Pure: no connection, no clock."""
# ruff: noqa: S608 - every name in these texts is a constant of ours, and every value is a parameter

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter.source.columns import COLUMNS, VIEWS
from exporter.source.selection import KeyRange, Selection
from shared.record_columns import to_camel_case
from shared.record_filters import compile_condition

LARGE_CONTENT = 4 * 1024 * 1024
"""Attachments of more bytes than this are read in chunks."""

CONTENT_CHUNK = 768 * 1024
"""Bytes of such a chunk; a multiple of 3, so that the chunks' base64 can be concatenated."""

_SAMPLE_ROWS = 500


@dataclass(frozen=True, slots=True)
class SourceQuery:
    """SQL text with $1, $2 ... and their values."""

    text: str
    values: tuple[object, ...]


def build_records_query(selection: Selection) -> SourceQuery:
    """Select each record's JSON text in key order.

    For attachments also the content's length and, unless it is large, the content.
    """
    condition, values = _build_condition(selection)
    # `row_to_json` over a subselect is the cheapest JSON in PostgreSQL; jsonb (not json) never contains a raw newline.
    columns, source = _build_select(selection, condition)
    if selection.kind != "interaction-attachment":
        return SourceQuery(f"SELECT row_to_json(x)::text FROM (SELECT {columns} {source}) x", values)
    text = (
        f"SELECT (SELECT row_to_json(x)::text FROM (SELECT {columns}) x), octet_length(v.content)::bigint, "
        f"CASE WHEN octet_length(v.content) <= {LARGE_CONTENT} THEN v.content END {source}"
    )
    return SourceQuery(text, values)


def build_columns_query(selection: Selection) -> SourceQuery:
    """Select each record's values in key order, a column for each key, with the types of `map_record_keys`.

    Raises ValueError for attachments, whose JSON text is always built by the server.
    """
    if selection.kind == "interaction-attachment":
        raise ValueError("the JSON text of attachments is built by the server")
    condition, values = _build_condition(selection)
    columns, source = _build_select(selection, condition)
    return SourceQuery(f"SELECT {columns} {source}", values)


def build_count_query(selection: Selection) -> SourceQuery:
    """Count the selected records."""
    condition, values = _build_condition(selection)
    return SourceQuery(f"SELECT count(*) FROM {VIEWS[selection.kind]} v WHERE {condition}", values)


def build_boundaries_query(selection: Selection, step: int) -> SourceQuery:
    """Count the selected records and, in the same pass over the keys, find the first key of each `step` records."""
    condition, values = _build_condition(selection)
    numbered = f'SELECT v.id, row_number() OVER (ORDER BY v.id COLLATE "C") AS n FROM {VIEWS[selection.kind]} v'
    text = (
        "SELECT count(*) AS rows, "
        f"array_agg(x.id ORDER BY x.n) FILTER (WHERE x.n > 1 AND (x.n - 1) % {step:d} = 0) AS keys "
        f"FROM ({numbered} WHERE {condition}) x"
    )
    return SourceQuery(text, values)


def build_size_query(selection: Selection) -> SourceQuery:
    """Select the mean size in bytes of the first few records' JSON text; NULL where there are none."""
    condition, values = _build_condition(selection)
    few = f'WHERE {condition} ORDER BY v.id COLLATE "C" LIMIT {_SAMPLE_ROWS}'
    if selection.kind == "interaction-attachment":
        # Not from the records themselves, whose JSON text includes the content.
        sizes = (
            f"SELECT coalesce(octet_length(v.content), 0) * 4 / 3 + 200 AS size FROM {VIEWS[selection.kind]} v {few}"
        )
    else:
        records = build_records_query(selection)
        sizes = f"SELECT octet_length(r.row_to_json) AS size FROM ({records.text} LIMIT {_SAMPLE_ROWS}) r"
    return SourceQuery(f"SELECT avg(size)::float8 FROM ({sizes}) s", values)


def build_content_query(source_tenant: int, attachment_id: str, offset: int) -> SourceQuery:
    """Select one chunk of an attachment's content, from byte `offset`, counted from 0."""
    text = (
        f"SELECT substring(v.content FROM $3 FOR {CONTENT_CHUNK}) FROM {VIEWS['interaction-attachment']} v "
        "WHERE v.tenant_id = $1::int AND v.id = $2::text"
    )
    return SourceQuery(text, (source_tenant, attachment_id, offset + 1))


def _build_select(selection: Selection, condition: str) -> tuple[str, str]:
    columns = ", ".join(
        f'v.{name}::{exported_as} AS "{to_camel_case(name)}"' for name, exported_as in COLUMNS[selection.kind].items()
    )
    return columns, f'FROM {VIEWS[selection.kind]} v WHERE {condition} ORDER BY v.id COLLATE "C"'


def _build_condition(selection: Selection) -> tuple[str, tuple[object, ...]]:
    values: list[object] = []
    terms = _tenant_terms("v", selection.source_tenant, values)
    if selection.kind == "interaction-attachment":
        of_interactions = [
            *_tenant_terms("i", selection.source_tenant, values),
            *_content_terms("i", selection, values),
        ]
        interactions = f"SELECT i.id FROM {VIEWS['interaction']} i WHERE {' AND '.join(of_interactions)}"
        terms.append(f"v.entity_id IN ({interactions})")
    else:
        terms += _content_terms("v", selection, values)
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
    return [*terms, *_filter_terms(alias, selection, values)]


def _filter_terms(alias: str, selection: Selection, values: list[object]) -> Iterator[str]:
    def add_parameter(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    for condition in selection.conditions:
        yield compile_condition(
            "contact" if selection.kind == "contact" else "interaction",
            condition,
            alias=alias,
            add_parameter=add_parameter,
        )


def _key_terms(keys: KeyRange | None, values: list[object]) -> Sequence[str]:
    terms = []
    for operator, key in ((">=", keys.first), ("<", keys.before), (">", keys.after)) if keys is not None else ():
        if key is not None:
            values.append(key)
            terms.append(f'v.id COLLATE "C" {operator} ${len(values)}::text')
    return terms
