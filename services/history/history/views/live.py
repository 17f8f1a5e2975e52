"""Live updates: what the data of server-sent events is."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from history.views.runs import Run


class RemovedRun(BaseModel):
    """A run that has been removed from the log."""

    id: UUID


class Heartbeat(BaseModel):
    """Nothing: the stream is alive."""


class StreamClosed(BaseModel):
    """The stream ends because the caller has opened more than are allowed; do not open it again by itself."""

    detail: str


class RunStreamEvent(BaseModel):
    """One server-sent event; `data` is JSON."""

    event: Literal["run", "removed", "heartbeat", "closed"]
    id: int | None = Field(
        description="the version after which to resume, as Last-Event-ID; not of heartbeats, nor of `closed`"
    )
    data: Run | RemovedRun | Heartbeat | StreamClosed = Field(
        description="of `run`, `removed`, `heartbeat` and `closed` in this order"
    )
