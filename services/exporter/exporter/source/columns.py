"""The columns of the source's views, in the order in which they are exported (rules E2 and E5)."""

from collections.abc import Mapping

from shared.events.values import FileKind
from shared.record_columns import CONTACT_COLUMNS, INTERACTION_COLUMNS, to_camel_case

ATTACHMENT_COLUMNS = {"id": "text", "entity_id": "text", "name": "text", "mime_type": "text", "size": "bigint"}
"""Without `content`, which is the record's last key and encoded by the worker: PostgreSQL's own base64 costs three
times as much and fails at 200 MB.
"""

COLUMNS: Mapping[FileKind, Mapping[str, str]] = {
    "interaction": INTERACTION_COLUMNS,
    "contact": CONTACT_COLUMNS,
    "interaction-attachment": ATTACHMENT_COLUMNS,
}
"""By kind of file: the view's columns with their PostgreSQL types."""
VIEWS: Mapping[FileKind, str] = {
    "interaction": "contact_history.interaction",
    "contact": "contact_history.contact",
    "interaction-attachment": "contact_history.attachment",
}
"""By kind of file: the view from which its records are read."""
_REQUIRED = {"id", "tenant_id", "entity_id"}


def map_record_keys(kind: FileKind) -> dict[str, str]:
    """Return a record's keys in their order (rule E2), each with its PostgreSQL type."""
    keys = {to_camel_case(column): exported_as for column, exported_as in COLUMNS[kind].items()}
    return keys | {"content": "bytea"} if kind == "interaction-attachment" else keys


def hint_for(column: str) -> str | None:
    """Return what to add to a view that lacks `column`; None for a required column, or one that no view has."""
    if column in _REQUIRED:
        return None
    lacking = {VIEWS[kind]: columns[column] for kind, columns in COLUMNS.items() if column in columns}
    if column == "content":
        lacking = {VIEWS["interaction-attachment"]: "bytea"}
    if not lacking:
        return None
    return f"add NULL::{next(iter(lacking.values()))} AS {column} to the SELECT of {' or '.join(lacking)}"
