"""The size of a selection by the statistics of the source's query planner; no row is read."""

import json
from datetime import timedelta

from shared.events import JobSettings, Timeframe
from shared.postgres import connect
from shared.record_filters import compile_condition

# What JSON adds to the values of a record: keys, quotes and commas, in bytes.
_OVERHEAD = {"interaction": 560, "contact": 150}
_DATE = {"interaction": "start_date", "contact": "created_date"}
_UNIT = {
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
    "weeks": timedelta(weeks=1),
    "months": timedelta(days=30.44),
}


class SourceStatistics:
    """The customer's contact history, by its planner's statistics."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def estimate(self, settings: JobSettings) -> tuple[int, int]:
        """Return the approximate number of records selected, and of their uncompressed bytes.

        Raises PostgresUnavailable.
        """
        query, values = build_query(settings)
        # A connection per query: they are rare, and this service must start and work while the source is unavailable.
        async with connect(self._dsn, name="sluice estimate") as database:
            plan = json.loads(await database.fetchval(query, *values))[0]["Plan"]
        rows = int(plan["Plan Rows"])
        return rows, rows * (int(plan["Plan Width"]) + _OVERHEAD[settings.type])


def build_query(settings: JobSettings) -> tuple[str, list[object]]:
    """Return the EXPLAIN statement of a selection and its values; `since_last_run` is estimated like `all`."""
    date, values = _DATE[settings.type], list[object]([settings.source_tenant])
    conditions = ["tenant_id = $1"]
    if settings.media_types is not None:
        values.append(list(settings.media_types))
        conditions.append(f"media_type_id = ANY (${len(values)}::text[])")
    for bound, value in _get_bounds(settings.timeframe):
        values.append(value)
        conditions.append(f"{date} {bound.format(f'${len(values)}')}")

    def add_parameter(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    conditions += [
        compile_condition(settings.type, each, alias="v", add_parameter=add_parameter) for each in settings.filter or ()
    ]
    # The names are constants, the values are parameters.
    statement = f"SELECT * FROM contact_history.{settings.type} v WHERE {' AND '.join(conditions)}"  # noqa: S608
    return f"EXPLAIN (FORMAT JSON) {statement}", values


def _get_bounds(timeframe: Timeframe) -> list[tuple[str, object]]:
    match timeframe.kind:
        case "fixed":
            return [(">= {}::timestamptz", timeframe.start), ("< {}::timestamptz", timeframe.end)]
        case "last" if timeframe.unit is not None and timeframe.count is not None:
            return [(">= now() - {}::interval", timeframe.count * _UNIT[timeframe.unit])]
        case _:
            return []
