"""History's settings."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field, Json

from shared.settings import OidcSettings, ServiceSettings


class Settings(OidcSettings, ServiceSettings):
    """`SLUICE_HISTORY_*`."""

    service: ClassVar[str] = "HISTORY"

    store: str = Field(
        description="where the exporters put files: file:///folder, s3://bucket/prefix, gs://..., az://...",
        min_length=1,
    )
    store_options: Json[dict[str, str]] = Field(
        default_factory=dict, repr=False, description="the store's credentials, region, endpoint ...: one JSON object"
    )
    batch: int = Field(5000, ge=1, le=50_000, description="events recorded in one transaction at most")
    stalled_after: timedelta = Field(
        timedelta(seconds=60),
        gt=timedelta(0),
        description="the estimates' process ends when messages wait and none was handled for so long",
    )
    heartbeat: timedelta = Field(
        timedelta(seconds=15), gt=timedelta(0), description="how often live streams say that they are there"
    )
    live_patience: timedelta = Field(
        timedelta(seconds=30),
        gt=timedelta(0),
        description="a client of live streams that takes nothing so long is dropped",
    )
    retention: timedelta = Field(
        timedelta(days=30), gt=timedelta(0), le=timedelta(days=30), description="how long files are kept"
    )
    retention_every: timedelta = Field(
        timedelta(minutes=1), gt=timedelta(0), description="how often files are looked for whose time is over"
    )
