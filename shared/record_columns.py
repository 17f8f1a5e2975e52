"""The columns of the source's views of interactions and contacts, in the order of export (rules E2 and E5)."""

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


def to_camel_case(column: str) -> str:
    """Return a column's name as a record's key."""
    first, *others = column.split("_")
    return first + "".join(word.capitalize() for word in others)
