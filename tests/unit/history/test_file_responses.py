"""A3: files as responses: ranges, conditions, checksums and headers."""

import re
from datetime import UTC, datetime
from urllib.parse import unquote
from uuid import UUID

import pytest

from history.api.files import build_disposition, file_headers, parse_range, select_range
from history.service.downloads import StoredFile
from shared.http.problems import Problem, ProblemType

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


@pytest.mark.parametrize(
    ("header", "selected"),
    [
        (None, None),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes = 10 - 19", (10, 20)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=-", None),
        ("bytes=20-10", None),
        ("bytes=0-9,20-29", None),
        ("lines=0-9", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("bytes=٣-٤", None),
    ],
)
def test_A3_a_range_is_half_open_and_an_unusable_one_means_the_whole_file(
    header: str | None, selected: tuple[int, int] | None
) -> None:
    assert parse_range(header, 100) == selected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_A3_a_range_outside_the_file_is_416_with_the_file_s_size(header: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_range(header, 100)
    assert caught.value.type is ProblemType.RANGE_OUTSIDE
    assert caught.value.headers == {"Content-Range": "bytes */100"}


@pytest.mark.parametrize(
    ("headers", "selected"),
    [
        ({"range": "bytes=5-9"}, (5, 10)),
        ({"range": "bytes=5-9", "if-range": '"sum"'}, (5, 10)),
        ({"range": "bytes=5-9", "if-range": '"other"'}, (0, 100)),
        # RFC 9110, 13.1.5: only a strong comparison allows a range.
        ({"range": "bytes=5-9", "if-range": 'W/"sum"'}, (0, 100)),
        ({}, (0, 100)),
    ],
)
def test_A3_if_range_decides_whether_a_range_is_sent(headers: dict[str, str], selected: tuple[int, int]) -> None:
    assert select_range(headers, 100, '"sum"') == selected


def test_A3_the_headers_have_checksum_name_and_no_permission_to_store_or_transform() -> None:
    file = StoredFile(
        artifact_id=UUID(int=1), name="Ä.zip", path="x", size=4, sha256=SHA256, created_at=datetime.now(UTC)
    )
    headers = file_headers(file)
    assert headers["ETag"] == f'"{SHA256}"'
    assert headers["Repr-Digest"] == "sha-256=:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=:"
    assert headers["Digest"] == headers["Repr-Digest"].replace("=:", "=").removesuffix(":")
    assert headers["Content-Disposition"] == "attachment; filename=\"_.zip\"; filename*=UTF-8''%C3%84.zip"
    assert headers["Cache-Control"] == "no-store, no-transform"


@pytest.mark.parametrize(
    "name", ["Contact-1-part-0001.zip.p7m", 'a"b\\c%41.zip', "a;b=c, d'e.zip", "Ä \U0001f4e6.zip", "a\r\nX: y.zip"]
)
def test_A3_every_name_is_one_parameter_in_both_forms(name: str) -> None:
    found = re.fullmatch(
        r"""attachment; filename="([ !#$&-\[\]-~]*)"; filename\*=UTF-8''([A-Za-z0-9._~%-]*)""", build_disposition(name)
    )
    assert found is not None
    assert unquote(found[2]) == name
    assert {plain for plain, character in zip(found[1], name, strict=True) if plain != character} <= {"_"}
