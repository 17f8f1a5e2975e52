"""The source's planner, asked how much a selection is: statistics only, no row is read."""

from datetime import timedelta

from shared.events import JobSettings, Timeframe
from shared.postgres import connection, open_pool

# What JSON adds to a record beside its values: the names of its keys, quotes and commas.
_FRAME = {"interaction": 560, "contact": 150}
_DATE = {"interaction": "start_date", "contact": "created_date"}
_UNIT = {
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
    "weeks": timedelta(weeks=1),
    "months": timedelta(days=30.44),
}


class Source:
    """The customer's contact history, by its statistics."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def estimate(self, settings: JobSettings) -> tuple[int, int]:
        """Return about how many records and uncompressed bytes are selected. Raises PostgresUnavailable."""
        text, values = explained(settings)
        # A connection for each question: they are rare, and this service must start and work while the source is away.
        async with open_pool(self._dsn, size=2, name="sluice estimate") as pool, connection(pool) as database:
            plan = (await database.fetchval(text, *values))[0]["Plan"]
        rows = int(plan["Plan Rows"])
        return rows, rows * (int(plan["Plan Width"]) + _FRAME[settings.type])


def explained(settings: JobSettings) -> tuple[str, list[object]]:
    """Return the question for the planner, and its values; what changed since a last run is taken as all."""
    date, values = _DATE[settings.type], list[object]([settings.source_tenant])
    conditions = ["tenant_id = $1"]
    if settings.media_types is not None:
        values.append(list(settings.media_types))
        conditions.append(f"media_type_id = ANY (${len(values)}::text[])")
    for bound, value in _bounds(settings.timeframe):
        values.append(value)
        conditions.append(f"{date} {bound.format(f'${len(values)}')}")
    # The names are ours, the values are parameters.
    statement = f"SELECT * FROM contact_history.{settings.type} WHERE {' AND '.join(conditions)}"  # noqa: S608
    return f"EXPLAIN (FORMAT JSON) {statement}", values


def _bounds(timeframe: Timeframe) -> list[tuple[str, object]]:
    match timeframe.kind:
        case "fixed":
            return [(">= {}::timestamptz", timeframe.start), ("< {}::timestamptz", timeframe.end)]
        case "last" if timeframe.unit is not None and timeframe.count is not None:
            return [(">= now() - {}::interval", timeframe.count * _UNIT[timeframe.unit])]
        case _:
            return []
