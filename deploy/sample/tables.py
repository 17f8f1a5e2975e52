"""Which column of the suite's tables each value of a row goes into, and how (../contact-history/sample-tables.sql)."""

from functools import lru_cache

from deploy.sample.copyformat import (
    Encoder,
    Table,
    bigint,
    binary,
    boolean,
    hexadecimal,
    instant,
    integer,
    jsonb,
    smallint,
    text,
    texts,
)


def _few(write: Encoder) -> Encoder:
    """Write a column of few different values: to remember them is quicker than to write them again."""
    return lru_cache(maxsize=1_024)(write)


def _table(name: str, *columns: tuple[str, Encoder]) -> Table:
    return Table("suite", name, tuple(column for column, _ in columns), tuple(encoder for _, encoder in columns))


CONVERSATION = _table(
    "conversation",
    ("conversation_key", text),
    ("state", _few(smallint)),
    ("kind_code", _few(smallint)),
    ("channel", _few(text)),
    ("direction", _few(text)),
    ("reason", _few(text)),
    ("foreign_ref", text),
    ("agent_no", _few(integer)),
    ("customer_key", text),
    ("answers_key", text),
    ("started_at", instant),
    ("changed_at", instant),
    ("ended_at", instant),
    ("thread_key", text),
    ("topic_code", _few(text)),
    ("clock_shift_minutes", _few(smallint)),
    ("subject_line", text),
    ("body_plain", text),
    ("body_rich", text),
    ("body_rich_type", _few(text)),
    ("remark", text),
    ("org_no", _few(integer)),
    ("sub_org_no", _few(smallint)),
    ("thread_digest", hexadecimal),
    ("answerable", boolean),
    ("source_app", _few(integer)),
    ("routed_via", _few(text)),
    ("extras", jsonb),
    ("spam", boolean),
    ("reply_form_state", _few(text)),
)
"""Takes `Interaction`."""

CUSTOMER = _table(
    "customer",
    ("customer_key", text),
    ("org_no", integer),
    ("created_utc", instant),
    ("changed_utc", instant),
    ("given_name", text),
    ("family_name", text),
    ("account_no", bigint),
    ("mails", texts),
    ("phones", texts),
    ("profile", text),
)
"""Takes `Contact`."""

FILE = _table(
    "file",
    ("file_key", text),
    ("conversation_key", text),
    ("org_no", integer),
    ("file_name", text),
    ("content_type", text),
    ("byte_count", integer),
    ("body", binary),
)
"""Takes `Attachment`."""
