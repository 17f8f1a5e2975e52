"""The columns of the source's views, in the order in which they are exported (rules E2 and E5)."""

from collections.abc import Mapping

from shared.events.values import FileKind

# Column of the view -> type as which it is exported. The record's key is the column's name in camel case.
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


def to_camel_case(column: str) -> str:
    """Return a column's name as a record's key."""
    first, *others = column.split("_")
    return first + "".join(word.capitalize() for word in others)
