"""F1: a filter in the words of the pages."""

import pytest

from job_api.pages.kit.filters import describe_filter, read_filter

QUEUES = {"column": "queueName", "operator": "in", "values": ["billing", "sales"]}
SPAM = {"column": "isSpam", "operator": "ne", "values": [True]}
STATUS = {"column": "status", "operator": "range", "values": [1, 5]}
START = {"column": "startDate", "operator": "range", "values": [None, "2026-01-01T00:00:00Z"]}
TIER = {"column": "allAttributes", "operator": "prefix", "values": ["g"], "path": ["customer", "tier"]}
TEXT = {"column": "text", "operator": "exists", "values": [False]}


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (QUEUES, "queueName is one of “billing”, “sales”"),
        (SPAM, "isSpam is not true"),
        (STATUS, "status is at least 1 and less than 5"),
        (START, "startDate is before “2026-01-01T00:00:00Z”"),
        (TIER, "allAttributes.customer.tier starts with “g”"),
        (TEXT, "text is absent"),
    ],
)
def test_F1_a_condition_is_said_in_words(condition: dict[str, object], words: str) -> None:
    assert describe_filter(read_filter({"filter": [condition]})) == words


@pytest.mark.parametrize("settings", [{}, {"filter": None}, {"filter": []}])
def test_F1_settings_without_a_filter_export_all_records(settings: dict[str, object]) -> None:
    assert describe_filter(read_filter(settings)) == "None: all records of the timeframe"
