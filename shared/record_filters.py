"""A job's filter (rule F1): its rules, and its condition in SQL, in which every value is a parameter.

A filter is data: conditions joined by "and", each on a record's key or on a path in its attributes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from shared.events.values import FilterCondition, FilterOperator, FilterValue, RecordType
from shared.instants import OUT_OF_BOUNDS, is_accepted
from shared.record_columns import CONTACT_COLUMNS, INTERACTION_COLUMNS, to_camel_case

MAX_CONDITIONS, MAX_VALUES, MAX_VALUE_LENGTH = 20, 100, 1_000
MAX_PATH, MAX_STEP_LENGTH = 10, 200
_MIN_INT, _MAX_INT = -(2**63), 2**63 - 1

_TYPE_OF = {"text": "text", "int": "int", "bool": "bool", "timestamptz": "instant", "jsonb": "attributes"}
_LISTS = {"email_addresses", "phone_numbers"}


def _describe_columns(columns: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    return {
        to_camel_case(name): (name, "list" if name in _LISTS else _TYPE_OF[exported_as])
        for name, exported_as in columns.items()
        if name != "tenant_id"
    }


FILTER_COLUMNS: Mapping[RecordType, Mapping[str, tuple[str, str]]] = {
    "interaction": _describe_columns(INTERACTION_COLUMNS),
    "contact": _describe_columns(CONTACT_COLUMNS),
}
"""By type of record: each key that a filter may name, with its column in the source's view and its type.

