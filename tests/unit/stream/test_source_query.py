"""The SQL text: the keys of the rules, and no value outside a parameter."""

from datetime import UTC, datetime

import pytest

from exporter.source.queries import count_query, mend_of, record_keys, records_query
from exporter.source.selection import KeyRange, RecordKind, Selection, Window, WindowColumn

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
INTERACTION_KEYS = (
    "id, status, entityTypeId, mediaTypeId, typeId, subtypeId, externalId, ownerId, contactId, parentId, startDate, "
    "modifiedDate, endDate, threadId, categoryId, timeShift, subject, text, structuredText, structTextMimetype, "
    "theComment, tenantId, subtenantId, threadHash, canBeParent, creatorAppId, queueName, allAttributes, isSpam, "
    "webSafeEmailStatus"
)
CONTACT_KEYS = (
    "id, tenantId, createdDate, modifiedDate, firstName, lastName, customerId, emailAddresses, phoneNumbers, attributes"
)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (RecordKind.INTERACTION, INTERACTION_KEYS),
        (RecordKind.CONTACT, CONTACT_KEYS),
        (RecordKind.ATTACHMENT, "id, entityId, name, mimeType, size, content"),
    ],
)
def test_E2_the_keys_of_each_kind_are_those_of_the_rule(kind: RecordKind, keys: str) -> None:
    assert record_keys(kind) == keys.split(", ")


def test_E8_every_view_that_is_read_is_filtered_by_the_tenant() -> None:
    for kind in RecordKind:
        query = count_query(Selection(kind, 101))
        assert query.values.count(101) == query.text.count("FROM contact_history") == query.text.count("tenant_id = $")


def test_T3_window_media_types_and_slice_are_parameters() -> None:
    window = Window(WindowColumn.MODIFIED, START, END)
    selection = Selection(RecordKind.INTERACTION, 7, ("email", "x'; DROP"), window, KeyRange("a'b", "c"))
    query = records_query(selection)
    assert query.values == (7, ["email", "x'; DROP"], START, END, "a'b", "c")
    assert "DROP" not in query.text
    assert "v.modified_date >= $3::timestamptz AND v.modified_date < $4::timestamptz" in query.text
    assert 'v.id COLLATE "C" >= $5::text AND v.id COLLATE "C" < $6::text' in query.text
    assert 'ORDER BY v.id COLLATE "C"' in query.text


def test_T3_each_kind_has_its_own_dates() -> None:
    with pytest.raises(ValueError, match="no created_date"):
        Selection(RecordKind.INTERACTION, 7, window=Window(WindowColumn.CREATED))
    with pytest.raises(ValueError, match="no start_date"):
        Selection(RecordKind.CONTACT, 7, window=Window(WindowColumn.START))


def test_J1_contacts_have_no_media_types() -> None:
    with pytest.raises(ValueError, match="no media type"):
        Selection(RecordKind.CONTACT, 7, ("email",))


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("status", "add NULL::int AS status to the SELECT of contact_history.interaction"),
        ("content", "add NULL::bytea AS content to the SELECT of contact_history.attachment"),
        ("tenant_id", None),
        ("nonsense", None),
    ],
)
def test_R5_a_missing_column_comes_with_the_sql_that_mends_it(column: str, words: str | None) -> None:
    assert mend_of(column) == words
