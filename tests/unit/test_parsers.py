"""Whatever reads text of strangers raises its documented errors only, whatever the text."""

import ast
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request

from history.api.files import parse_range, select_range
from job_api.forms import InvalidForm, parse_form_fields
from job_api.pages.jobs.job_form import BLANK_VALUES, JobForm, parse_draft
from job_api.pages.kit.lists import parse_day, parse_list_query
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.notices import read_notice
from job_api.pages.kit.ticks import read_ticks
from job_api.queries import JobQuery
from job_api.sign_in import SignInAttempt
from shared.auth import parse_token
from shared.certificates import CertificateRejected, accept_certificate
from shared.http.conditional import parse_if_match, parse_tags
from shared.http.cursors import SqlType, decode_cursor
from shared.http.identity import bearer_of, is_same_origin, session_of
from shared.http.parameters import parse_query
from shared.http.problems import Problem
from shared.http.untrusted import InvalidText, decode_base64_json, decode_integer, decode_json, find_cookie
from shared.http.values import require_date

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 11, 24, tzinfo=UTC)
Headers = list[tuple[bytes, bytes]]


def make_request(headers: Headers, query: bytes = b"") -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": query})


def decode_cursor_of(kind: SqlType) -> Callable[[str], object]:
    return lambda text: decode_cursor(text, "list sort", (kind, "uuid"))


# Each parser: how it is called with a text, and the errors that it documents.
TEXT_PARSERS: dict[str, tuple[Callable[[str], object], tuple[type[Exception], ...]]] = {
    "decode_json": (decode_json, (InvalidText,)),
    "decode_base64_json": (decode_base64_json, (InvalidText,)),
    "decode_integer": (decode_integer, (InvalidText,)),
    "decode_cursor": (decode_cursor_of("text"), (Problem,)),
    "decode_cursor of instants": (decode_cursor_of("timestamptz"), (Problem,)),
    "decode_cursor of integers": (decode_cursor_of("bigint"), (Problem,)),
    "decode_cursor of numbers": (decode_cursor_of("float8"), (Problem,)),
    "from_cookie": (SignInAttempt.from_cookie, ()),
    "parse_token": (parse_token, ()),
    "parse_tags": (parse_tags, ()),
    "parse_if_match": (parse_if_match, ()),
    "parse_range": (lambda text: parse_range(text, 1_000), (Problem,)),
    "select_range": (lambda text: select_range({"range": text, "if-range": text}, 1_000, '"x"'), (Problem,)),
    "parse_day": (parse_day, ()),
    "parse_day at its end": (lambda text: parse_day(text, at_end=True), ()),
    "to_local_path": (to_local_path, ()),
    "require_date": (require_date, (ValueError,)),
    "parse_draft": (lambda text: parse_draft(JobForm(dict.fromkeys(BLANK_VALUES, text), (text,), (text,))), ()),
    "parse_list_query": (lambda text: parse_list_query(JobQuery, {"cursor": text, "search": text}), (Problem,)),
}
HEADER_PARSERS: dict[str, tuple[Callable[[bytes], object], tuple[type[Exception], ...]]] = {
    "find_cookie": (lambda value: find_cookie([(b"cookie", value)], "name"), ()),
    "session_of": (lambda value: session_of(make_request([(b"cookie", b"sluice_session=" + value)])), ()),
    "read_ticks": (lambda value: read_ticks(make_request([(b"cookie", b"sluice_ticks=" + value)])), ()),
    "read_notice": (lambda value: read_notice(make_request([(b"cookie", b"sluice_notice=" + value)])), ()),
    "bearer_of": (lambda value: bearer_of(make_request([(b"authorization", value)])), ()),
    "is_same_origin": (lambda value: is_same_origin(make_request([(b"origin", value), (b"host", value)])), ()),
    "parse_query": (lambda value: parse_query(JobQuery, make_request([], value)), (RequestValidationError,)),
    "parse_form_fields": (lambda value: parse_form_fields("multipart/form-data; boundary=b", value), (InvalidForm,)),
    "parse_form_fields, type": (lambda value: parse_form_fields(value.decode("latin-1"), value), (InvalidForm,)),
    "accept_certificate": (lambda value: accept_certificate(value, at=AT), (CertificateRejected,)),
}
# Functions with such a name that read nothing of strangers, or are called by one of the above alone.
ELSEWHERE = {
    "parse_form": "reads the body, and then calls parse_form_fields",
    "parse_idempotent_request": "hashes the body",
    "read_upload": "calls parse_form_fields and accept_certificate, and pydantic",
    "parse_list_filters": "calls parse_list_query",
}
FOLDERS = ("shared/http", "services/job-api/job_api/pages/kit", "services/history/history/api")
MODULES = ("shared/auth.py", "services/job-api/job_api/forms.py", "services/job-api/job_api/sign_in.py")
PREFIXES = ("parse_", "decode_", "from_cookie", "read_upload")

numbers = st.integers(0, 10**30).map(str)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
texts = st.one_of(
    st.text(max_size=200),
    json_values.map(json.dumps),
    json_values.map(lambda value: encode(json.dumps(value))),
    st.lists(json_values, min_size=3, max_size=4).map(lambda value: encode(json.dumps(["list sort", *value[1:]]))),
    st.builds("bytes={}-{}".format, numbers, numbers),
    st.datetimes().map(str),
)


def encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def check(parse: Callable[[Any], object], text: str | bytes, documented: tuple[type[Exception], ...]) -> None:
    try:
        parse(text)
    except documented:
        return


@pytest.mark.parametrize(("parse", "documented"), TEXT_PARSERS.values(), ids=TEXT_PARSERS)
@given(texts)
@example("[" * 2_000)
@example(encode("[" * 1_400))
@example(encode("9" * 1_400))
@example("bytes=" + "9" * 10_000 + "-")
@example("0001-01-01")
@example("9999-12-31")
@example("\ud800")
def test_no_text_raises_anything_but_the_documented_errors(
    parse: Callable[[str], object], documented: tuple[type[Exception], ...], text: str
) -> None:
    check(parse, text, documented)


@pytest.mark.parametrize(("parse", "documented"), HEADER_PARSERS.values(), ids=HEADER_PARSERS)
@given(st.one_of(st.binary(max_size=300), texts.map(lambda text: text.encode("utf-8", "replace"))))
@example(b'"' + b"\\" * 8_000)
@example(b"http://[")
@example(b"limit=" + b"9" * 5_000)
def test_no_bytes_raise_anything_but_the_documented_errors(
    parse: Callable[[bytes], object], documented: tuple[type[Exception], ...], value: bytes
) -> None:
    check(parse, value, documented)


def test_the_lists_above_have_every_parser() -> None:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.py"))]
    found = {
        node.name
        for path in [*paths, *(ROOT / module for module in MODULES)]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(PREFIXES)
    }
    listed = {name.partition(" ")[0].rstrip(",") for name in (*TEXT_PARSERS, *HEADER_PARSERS)}
    assert found - listed - set(ELSEWHERE) == set()
