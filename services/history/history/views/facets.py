"""Facets: the counts that a list's filters show."""

from collections.abc import Iterable, Mapping, Sequence

from shared.postgres import Record


def count_facets(rows: Iterable[Record], chosen: Mapping[str, Sequence[str] | None]) -> dict[str, dict[str, int]]:
    """Return for each column the number of rows of each of its values.

    A column is counted under the choices of the other columns, not its own; None stands for no choice. Each of `rows`
    has the columns and `amount`, the number of rows that have these values.
    """
    facets: dict[str, dict[str, int]] = {column: {} for column in chosen}
    for row in rows:
        excluded = {column for column, values in chosen.items() if values is not None and row[column] not in values}
        for column, counts in facets.items():
            if row[column] is not None and not excluded - {column}:
                counts[row[column]] = counts.get(row[column], 0) + row["amount"]
    return facets
