"""The columns of the suite's tables in the order of the rows' values (../contact-history/sample-tables.sql)."""

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


def _cached(write: Encoder) -> Encoder:
    """Return an encoder for a column with few distinct values, which a cache encodes faster."""
    return lru_cache(maxsize=1_024)(write)


def _table(name: str, *columns: tuple[str, Encoder]) -> Table:
    return Table("suite", name, tuple(column for column, _ in columns), tuple(encoder for _, encoder in columns))


CONVERSATION = _table(
    "conversation",
    ("conversation_key", text),
    ("state", _cached(smallint)),
    ("kind_code", _cached(smallint)),
    ("channel", _cached(text)),
    ("direction", _cached(text)),
    ("reason", _cached(text)),
    ("foreign_ref", text),
    ("agent_no", _cached(integer)),
    ("customer_key", text),
    ("answers_key", text),
    ("started_at", instant),
    ("changed_at", instant),
    ("ended_at", instant),
    ("thread_key", text),
    ("topic_code", _cached(text)),
    ("clock_shift_minutes", _cached(smallint)),
    ("subject_line", text),
    ("body_plain", text),
    ("body_rich", text),
    ("body_rich_type", _cached(text)),
    ("remark", text),
    ("org_no", _cached(integer)),
    ("sub_org_no", _cached(smallint)),
    ("thread_digest", hexadecimal),
    ("answerable", boolean),
    ("source_app", _cached(integer)),
    ("routed_via", _cached(text)),
    ("extras", jsonb),
    ("spam", boolean),
    ("reply_form_state", _cached(text)),
)
"""For rows of `Interaction`."""

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
"""For rows of `Contact`."""

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
"""For rows of `Attachment`."""
