"""The exporter's settings."""

import os
import socket
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field, Json

from shared.settings import ServiceSettings


def _own_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class Settings(ServiceSettings):
    """`SLUICE_EXPORTER_*`."""

    service: ClassVar[str] = "EXPORTER"

    source: str = Field(
        description="DSN of the contact history, of a role that may only read", pattern=r"^postgres(ql)?://"
    )
    store: str = Field(
        description="where files go: file:///folder, s3://bucket/prefix, gs://..., az://...", min_length=1
    )
    store_options: Json[dict[str, str]] = Field(
        default_factory=dict, repr=False, description="the store's credentials, region, endpoint ...: one JSON object"
    )
    name: str = Field(default_factory=_own_name, description="this exporter's name in the run log", max_length=200)
    slots: int = Field(1, ge=1, le=64, description="runs that this exporter works on at once, a process each")
    tenant_limit: int | None = Field(
        None, ge=1, description="runs of one tenant that may be exported at once, by all exporters together"
    )
    slice_rows: int = Field(
        20_000,
        ge=100,
        description="a split run is shared by several exporters in slices of at least about so many rows",
    )
    lease: timedelta = Field(
        timedelta(seconds=15),
        ge=timedelta(seconds=3),
        description="a run is taken over this long after its exporter's last sign",
    )
    transcoder: Literal["auto", "native", "server"] = Field(
        "auto",
        description="where records are made: here (native), by the source's server, or here if that was built (auto)",
    )
    drain: timedelta = Field(
        timedelta(seconds=10),
        ge=timedelta(0),
        description="at a stop, runs get this long to finish before they are handed back",
    )
    hold_back: timedelta = Field(
        timedelta(minutes=5),
        ge=timedelta(0),
        description="how far since_last_run stays behind where the reader may not see other sessions' transactions",
    )
