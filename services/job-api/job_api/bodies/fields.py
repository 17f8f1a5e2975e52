"""The base of request bodies, and the types of their fields."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.http.values import require_date

_MAX_BIGINT = 2**63 - 1

BodyInstant = Annotated[datetime, BeforeValidator(require_date), Field(examples=["2027-01-04T06:00:00Z"])]
"""An RFC 3339 instant; that it has an offset is a rule of the domain (S6)."""

Whole = Annotated[int, Field(strict=True, ge=-_MAX_BIGINT, le=_MAX_BIGINT)]
"""An integer that PostgreSQL can store; which integers are valid is a rule of the domain."""

MediaType = Annotated[str, Field(max_length=200)]


class Body(BaseModel):
    """The JSON body of a request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
