"""Scores: the accuracy of the estimates that were shown."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from shared.postgres import Record


class Score(BaseModel):
    """The accuracy of one run's estimates."""

    run_id: UUID
    scored_at: datetime
    estimates: int = Field(description="number of estimates shown")
    error_ratio: float = Field(description="mean distance of estimated and actual end, as a fraction of the duration")
    coverage: float = Field(description="fraction of estimates whose 10 % to 90 % band held the actual end")


class Scores(BaseModel):
    """A job's latest scores, newest first, and their means; null where there are none."""

    items: list[Score]
    error_ratio: float | None
    coverage: float | None


def to_scores(rows: list[Record]) -> Scores:
    """Return scores and their means."""
    items = [Score(**{name: row[name] for name in Score.model_fields}) for row in rows]
    if not items:
        return Scores(items=[], error_ratio=None, coverage=None)
    return Scores(
        items=items,
        error_ratio=sum(each.error_ratio for each in items) / len(items),
        coverage=sum(each.coverage for each in items) / len(items),
    )
