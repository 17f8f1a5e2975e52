"""A filter's conditions in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.events import FilterCondition
from shared.events.values import FilterValue

OPERATOR_LABELS = {
    "eq": "is",
    "ne": "is not",
    "in": "is one of",
    "prefix": "starts with",
    "range": "lies in the range",
    "exists": "is present",
}


def describe_filter(conditions: Sequence[FilterCondition] | None) -> str:
    """Return the conditions as a sentence's part: 'queueName is one of billing, sales; isSpam is not true'."""
    return "; ".join(map(describe_condition, conditions or ())) or "None: all records of the timeframe"


def describe_condition(condition: FilterCondition) -> str:
    """Return one condition in words."""
    column = ".".join((condition.column, *condition.path))
    shown = [_show(value) for value in condition.values]
    match condition.operator:
        case "exists":
            return f"{column} is {'present' if condition.values[0] else 'absent'}"
        case "range":
            start, end = condition.values
            # Bounds are instants, as text, or numbers.
            from_, before = ("from", "before") if isinstance(start or end, str) else ("at least", "less than")
            bounds = [f"{word} {_show(bound)}" for word, bound in ((from_, start), (before, end)) if bound is not None]
            return f"{column} is {' and '.join(bounds)}"
    return f"{column} {OPERATOR_LABELS[condition.operator]} {', '.join(shown)}"


def read_filter(settings: Mapping[str, Any]) -> list[FilterCondition]:
    """Return the filter of a run's frozen settings; a run of an earlier release has none."""
    return [
        FilterCondition(
            column=each["column"],
            operator=each["operator"],
            values=tuple(each["values"]),
            path=tuple(each.get("path") or ()),
        )
        for each in settings.get("filter") or ()
    ]


def _show(value: FilterValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"“{value}”" if isinstance(value, str) else str(value)
