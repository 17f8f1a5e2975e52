"""Forms: any browser's are read, and no form takes more than linear time, raises, or has more parts than ours."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_api.forms import FIELDS_MAX, InvalidForm, parse_form_fields

TYPE = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'


def make_form(*fields: tuple[bytes, bytes]) -> bytes:
    return b"".join(PART % field for field in fields) + b"--b--\r\n"


def repeat(unit: bytes, size: int) -> bytes:
    return (unit * (size // len(unit) + 1))[:size]


def with_header(line: Callable[[int], bytes]) -> Callable[[int], bytes]:
    return lambda size: b"--b\r\n" + line(size) + b"\r\n\r\nx\r\n--b--\r\n"


DISPOSITION = b"Content-Disposition: form-data"
# Bodies of about so many bytes that have made parsers of forms slow, or fail.
ZOO: dict[str, Callable[[int], bytes]] = {
    "one large value": lambda size: make_form((b"a", bytes(size))),
    "many fields": lambda size: make_form(*[(b"a", b"1")] * (size // 58)),
    "many empty parts": lambda size: repeat(b"--b\r\n\r\n", size) + b"--b--\r\n",
    "many headers": lambda size: b"--b\r\n" + repeat(b"A: b\r\n", size) + b"\r\n\r\n--b--",
    "folded header": lambda size: b"--b\r\n" + DISPOSITION + repeat(b"\r\n ;", size) + b"\r\n\r\n--b--",
    "long header": with_header(lambda size: DISPOSITION + b"; name=" + repeat(b"a", size)),
    "many parameters": with_header(lambda size: DISPOSITION + repeat(b"; a=b", size)),
    "parameters without values": with_header(lambda size: DISPOSITION + repeat(b";", size)),
    "continued parameters (RFC 2231)": with_header(lambda size: DISPOSITION + repeat(b"; name*1*=utf-8''a", size)),
    "unclosed quotes": with_header(lambda size: DISPOSITION + repeat(b'; name="\\"', size)),
    "parentheses": with_header(lambda size: DISPOSITION + b"; name=" + repeat(b"(", size)),
    "backslashes": with_header(lambda size: DISPOSITION + b'; name="' + repeat(b"\\", size)),
    "no boundary": lambda size: repeat(b"a", size),
    "dashes": lambda size: repeat(b"--", size),
    "almost boundaries": lambda size: make_form((b"a", repeat(b"\r\n--", size))),
    "line ends": lambda size: repeat(b"\r\n", size),
    "a part without an end": lambda size: b"--b\r\n" + DISPOSITION + b'; name="a"\r\n\r\n' + bytes(size),
}
URL_ENCODED: dict[str, Callable[[int], bytes]] = {
    "URL-encoded fields": lambda size: repeat(b"a=1&", size),
    "URL-encoded percent signs": lambda size: b"a=" + repeat(b"%", size),
    "URL-encoded escapes": lambda size: b"a=" + repeat(b"%00", size),
    "URL-encoded invalid UTF-8": lambda size: b"a=" + repeat(b"\xff", size),
}


def test_the_form_of_a_browser_is_read_in_order() -> None:
    body = make_form((b"name", "Büro".encode()), (b"kind", b"a"), (b"kind", b"b"), (b"empty", b""))
    upload = b'--b\r\nContent-Disposition: form-data; name="file"; filename="c.pem"\r\nContent-Type: text/plain\r\n\r\n'
    body = upload + b"\x00\xff\r\n\r\n" + b"\r\n" + body
    assert parse_form_fields(TYPE, body) == [
        ("file", b"\x00\xff\r\n\r\n"),
        ("name", "Büro".encode()),
        ("kind", b"a"),
        ("kind", b"b"),
        ("empty", b""),
    ]
    assert parse_form_fields("application/x-www-form-urlencoded", b"a=1&b=%C3%BC+x&a=") == [
        ("a", b"1"),
        ("b", "ü x".encode()),
        ("a", b""),
    ]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (TYPE, make_form(*[(b"a", b"1")] * (FIELDS_MAX + 1))),
        ("application/x-www-form-urlencoded", b"a=1&" * (FIELDS_MAX + 1)),
        ("multipart/form-data", make_form((b"a", b"1"))),
        ("multipart/form-data; boundary=" + "b" * 71, b""),
        ("multipart/form-data; boundary=b; " + "a" * 10_000, make_form((b"a", b"1"))),
        (TYPE, b"--b\r\nContent-Disposition: form-data; name=((((\r\n\r\nx"),
        (TYPE, ZOO["many headers"](1_000)),
        (TYPE, ZOO["long header"](2_000)),
    ],
)
def test_a_form_with_more_than_any_of_ours_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(InvalidForm):
        parse_form_fields(content_type, body)


@given(
    st.one_of(st.text(alphabet=st.characters(max_codepoint=255), max_size=300), st.just(TYPE)),
    st.one_of(
        st.binary(max_size=3_000),
        st.builds(lambda name, value: make_form((name, value)), st.binary(max_size=50), st.binary(max_size=500)),
    ),
)
def test_no_form_raises_anything_but_the_documented_error(content_type: str, body: bytes) -> None:
    try:
        parse_form_fields(content_type, body)
    except InvalidForm:
        return


def measure(parse: Callable[[bytes], object], body: bytes) -> float:
    """Return the shortest of three times in seconds of the processor."""
    times = []
    for _ in range(3):
        began = time.process_time()
        with suppress(InvalidForm):
            parse(body)
        times.append(time.process_time() - began)
    return min(times)


def scan_bytewise(body: bytes) -> dict[str, int]:
    """Parse lines as a state machine does: linear without doubt, as each byte is looked at once."""
    state, counts = "start", {"start": 0, "line": 0, "end": 0}
    for each in body:
        state = "end" if each == 13 else "start" if each == 10 and state == "end" else "line"
        counts[state] += 1
    return counts


@pytest.mark.parametrize("size", [64 << 10, 256 << 10, 1 << 20])
def test_no_form_takes_more_than_ten_times_as_long_as_a_linear_parser(size: int) -> None:
    """The bound holds at each size, so that what is not linear fails at the largest one."""
    bound = 10 * measure(scan_bytewise, bytes(size))
    kinds = [(TYPE, ZOO), ("application/x-www-form-urlencoded", URL_ENCODED)]
    taken = {
        name: measure(partial(parse_form_fields, content_type), make(size))
        for content_type, zoo in kinds
        for name, make in zoo.items()
    }
    assert {name: seconds for name, seconds in taken.items() if seconds > bound} == {}
