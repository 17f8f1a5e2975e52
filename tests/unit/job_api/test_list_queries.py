"""J11, I4: what the lists' queries may say, and the cursors that lead from page to page."""

import base64
import json
import re
from pathlib import Path
from typing import get_args

import pytest

from job_api.api.access import KeyQuery
from job_api.api.audit import AuditQuery
from job_api.api.certificates import CertificateQuery
from job_api.api.jobs import JobQuery
from job_api.api.users import UserQuery
from job_api.errors import Invalid
from job_api.list_query import CURSOR_MOST, ListQuery, cursor, place
from job_api.store.listing import Kind

LISTS = (JobQuery, UserQuery, KeyQuery, CertificateQuery, AuditQuery)
README = Path(__file__).parents[3] / "services" / "job-api" / "README.md"
ID = "7b0d1f0e-0a43-4a10-9f58-3b1b7b9f1a22"
AT = "2026-11-24 10:00:00.310000+00:00"


@pytest.mark.parametrize("query", LISTS)
def test_J11_a_list_may_be_asked_for_whatever_it_can_be_sorted_and_filtered_by(query: type[ListQuery]) -> None:
    offered = {word for literal in get_args(query.model_fields["sort"].annotation) for word in get_args(literal)}
    columns = set(query.listing.sorts)
    assert offered == columns | {f"-{each}" for each in columns}
    assert set(query.model_fields) == set(query.listing.filters) | {"limit", "cursor", "sort"}


@pytest.mark.parametrize("query", LISTS)
def test_J11_the_readme_tells_all_that_a_list_is_sorted_and_filtered_by(query: type[ListQuery]) -> None:
    row = re.search(
        rf"^ *\| `{query.listing.query}` \|([^|]*)\|([^|]*)\|$", README.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert row is not None
    sorts, filters = (set(re.findall(r"`([^`]+)`", cell)) for cell in row.groups())
    both = {f"{each[:-1]}{end}" for each in filters if each.endswith("…") for end in ("from", "until")}
    assert sorts == set(query.listing.sorts)
    assert set(query.listing.filters) <= filters | both


@pytest.mark.parametrize("text", ["", "plain", "no\u00a0break", "a line\u2028end", '"[\\', "\U0001f600" * 255])
def test_I4_a_cursor_holds_whatever_a_row_is_sorted_by(text: str) -> None:
    told = cursor("users name", (text, ID))
    assert len(told) <= CURSOR_MOST
    assert place(told, "users name", ("text", "uuid")) == (text, ID)


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("timestamptz", AT, AT),
        ("timestamptz", "-infinity", "-infinity"),
        ("timestamptz", "2026-11-24 12:00:00.31+02", AT),
        ("timestamptz", "2026-W48-2T10:00:00.31+00:00", AT),
        ("timestamptz", "2026-11-24T20:00:00.31+10:00", AT),
        ("timestamptz", "2026-11-25T06:00:00.31+20:00", AT),
        ("integer", "4096", "4096"),
        ("bigint", "9" * 18, "9" * 18),
    ],
)
def test_I4_a_cursor_s_values_are_read_as_postgresql_takes_them(kind: Kind, value: str, read: str) -> None:
    item = ID if kind != "bigint" else value
    found = place(cursor("x", (value, item)), "x", (kind, "uuid" if kind != "bigint" else "bigint"))
    assert found[0] == read


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", "a\0b"),
        ("text", "\ud83d"),
        ("text", 5),
        ("text", ["a"]),
        ("timestamptz", "2026-11-24T10:00:00"),
        ("timestamptz", "0001-01-01T00:00:00+14:00"),
        ("timestamptz", "soon"),
        ("integer", "9" * 10),
        ("integer", "1.5"),
        ("integer", "٣"),
        ("bigint", "-1"),
        ("uuid", "nobody"),
    ],
)
def test_I4_a_cursor_that_no_list_gives_is_refused(kind: Kind, value: object) -> None:
    made = base64.urlsafe_b64encode(json.dumps(["x", value, ID]).encode()).decode()
    with pytest.raises(Invalid):
        place(made, "x", (kind, "uuid"))


@pytest.mark.parametrize("text", ["nonsense", "W10", "é", "[" * 1400, '["x", "a"]', '["y", "a", "' + ID + '"]', "null"])
def test_I4_so_is_what_is_no_cursor_or_one_of_another_order(text: str) -> None:
    for each in (text, base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")):
        with pytest.raises(Invalid):
            place(each, "x", ("text", "uuid"))
