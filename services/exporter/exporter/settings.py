"""The exporter's settings."""

import os
import socket
from datetime import timedelta
from typing import ClassVar

from pydantic import Field, Json

from exporter.source.native.choice import TranscoderSetting
from shared.settings import ServiceSettings


def _get_default_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class Settings(ServiceSettings):
    """`SLUICE_EXPORTER_*`."""

    service: ClassVar[str] = "EXPORTER"

    source: str = Field(
        description="DSN of the contact history, with a role that has read access only", pattern=r"^postgres(ql)?://"
    )
    source_primary: str | None = Field(
        None,
        pattern=r"^postgres(ql)?://",
        description="DSN of the server that the contact history is written on, where SOURCE is a standby or "
        "subscriber: since_last_run needs to see its open transactions",
    )
    source_stall: timedelta = Field(
        timedelta(minutes=1),
        ge=timedelta(seconds=2),
        description="an attempt ends when the source has sent nothing for this long and is not seen at work",
    )
    store: str = Field(
        description="object store for the files: file:///folder, s3://bucket/prefix, gs://..., az://...", min_length=1
    )
    store_options: Json[dict[str, str]] = Field(
        default_factory=dict,
        repr=False,
        description="the store's credentials, region, endpoint and the like, as one JSON object",
    )
    name: str = Field(
        default_factory=_get_default_name, description="this exporter's name in the run log", max_length=200
    )
    slots: int = Field(
        1,
        ge=1,
        le=64,
        description="worker places: how many runs or slices this exporter works on at once, with a process for each",
    )
    tenant_limit: int | None = Field(
        None, ge=1, description="how many runs of one tenant all exporters together work on at once"
    )
    slice_rows: int = Field(
        20_000,
        ge=100,
        description="minimum rows in a slice: a split run with at least twice as many is shared by several exporters",
    )
    lease: timedelta = Field(
        timedelta(seconds=15),
        ge=timedelta(seconds=3),
        description="a run is taken over this long after its exporter last renewed its lease",
    )
    transcoder: TranscoderSetting = Field(
        "auto",
        description="where the records' JSON is built: in the worker (native), by the source's server (server), or in "
        "the worker if the native transcoder was compiled (auto)",
    )
    drain: timedelta = Field(
        timedelta(seconds=10),
        ge=timedelta(0),
        description="how long runs may take to finish at a stop before they are handed back",
    )
    hold_back: timedelta = Field(
        timedelta(minutes=5),
        ge=timedelta(0),
        description="how far since_last_run stays behind the clock when the source's reader cannot see other sessions' "
        "transactions",
    )
