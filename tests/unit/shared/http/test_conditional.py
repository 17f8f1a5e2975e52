"""I3: entity tags, weak and strong, and what If-Match and If-None-Match allow."""

import pytest

from shared.http.conditional import is_unchanged, parse_if_match, require_if_match, to_etag
from shared.http.problems import Problem, ProblemType


@pytest.mark.parametrize(
    ("header", "versions"),
    [
        ('"3"', frozenset({3})),
        ('W/"3"', frozenset({3})),
        ('"3", W/"4"', frozenset({3, 4})),
        ('"abc", "5"', frozenset({5})),
        ("3", frozenset()),
        ("", frozenset()),
        ('"' + "9" * 19 + '"', frozenset()),
        ('x"3"', frozenset()),
    ],
)
def test_I3_weak_and_strong_tags_name_the_same_version(header: str, versions: frozenset[int]) -> None:
    assert parse_if_match(header) == versions
    assert require_if_match(header) == versions


@pytest.mark.parametrize("header", ["*", " * "])
def test_I3_a_star_stands_for_any_version(header: str) -> None:
    assert require_if_match(header) is None


def test_I3_a_change_without_if_match_is_refused_with_428() -> None:
    with pytest.raises(Problem) as caught:
        require_if_match(None)
    assert caught.value.type is ProblemType.IF_MATCH_REQUIRED
    assert parse_if_match(None) is None


@pytest.mark.parametrize(
    ("header", "unchanged"), [(None, False), ("*", True), ('"a", W/"sum"', True), ('"other"', False), ("sum", False)]
)
def test_A3_a_file_that_the_caller_has_is_unchanged(header: str | None, unchanged: bool) -> None:
    assert is_unchanged(header, to_etag("sum")) is unchanged
