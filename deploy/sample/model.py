"""One row of each view, in the order of its columns (described in deploy/contact-history/views.sql)."""

from typing import NamedTuple, TypeAlias

Micros: TypeAlias = int
"""An instant: microseconds since 1970-01-01T00:00:00Z. Integers, since millions of datetimes would take seconds."""

Json: TypeAlias = str
"""JSON text, as a customer's system writes it."""


class Interaction(NamedTuple):
    """A row of contact_history.interaction."""

    id: str
    status: int | None
    entity_type_id: int | None
    media_type_id: str | None
    type_id: str | None
    subtype_id: str | None
    external_id: str | None
    owner_id: int | None
    contact_id: str | None
    parent_id: str | None
    start_date: Micros
    modified_date: Micros
    end_date: Micros | None
    thread_id: str | None
    category_id: str | None
    time_shift: int | None
    subject: str | None
    text: str | None
    structured_text: str | None
    struct_text_mimetype: str | None
    the_comment: str | None
    tenant_id: int
    subtenant_id: int | None
    thread_hash: str | None
    can_be_parent: bool | None
    creator_app_id: int | None
    queue_name: str | None
    all_attributes: Json | None
    is_spam: bool | None
    web_safe_email_status: str | None


class Contact(NamedTuple):
    """A row of contact_history.contact."""

    id: str
    tenant_id: int
    created_date: Micros
    modified_date: Micros
    first_name: str | None
    last_name: str | None
    customer_id: int | None
    email_addresses: tuple[str, ...] | None
    phone_numbers: tuple[str, ...] | None
    attributes: Json | None


class Attachment(NamedTuple):
    """A row of contact_history.attachment; content is None for a deleted file and b"" for an empty one."""

    id: str
    entity_id: str
    tenant_id: int
    name: str | None
    mime_type: str | None
    size: int | None
    content: bytes | None
