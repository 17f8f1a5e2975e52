"""F1: which filters are valid, and in which words the others are refused."""

import pytest

from exporter.source.columns import COLUMNS
from shared.events import FilterCondition
from shared.events.values import FilterOperator, FilterValue, RecordType
from shared.record_filters import (
    FILTER_COLUMNS,
    MAX_CONDITIONS,
    OPERATORS,
    compile_condition,
    find_filter_faults,
    normalize_filter,
)


def make_condition(
    column: str, operator: FilterOperator, *values: FilterValue, path: tuple[str, ...] = ()
) -> FilterCondition:
    return FilterCondition(column=column, operator=operator, values=values, path=path)


@pytest.mark.parametrize(
    ("condition", "place", "words"),
    [
        (make_condition("queue", "eq", "a"), "0.column", "no such key"),
        (make_condition("tenantId", "eq", 1), "0.column", "no such key"),
        (make_condition("queueName", "range", "a", "b"), "0.operator", "choose one of: eq, ne, in, prefix, exists"),
        (make_condition("startDate", "eq", "2026-01-01T00:00:00Z"), "0.operator", "range, exists"),
        (make_condition("isSpam", "in", True), "0.operator", "eq, ne, exists"),
        (make_condition("queueName", "eq", "a", path=("b",)), "0.path", "only attributes have paths"),
        (make_condition("allAttributes", "eq", "a"), "0.path", "a path of 1 to 10 keys"),
        (make_condition("allAttributes", "eq", "a", path=("b\0",)), "0.path", "NUL"),
        (make_condition("queueName", "eq"), "0.values", "exactly one value"),
        (make_condition("queueName", "in"), "0.values", "from 1 to 100 values"),
        (make_condition("status", "range", 1), "0.values", "two values"),
        (make_condition("status", "range", None, None), "0.values", "at least one bound"),
        (make_condition("queueName", "exists", True, False), "0.values", "true: the value is present"),
        (make_condition("queueName", "exists", "yes"), "0.values.0", "true or false"),
        (make_condition("queueName", "eq", 1), "0.values.0", "must be a text"),
        (make_condition("queueName", "eq", None), "0.values.0", "'exists'"),
        (make_condition("queueName", "eq", "\ud800"), "0.values.0", "NUL"),
        (make_condition("queueName", "prefix", "x" * 1001), "0.values.0", "at most 1,000 characters"),
        (make_condition("status", "eq", True), "0.values.0", "a whole number"),
        (make_condition("status", "in", 1, 2**63), "0.values.1", "64 bits"),
        (make_condition("isSpam", "eq", 1), "0.values.0", "true or false"),
        (make_condition("startDate", "range", "yesterday", None), "0.values.0", "as in 2026-11-24T10:00:00Z"),
        (make_condition("startDate", "range", None, "2026-01-01T00:00:00"), "0.values.1", "offset from UTC"),
        (make_condition("startDate", "range", "0001-01-01T00:00:00+14:00", None), "0.values.0", "between 1970"),
    ],
)
def test_F1_each_fault_is_named_with_its_place(condition: FilterCondition, place: str, words: str) -> None:
    [(found, message)] = find_filter_faults("interaction", [condition])
    assert found == place
    assert words in message


def test_F1_the_number_of_conditions_is_bounded() -> None:
    conditions = [make_condition("status", "eq", 1)] * (MAX_CONDITIONS + 1)
    assert list(find_filter_faults("interaction", conditions)) == [("", "at most 20 conditions")]
    assert list(find_filter_faults("interaction", conditions[1:])) == []


@pytest.mark.parametrize("record_type", ["interaction", "contact"])
def test_F1_every_exported_key_but_the_tenant_can_be_filtered_by(record_type: RecordType) -> None:
    names = {name for name, _ in FILTER_COLUMNS[record_type].values()}
    assert names == COLUMNS[record_type].keys() - {"tenant_id"}
    assert {column_type for _, column_type in FILTER_COLUMNS[record_type].values()} <= OPERATORS.keys()


def test_S6_instants_are_stored_in_utc_and_exists_with_its_value() -> None:
    conditions = [
        make_condition("startDate", "range", "2026-01-01T02:00:00+02:00", None),
        make_condition("queueName", "exists"),
    ]
    assert [each.values for each in normalize_filter("interaction", conditions)] == [
        ("2026-01-01T00:00:00Z", None),
        (True,),
    ]


def test_F1_values_and_paths_become_parameters() -> None:
    kept: list[object] = []

    def add_parameter(value: object) -> str:
        kept.append(value)
        return f"${len(kept)}"

    condition = make_condition("allAttributes", "prefix", "50%_\\", path=("a'b", "c"))
    text = compile_condition("interaction", condition, alias="v", add_parameter=add_parameter)
    assert text == "(v.all_attributes #>> $1::text[]) LIKE $2::text"
    assert kept == [["a'b", "c"], "50\\%\\_\\\\%"]