`tenantId` is missing: it is always the tenant's own number.
"""

OPERATORS: Mapping[str, tuple[FilterOperator, ...]] = {
    "text": ("eq", "ne", "in", "prefix", "exists"),
    "int": ("eq", "ne", "in", "range", "exists"),
    "instant": ("range", "exists"),
    "bool": ("eq", "ne", "exists"),
    "attributes": ("eq", "ne", "in", "prefix", "exists"),
    "list": ("eq", "ne", "in", "exists"),
}
"""The operators of each type of column."""
_NOUNS = {
    "text": "a text",
    "int": "a whole number",
    "instant": "an instant with its offset from UTC, as in 2026-11-24T10:00:00Z",
    "bool": "true or false",
}
_SQL_TYPES = {"text": "text", "int": "bigint", "instant": "timestamptz", "bool": "boolean"}

FilterFault = tuple[str, str]
"""Where a fault is, as in `2.values.0` (conditions and values from 0), and what is wrong."""


def find_filter_faults(record_type: RecordType, conditions: Sequence[FilterCondition]) -> Iterator[FilterFault]:
    """Yield what is wrong with a filter of a type of record."""
    if len(conditions) > MAX_CONDITIONS:
        yield "", f"at most {MAX_CONDITIONS} conditions"
        return
    for number, condition in enumerate(conditions):
        for place, fault in _find_condition_faults(record_type, condition):
            yield f"{number}.{place}", fault


def normalize_filter(record_type: RecordType, conditions: Sequence[FilterCondition]) -> tuple[FilterCondition, ...]:
    """Return a filter without faults as it is stored: instants in UTC, and `exists` with its value."""
    return tuple(_normalize(FILTER_COLUMNS[record_type][each.column][1], each) for each in conditions)


def compile_condition(
    record_type: RecordType, condition: FilterCondition, *, alias: str, add_parameter: Callable[[object], str]
) -> str:
    """Return a condition on the view's rows as SQL.

    `add_parameter` keeps a value and returns its placeholder (`$1`). Names come from `FILTER_COLUMNS` alone. A row
    without a value meets `ne` and `exists` false, and no other condition.
    """
    name, column_type = FILTER_COLUMNS[record_type][condition.column]
    column = f"{alias}.{name}"
    if column_type == "list":
        return _compile_list(column, condition, add_parameter)
    if column_type == "attributes":
        # What the path leads to as text: a JSON text without its quotes, a number as it is stored.
        column, column_type = f"({column} #>> {add_parameter(list(condition.path))}::text[])", "text"
    return _compile_scalar(column, column_type, condition, add_parameter)


def _find_condition_faults(record_type: RecordType, condition: FilterCondition) -> Iterator[FilterFault]:
    found = FILTER_COLUMNS[record_type].get(condition.column)
    if found is None:
        yield "column", f"{record_type} records have no such key to filter by; see their JSON Schema"
        return
    column_type = found[1]
    yield from _find_path_faults(column_type, condition)
    if condition.operator not in (allowed := OPERATORS[column_type]):
        yield "operator", f"'{condition.operator}' does not fit {condition.column}; choose one of: {', '.join(allowed)}"
        return
    yield from _find_count_faults(condition)
    wanted = "bool" if condition.operator == "exists" else column_type
    for number, value in enumerate(condition.values):
        if (fault := _find_value_fault(wanted, condition.operator, value)) is not None:
            yield f"values.{number}", fault


def _find_path_faults(column_type: str, condition: FilterCondition) -> Iterator[FilterFault]:
    if column_type != "attributes":
        if condition.path:
            yield "path", f"only attributes have paths; {condition.column} has none"
    elif not 1 <= len(condition.path) <= MAX_PATH:
        yield "path", f"name the attribute: a path of 1 to {MAX_PATH} keys"
    elif any(len(step) > MAX_STEP_LENGTH or _is_unstorable(step) for step in condition.path):
        yield "path", f"keys of at most {MAX_STEP_LENGTH} characters, without NUL characters"


def _find_count_faults(condition: FilterCondition) -> Iterator[FilterFault]:
    count = len(condition.values)
    match condition.operator:
        case "in":
            if not 1 <= count <= MAX_VALUES:
                yield "values", f"from 1 to {MAX_VALUES} values"
        case "range":
            if count != 2:
                yield "values", "two values: from the first up to, but not including, the second; null: unbounded"
            elif condition.values == (None, None):
                yield "values", "a range needs at least one bound"
        case "exists":
            if count > 1:
                yield "values", "true: the value is present; false: it is absent"
        case _:
            if count != 1:
                yield "values", "exactly one value"


def _find_value_fault(wanted: str, operator: FilterOperator, value: FilterValue) -> str | None:
    if value is None:
        return None if operator == "range" else "null is no value; use the operator 'exists'"
    match wanted:
        case "int" if isinstance(value, int) and not isinstance(value, bool):
            return None if _MIN_INT <= value <= _MAX_INT else "a whole number of at most 64 bits"
        case "bool" if isinstance(value, bool):
            return None
        case "instant" if isinstance(value, str):
            return _find_instant_fault(value)
        case "text" | "list" | "attributes" if isinstance(value, str):
            too_long = len(value) > MAX_VALUE_LENGTH
            return (
                f"at most {MAX_VALUE_LENGTH:,} characters, without NUL characters"
                if (too_long or _is_unstorable(value))
                else None
            )
    return f"must be {_NOUNS.get(wanted, _NOUNS['text'])}"


def _find_instant_fault(value: str) -> str | None:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return f"must be {_NOUNS['instant']}"
    if at.tzinfo is None:
        return "include the offset from UTC, as in 2026-11-24T10:00:00Z"
    try:
        return None if is_accepted(at) else OUT_OF_BOUNDS
    except OverflowError:
        return OUT_OF_BOUNDS


def _is_unstorable(text: str) -> bool:
    # PostgreSQL stores neither NUL nor half of a surrogate pair.
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)


def _normalize(column_type: str, condition: FilterCondition) -> FilterCondition:
    if condition.operator == "exists":
        return replace(condition, values=condition.values or (True,))
    if column_type == "instant":
        return replace(
            condition, values=tuple(None if each is None else _to_utc(str(each)) for each in condition.values)
        )
    return condition


def _to_utc(value: str) -> str:
    return datetime.fromisoformat(value).astimezone(UTC).isoformat().replace("+00:00", "Z")


def _compile_scalar(
    column: str, column_type: str, condition: FilterCondition, add_parameter: Callable[[object], str]
) -> str:
    sql_type, values = _SQL_TYPES[column_type], condition.values
    match condition.operator:
        case "eq":
            return f"{column} = {add_parameter(values[0])}::{sql_type}"
        case "ne":
            return f"{column} IS DISTINCT FROM {add_parameter(values[0])}::{sql_type}"
        case "in":
            return f"{column} = ANY({add_parameter(list(values))}::{sql_type}[])"
        case "prefix":
            return f"{column} LIKE {add_parameter(_escape_pattern(str(values[0])) + '%')}::text"
        case "range":
            bounds = [
                f"{column} {sign} {add_parameter(_to_bound(column_type, value))}::{sql_type}"
                for sign, value in zip((">=", "<"), values, strict=True)
                if value is not None
            ]
            return f"({' AND '.join(bounds)})"
        case "exists":
            return f"{column} IS {'NOT ' if values[0] else ''}NULL"


def _compile_list(column: str, condition: FilterCondition, add_parameter: Callable[[object], str]) -> str:
    # A list whose elements are compared one by one; anything else that the column holds has no elements.
    elements = f"CASE jsonb_typeof({column}) WHEN 'array' THEN {column} END"
    match condition.operator:
        case "in":
            return f"coalesce(({elements}) ?| {add_parameter(list(condition.values))}::text[], false)"
        case "eq":
            return f"coalesce(({elements}) ? {add_parameter(condition.values[0])}::text, false)"
        case "ne":
            return f"NOT coalesce(({elements}) ? {add_parameter(condition.values[0])}::text, false)"
        case _:
            present = f"coalesce(jsonb_array_length({elements}), 0) > 0"
            return present if condition.values[0] else f"NOT {present}"


def _to_bound(column_type: str, value: FilterValue) -> object:
    return datetime.fromisoformat(str(value)) if column_type == "instant" else value


def _escape_pattern(text: str) -> str:
    return text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
