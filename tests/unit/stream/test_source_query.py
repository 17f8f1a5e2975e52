"""The SQL text: the keys of the rules, and every value as a parameter."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from exporter.source.columns import hint_for, map_record_keys
from exporter.source.queries import build_count_query, build_records_query
from exporter.source.selection import KeyRange, SelectedWindow, Selection, WindowColumn
from shared.events.values import FileKind

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
        ("interaction", INTERACTION_KEYS),
        ("contact", CONTACT_KEYS),
        ("interaction-attachment", "id, entityId, name, mimeType, size, content"),
    ],
)
def test_E2_the_keys_of_each_kind_are_those_of_the_rule(kind: FileKind, keys: str) -> None:
    assert list(map_record_keys(kind)) == keys.split(", ")


@pytest.mark.parametrize("kind", get_args(FileKind))
def test_E8_every_view_is_filtered_by_the_tenant(kind: FileKind) -> None:
    query = build_count_query(Selection(kind, 101))
    assert query.values.count(101) == query.text.count("FROM contact_history") == query.text.count("tenant_id = $")


def test_T3_window_media_types_and_slice_are_parameters() -> None:
    window = SelectedWindow(WindowColumn.MODIFIED, START, END)
    selection = Selection("interaction", 7, ("email", "x'; DROP"), window, KeyRange("a'b", "c"))
    query = build_records_query(selection)
    assert query.values == (7, ["email", "x'; DROP"], START, END, "a'b", "c")
    assert "DROP" not in query.text
    assert "v.modified_date >= $3::timestamptz AND v.modified_date < $4::timestamptz" in query.text
    assert 'v.id COLLATE "C" >= $5::text AND v.id COLLATE "C" < $6::text' in query.text
    assert 'ORDER BY v.id COLLATE "C"' in query.text


def test_T3_each_kind_has_its_own_dates() -> None:
    with pytest.raises(ValueError, match="no created_date"):
        Selection("interaction", 7, window=SelectedWindow(WindowColumn.CREATED))
    with pytest.raises(ValueError, match="no start_date"):
        Selection("contact", 7, window=SelectedWindow(WindowColumn.START))


def test_J1_contacts_have_no_media_types() -> None:
    with pytest.raises(ValueError, match="no media type"):
        Selection("contact", 7, ("email",))


@pytest.mark.parametrize(
    ("column", "hint"),
    [
        ("status", "add NULL::int AS status to the SELECT of contact_history.interaction"),
        ("content", "add NULL::bytea AS content to the SELECT of contact_history.attachment"),
        ("tenant_id", None),
        ("nonsense", None),
    ],
)
def test_R5_a_missing_column_comes_with_the_sql_that_adds_it(column: str, hint: str | None) -> None:
    assert hint_for(column) == hint
