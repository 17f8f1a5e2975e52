"""F1: filters on a real PostgreSQL, compared with an independent evaluator over the same rows."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from os import environ

import pytest

from exporter.source.queries import build_boundaries_query, build_columns_query, build_count_query, build_records_query
from exporter.source.selection import KeyRange, Selection
from shared.events import FilterCondition
from shared.events.values import FileKind, FilterOperator, FilterValue, RecordType
from shared.record_filters import FILTER_COLUMNS, OPERATORS, find_filter_faults, normalize_filter
from tests.integration.stream.history import ContactHistory, Row, to_key

FILTERS = int(environ.get("SLUICE_TEST_FILTERS", "200"))
"""Random filters for each type of record; `make fuzz-filters` tries 1,000."""

TEXTS = ("a", "ab", "a%", "a_", "a\\", "A", "", "ä", "'; DROP TABLE contact_history.interaction; --", "true", "1", "$1")
STEPS = ("a", "a.b", "0", "1", "", "'", "$1", "ä")
START = datetime(2026, 3, 1, tzinfo=UTC)
Record = Mapping[str, object]


class RandomSource:
    """Rows and filters made from the same few values, so that most filters match some rows and not others."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def make_row(self, record_type: RecordType, number: int) -> Row:
        """Return a row in which about a quarter of the columns is NULL."""
        row: dict[str, object] = {"id": f"{record_type}-{number:03}"}
        for name, column_type in FILTER_COLUMNS[record_type].values():
            if name != "id" and (self._random.random() > 0.25 or name.endswith("_date")):
                row[name] = self._make_value(column_type)
        return row

    def make_filter(self, record_type: RecordType) -> list[FilterCondition]:
        """Return one to three valid conditions."""
        return [self.make_condition(record_type) for _ in range(self._random.choice([1, 1, 2, 3]))]

    def make_condition(self, record_type: RecordType) -> FilterCondition:
        """Return a valid condition."""
        column = self._random.choice(list(FILTER_COLUMNS[record_type]))
        column_type = FILTER_COLUMNS[record_type][column][1]
        operator = self._random.choice(OPERATORS[column_type])
        path = tuple(self._random.choices(STEPS, k=self._random.randint(1, 2))) if column_type == "attributes" else ()
        return FilterCondition(column=column, operator=operator, path=path, values=self._pick(operator, column_type))

    def _pick(self, operator: FilterOperator, column_type: str) -> tuple[FilterValue, ...]:
        match operator:
            case "in":
                return tuple(self._scalar(column_type) for _ in range(self._random.randint(1, 4)))
            case "range":
                bounds = (self._scalar(column_type), self._scalar(column_type))
                return self._random.choice([bounds, (bounds[0], None), (None, bounds[1])])
            case "exists":
                return self._random.choice([(True,), (False,), ()])
            case _:
                return (self._scalar(column_type),)

    def _scalar(self, column_type: str) -> FilterValue:
        match column_type:
            case "int":
                return self._random.randint(-2, 3)
            case "bool":
                return self._random.random() < 0.5
            case "instant":
                hours = timedelta(hours=self._random.choice([0, 2, -5]))
                return (self._instant() + hours).isoformat()
            case _:
                return self._random.choice(TEXTS)

    def _instant(self) -> datetime:
        return START + timedelta(days=self._random.randint(0, 5), microseconds=self._random.randint(0, 1))

    def _make_value(self, column_type: str) -> object:
        match column_type:
            case "int":
                return self._random.randint(-2, 3)
            case "bool":
                return self._random.random() < 0.5
            case "instant":
                return self._instant()
            case "list":
                return json.dumps(self._random.choice([[], None, "a", {"a": 1}, self._random.choices(TEXTS, k=3)]))
            case "attributes":
                return json.dumps(self._make_attributes(2))
            case _:
                return self._random.choice(TEXTS)

    def _make_attributes(self, depth: int) -> object:
        leaves = [None, True, 1, "a", "ab", "", "a%"]
        if depth == 0:
            return self._random.choice(leaves)
        if self._random.random() < 0.2:
            return [self._make_attributes(depth - 1) for _ in range(2)]
        return {step: self._make_attributes(depth - 1) for step in self._random.sample(STEPS, 4)}


def meets(record: Record, condition: FilterCondition) -> bool:
    """Evaluate a condition on an exported record, by the words of the documentation."""
    value = record[condition.column]
    if condition.column in {"emailAddresses", "phoneNumbers"}:
        return meets_list(value if isinstance(value, list) else [], condition)
    if condition.path:
        value = follow_path(value, condition.path)
    match condition.operator:
        case "exists":
            return (value is not None) == (condition.values in {(), (True,)})
        case "ne":
            return value != condition.values[0]
        case "prefix":
            return isinstance(value, str) and value.startswith(str(condition.values[0]))
        case "range":
            return value is not None and is_between(value, *condition.values)
        case _:
            return value is not None and value in condition.values


