"""Values that requests of both services have: instants, sources and search texts."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from shared.instants import OUT_OF_BOUNDS, is_accepted

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def require_date(value: object) -> object:
    """Return a value that begins with a date. Raises ValueError for others: a number would mean seconds since 1970."""
    if not (isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value))):
        raise PydanticCustomError("instant", "give a date and time with an offset, as in 2026-11-24T10:00:00Z")
    return value


def to_utc(at: datetime) -> datetime:
    """Return an instant in UTC. Raises ValueError where it is not one that Sluice accepts (rule S12)."""
    if not is_accepted(at):
        raise PydanticCustomError("instant", OUT_OF_BOUNDS)
    return at.astimezone(UTC)


Instant = Annotated[AwareDatetime, BeforeValidator(require_date), AfterValidator(to_utc)]
"""An instant with an offset (RFC 3339), as UTC: PostgreSQL accepts fewer offsets than RFC 3339."""

SourceName = Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9_-]*$")]
"""The name of a source of records, as a filter."""

SearchText = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
"""Text to search for. PostgreSQL cannot store NUL, so nothing contains it."""
