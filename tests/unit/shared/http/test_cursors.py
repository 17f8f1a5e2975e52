"""I4: cursors lead from page to page of the list and order that gave them, and nowhere else."""

import base64
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http.cursors import CURSOR_MAX, SqlType, decode_cursor, encode_cursor
from shared.http.problems import Problem, ProblemType

ID = "7b0d1f0e-0a43-4a10-9f58-3b1b7b9f1a22"
AT = "2026-11-24 10:00:00.310000+00:00"


@pytest.mark.parametrize("text", ["", "plain", "no\u00a0break", "a line\u2028end", '"[\\', "\U0001f600" * 255])
def test_I4_a_cursor_holds_whatever_a_row_is_sorted_by(text: str) -> None:
    cursor = encode_cursor("users name", (text, ID))
    assert len(cursor) <= CURSOR_MAX
    assert decode_cursor(cursor, "users name", ("text", "uuid")) == (text, ID)


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
        ("bigint", "-1", "-1"),
        ("float8", "-1", "-1.0"),
        ("float8", "42.25", "42.25"),
    ],
)
def test_I4_a_cursor_s_values_are_read_as_postgresql_takes_them(kind: SqlType, value: str, read: str) -> None:
    item = ID if kind != "bigint" else value
    cursor = encode_cursor("x", (value, item))
    assert decode_cursor(cursor, "x", (kind, "uuid" if kind != "bigint" else "bigint"))[0] == read


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
        ("bigint", "--1"),
        ("bigint", "9" * 19),
        ("float8", "nan"),
        ("float8", "1e999"),
        ("uuid", "nobody"),
    ],
)
def test_I4_a_cursor_that_no_list_gives_is_refused(kind: SqlType, value: object) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(["x", value, ID]).encode()).decode()
    with pytest.raises(Problem) as caught:
        decode_cursor(cursor, "x", (kind, "uuid"))
    assert caught.value.type is ProblemType.INVALID
    assert [each.field for each in caught.value.errors] == ["cursor"]


@pytest.mark.parametrize("text", ["nonsense", "W10", "é", "[" * 1400, '["x", "a"]', '["y", "a", "' + ID + '"]', "null"])
def test_I4_so_is_what_is_not_a_cursor_or_one_of_another_order(text: str) -> None:
    for each in (text, base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")):
        with pytest.raises(Problem):
            decode_cursor(each, "x", ("text", "uuid"))


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda each: base64.urlsafe_b64encode(each).decode()))
def test_I4_no_text_breaks_the_decoder(text: str) -> None:
    for kind in get_args(SqlType):
        with pytest.raises(Problem):
            decode_cursor(text, "x", (kind, "uuid"))
