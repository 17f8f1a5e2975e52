"""The retention of files, for administrators."""

from pydantic import BaseModel, ConfigDict, Field


class Retention(BaseModel):
    """How long a tenant's files are kept."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"days": 30}]})

    days: int = Field(ge=1, le=30)
