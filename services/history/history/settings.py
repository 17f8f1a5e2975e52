"""History's settings."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field, Json

from shared.http.settings import LimitSettings
from shared.settings import OidcSettings, ServiceSettings


class Settings(LimitSettings, OidcSettings, ServiceSettings):
    """`SLUICE_HISTORY_*`."""

    service: ClassVar[str] = "HISTORY"

    store: str = Field(
        description="the exporters' object store: file:///folder, s3://bucket/prefix, gs://..., az://...",
        min_length=1,
    )
    store_options: Json[dict[str, str]] = Field(
        default_factory=dict,
        repr=False,
        description="the store's credentials, region, endpoint and so on, as one JSON object",
    )
    batch: int = Field(5000, ge=1, le=50_000, description="the most events recorded in one transaction")
    stalled_after: timedelta = Field(
        timedelta(seconds=60),
        gt=timedelta(0),
        description="the estimates end after this long when messages are waiting and none is handled",
    )
    heartbeat: timedelta = Field(
        timedelta(seconds=15), gt=timedelta(0), description="interval of the heartbeats in live streams"
    )
    live_patience: timedelta = Field(
        timedelta(seconds=30),
        gt=timedelta(0),
        description="a client of a live stream that reads nothing for this long is dropped",
    )
    retention: timedelta = Field(
        timedelta(days=30), gt=timedelta(0), le=timedelta(days=30), description="how long files are kept"
    )
    retention_every: timedelta = Field(
        timedelta(minutes=1), gt=timedelta(0), description="interval at which expired files are removed"
    )
