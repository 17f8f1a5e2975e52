"""Which instants Sluice accepts (rule S12): those that PostgreSQL, Python and JavaScript all hold without surprises."""

from datetime import UTC, datetime

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2999, 12, 31, 23, 59, 59, 999999, UTC)
OUT_OF_BOUNDS = "must lie between 1970-01-01 and 2999-12-31 in UTC"
"""The sentence with which other instants are refused; it follows the field's name."""


def is_accepted(at: datetime) -> bool:
    """Return whether an instant has an offset and lies within the bounds after conversion to UTC."""
    return at.tzinfo is not None and EARLIEST <= at <= LATEST


def clamp(at: datetime) -> datetime:
    """Return the accepted instant nearest to an aware one: a certificate without an end has the year 9999."""
    return min(max(at, EARLIEST), LATEST)
