"""The size of a selection by the statistics of the source's query planner; of attachments, a few sizes are read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.events import JobSettings, Timeframe
from shared.postgres import Connection, connect
from shared.record_filters import compile_condition

# What JSON adds to the values of a record: keys, quotes and commas, in bytes.
_OVERHEAD = {"interaction": 560, "contact": 150}
_DATE = {"interaction": "start_date", "contact": "created_date"}
_EXPLAIN = "EXPLAIN (FORMAT JSON) SELECT * FROM contact_history.{} v WHERE {}"
# As exported: base64, and 200 bytes for the other keys. The length of a stored value is known without reading it, and
# statistics hold the length of its reference only.
_ATTACHMENT_SIZE = """
SELECT avg(coalesce(octet_length(few.content), 0) * 4 / 3 + 200)::float8
FROM (SELECT content FROM contact_history.attachment WHERE tenant_id = $1 LIMIT 1000) AS few
"""
_UNIT = {
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
    "weeks": timedelta(weeks=1),
    "months": timedelta(days=30.44),
}


@dataclass(frozen=True, slots=True)
class ExportSize:
    """The approximate numbers of records and of their uncompressed bytes; `bytes` includes those of attachments."""

    rows: int
    bytes: int
    attachments: int
    attachment_bytes: int


class SourceStatistics:
    """The customer's contact history, by its planner's statistics and a sample of the attachments' sizes."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def estimate(self, settings: JobSettings) -> ExportSize:
        """Return the approximate size of an export with these settings. Raises PostgresUnavailable."""
        # A connection per query: they are rare, and this service must start and work while the source is unavailable.
        async with connect(self._dsn, name="sluice estimate") as database:
            rows, width = await _explain(database, *build_query(settings))
            size = rows * (width + _OVERHEAD[settings.type])
            if settings.type != "interaction":
                return ExportSize(rows, size, 0, 0)
            # The attachments of a tenant, in proportion to the interactions selected: a join's estimate over views
            # that compute their columns is a guess.
            tenant = [settings.source_tenant]
            everything, _ = await _explain(database, _EXPLAIN.format("interaction", "tenant_id = $1"), tenant)
            attached, _ = await _explain(database, _EXPLAIN.format("attachment", "tenant_id = $1"), tenant)
            attachments = round(attached * min(1.0, rows / max(everything, 1)))
            mean = await database.fetchval(_ATTACHMENT_SIZE, settings.source_tenant) or 0.0
        attachment_bytes = round(attachments * mean)
        return ExportSize(rows, size + attachment_bytes, attachments if mean else 0, attachment_bytes)


async def _explain(database: Connection, statement: str, values: Sequence[object]) -> tuple[int, int]:
    """Return the rows that the planner expects, and their mean width in bytes."""
    plan = json.loads(await database.fetchval(statement, *values))[0]["Plan"]
    return int(plan["Plan Rows"]), int(plan["Plan Width"])


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
    return _EXPLAIN.format(settings.type, " AND ".join(conditions)), values


def _get_bounds(timeframe: Timeframe) -> list[tuple[str, object]]:
    match timeframe.kind:
        case "fixed":
            return [(">= {}::timestamptz", timeframe.start), ("< {}::timestamptz", timeframe.end)]
        case "last" if timeframe.unit is not None and timeframe.count is not None:
            return [(">= now() - {}::interval", timeframe.count * _UNIT[timeframe.unit])]
        case _:
            return []
