"""J11, I4: from a list's query parameters to its SQL."""

from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from shared.http.cursors import encode_cursor
from shared.http.lists import KeysetList, ListQuery, Page, between, sort_field
from shared.http.parameters import parse_query, query_parameters
from shared.http.problems import Problem
from shared.http.values import Instant, SearchText

TENANT, ID = UUID(int=1), "7b0d1f0e-0a43-4a10-9f58-3b1b7b9f1a22"
THINGS = KeysetList(
    name="things",
    statement="SELECT {sort}::text AS sorted_by FROM thing WHERE tenant_id = $1{conditions} "
    "ORDER BY {sort} {direction} LIMIT {limit}",
    key="thing.id",
    sorts={"title": ("lower(title)", "text"), "created_at": ("created_at", "timestamptz")},
    filters={"state": "state = ANY({0}::text[])", "search": "title ILIKE {0}::text"} | between("created", "created_at"),
    default_sort="-created_at",
)


class ThingQuery(ListQuery):
    rows: ClassVar = THINGS

    sort: str = sort_field(THINGS)
    state: list[str] | None = None
    search: SearchText | None = None
    created_from: Instant | None = None
    created_until: Instant | None = None


def parse(query: str) -> ThingQuery:
    return parse_query(ThingQuery, Request({"type": "http", "query_string": query.encode(), "headers": []}))


def test_J11_a_query_becomes_sql_with_only_the_filters_that_are_set() -> None:
    query = parse("state=a&state=b&created_from=2026-11-24T12:00:00%2B02:00&limit=2")
    statement, values = THINGS.to_sql(TENANT, query.to_page_request(), "own")
    assert statement == (
        "SELECT created_at::text AS sorted_by FROM thing WHERE tenant_id = $1 AND state = ANY($3::text[])"
        " AND created_at >= $4::timestamptz ORDER BY created_at DESC LIMIT 3"
    )
    assert values == [TENANT, "own", ["a", "b"], datetime(2026, 11, 24, 10, tzinfo=UTC)]


def test_I4_a_page_continues_after_the_position_of_its_cursor() -> None:
    query = parse("sort=title")
    cursor = query.next_cursor(Page([1], ("night", ID)))
    statement, values = THINGS.to_sql(TENANT, parse(f"sort=title&cursor={cursor}").to_page_request())
    assert " AND (lower(title), thing.id) > ($2::text::text, $3::text::uuid)" in statement
    assert values == [TENANT, "night", ID]
    assert query.next_cursor(Page([1], None)) is None
    with pytest.raises(Problem):
        parse(f"sort=-title&cursor={cursor}").to_page_request()
    with pytest.raises(Problem):
        parse(f"sort=title&cursor={encode_cursor('others title', ('night', ID))}").to_page_request()


def test_I4_a_page_ends_before_the_position_of_a_backward_cursor() -> None:
    query = parse("sort=-title&limit=2")
    cursor = query.previous_cursor(Page([1], None, ("night", ID)))
    statement, values = THINGS.to_sql(TENANT, parse(f"sort=-title&limit=2&cursor={cursor}").to_page_request())
    assert " AND (lower(title), thing.id) > ($2::text::text, $3::text::uuid)" in statement
    assert statement.endswith("ORDER BY lower(title) ASC LIMIT 3")
    assert values == [TENANT, "night", ID]
    assert query.previous_cursor(Page([1], ("night", ID))) is None
    for wrong in ("~", "~~", f"~{cursor}"):
        with pytest.raises(Problem):
            parse(f"sort=-title&cursor={wrong}").to_page_request()


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("status=failed", ["status"]),
        ("limit=1&limit=2&sort=nothing", ["limit", "sort"]),
        ("search=", ["search"]),
        ("search=a%00b", ["search"]),
        ("created_from=2026-11-24T10:00:00", ["created_from"]),
        ("created_from=1764000000", ["created_from"]),
        ("created_from=0001-01-01T00:00:00%2B14:00", ["created_from"]),
        ("limit=0", ["limit"]),
        ("limit=201", ["limit"]),
        ("cursor=" + "x" * 2001, ["cursor"]),
    ],
)
def test_I2_what_is_unknown_repeated_or_invalid_is_refused_by_name(query: str, wrong: list[str]) -> None:
    with pytest.raises(RequestValidationError) as caught:
        parse(query)
    assert sorted(each["loc"][1] for each in caught.value.errors()) == wrong


def test_J11_the_document_enumerates_the_sorts() -> None:
    described = {each["name"]: each for each in query_parameters(ThingQuery)["parameters"]}
    assert described["sort"]["schema"]["enum"] == ["title", "-title", "created_at", "-created_at"]
    assert described["sort"]["schema"]["default"] == "-created_at"
    assert set(described) == {"limit", "cursor", "sort", "state", "search", "created_from", "created_until"}


def test_a_page_can_be_converted() -> None:
    assert Page([1, 2], ("a", ID)).map(str) == Page(["1", "2"], ("a", ID))