def is_between(value: object, low: FilterValue, high: FilterValue) -> bool:
    if isinstance(value, datetime):
        after = low is None or value >= datetime.fromisoformat(str(low))
        return after and (high is None or value < datetime.fromisoformat(str(high)))
    assert isinstance(value, int)
    return (low is None or value >= int(low)) and (high is None or value < int(high))


def meets_list(elements: Sequence[object], condition: FilterCondition) -> bool:
    match condition.operator:
        case "exists":
            return bool(elements) == (condition.values in {(), (True,)})
        case "ne":
            return condition.values[0] not in elements
        case _:
            return any(each in condition.values for each in elements)


def follow_path(value: object, path: Sequence[str]) -> str | None:
    """Return what a path leads to, as PostgreSQL's JSON shows it."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("record_type", ["interaction", "contact"])
async def test_F1_filters_select_what_an_independent_evaluator_selects(
    history: ContactHistory, record_type: RecordType
) -> None:
    made = RandomSource(2026)
    await history.add(record_type, *(made.make_row(record_type, number) for number in range(150)))
    attached: list[Row] = [{"id": f"f-{n:03}", "entity_id": f"{record_type}-{n:03}", "size": 1} for n in range(150)]
    await history.add("interaction-attachment", *attached)
    records = [_with_key_order(each) for each in await history.records(record_type)]
    matched = 0
    for _ in range(FILTERS):
        conditions = made.make_filter(record_type)
        assert list(find_filter_faults(record_type, conditions)) == [], conditions
        stored = normalize_filter(record_type, conditions)
        expected = [str(each["id"]) for each in records if all(meets(each, condition) for condition in conditions)]
        matched += 0 < len(expected) < len(records)
        await check_all_queries(history, Selection(record_type, 1, conditions=stored), expected)
        if record_type == "interaction":
            files = Selection("interaction-attachment", 1, conditions=stored)
            query = build_count_query(files)
            assert await history.connection.fetchval(query.text, *query.values) == len(expected), conditions
    assert matched > FILTERS / 4, "most filters select everything or nothing, which proves little"


async def check_all_queries(history: ContactHistory, selection: Selection, expected: Sequence[str]) -> None:
    """Check that records, columns, counts and slices agree with `expected`."""
    records, columns = build_records_query(selection), build_columns_query(selection)
    lines = await history.connection.fetch(records.text, *records.values)
    found = [json.loads(line[0])["id"] for line in lines]
    assert found == list(expected), selection.conditions
    assert [row["id"] for row in await history.connection.fetch(columns.text, *columns.values)] == found
    counted = build_count_query(selection)
    assert await history.connection.fetchval(counted.text, *counted.values) == len(found)
    planned = build_boundaries_query(selection, 7)
    [plan] = await history.connection.fetch(planned.text, *planned.values)
    assert plan["rows"] == len(found)
    middle = KeyRange(first=found[len(found) // 2]) if found else KeyRange(first="x")
    part = build_count_query(Selection(selection.kind, 1, keys=middle, conditions=selection.conditions))
    assert await history.connection.fetchval(part.text, *part.values) == len(found) - len(found) // 2


def _with_key_order(record: Record) -> Record:
    assert list(record) == [to_key(name) for name in map(_to_column, record)]
    return record


def _to_column(key: str) -> str:
    return "".join(f"_{character.lower()}" if character.isupper() else character for character in key)


INJECTIONS = (
    "'", "''", '"', "\\", "\\'", "$1", "$$", "%s", "{}", "';--", "1; DROP SCHEMA contact_history CASCADE", "/*",
    "E'\\0", "') OR ('1'='1", "x' UNION SELECT usename FROM pg_user --", "\u2019 OR 1=1", "{a,b}", "NULL", "a,b", '{"',
    "\n",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["interaction", "contact"])
async def test_F1_no_value_or_path_has_an_effect_as_sql(history: ContactHistory, kind: FileKind) -> None:
    attributes = "allAttributes" if kind == "interaction" else "attributes"
    column = FILTER_COLUMNS[kind][attributes][0]  # type: ignore[index]
    rows: list[Row] = [{"id": text, column: json.dumps({text: text})} for text in INJECTIONS]
    await history.add(kind, *rows)
    for text in INJECTIONS:
        for condition in (
            FilterCondition(column="id", operator="eq", values=(text,)),
            FilterCondition(column="id", operator="in", values=(text, "no such id")),
            FilterCondition(column=attributes, operator="eq", values=(text,), path=(text,)),
            FilterCondition(column=attributes, operator="exists", values=(True,), path=(text,)),
        ):
            query = build_records_query(Selection(kind, 1, conditions=(condition,)))
            harmless = replace(condition, values=("x",), path=("x",) if condition.path else ())
            if condition.operator == "exists":
                harmless = replace(harmless, values=condition.values)
            assert query.text == build_records_query(Selection(kind, 1, conditions=(harmless,))).text
            found = [json.loads(row[0])["id"] for row in await history.connection.fetch(query.text, *query.values)]
            assert found == [text], condition
