"""History's settings."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from shared.settings import OidcSettings, ServiceSettings


class Settings(OidcSettings, ServiceSettings):
    """`SLUICE_HISTORY_*`."""

    service: ClassVar[str] = "HISTORY"

    store: str = Field(description="where the exporters put files: file:///folder, s3://bucket/prefix, gs://, az://")
    batch: int = Field(5000, ge=1, le=50_000, description="events recorded in one transaction at most")
    stalled_after: timedelta = Field(
        timedelta(seconds=60),
        gt=timedelta(0),
        description="the estimates' process ends when messages wait and none was handled for so long",
    )
    retention: timedelta = Field(
        timedelta(days=30), gt=timedelta(0), le=timedelta(days=30), description="how long files are kept"
    )
    retention_every: timedelta = Field(
        timedelta(minutes=1), gt=timedelta(0), description="how often files are looked for whose time is over"
    )
