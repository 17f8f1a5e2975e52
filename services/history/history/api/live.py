"""Live changes as server-sent events."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from history.api import examples
from history.api.documents import refused
from history.api.runs import Reader
from history.service.live import Change, Live
from shared.observe import LIVE_DROPPED

_STREAM = {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": examples.STREAM}}}


class _Stream(EventSourceResponse):
    """A stream that drops a client who takes nothing for long: what it is sent must not pile up here."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except* SendTimeoutError:
            LIVE_DROPPED.inc()


def event_routes(live: Live, *, heartbeat: timedelta, patience: timedelta) -> APIRouter:
    """Return the route /api/v1/events."""
    api = APIRouter(prefix="/api/v1/events", tags=["events"])

    @api.get(
        "",
        operation_id="followRuns",
        summary="Follow runs as they change",
        responses={**refused(), 200: _STREAM},
        response_class=EventSourceResponse,
    )
    async def follow_runs(
        who: Reader,
        run: Annotated[UUID | None, Query(description="only this run", examples=[examples.RUN_ID])] = None,
        job: Annotated[UUID | None, Query(description="only this job's runs", examples=[examples.JOB_ID])] = None,
        after: Annotated[
            int | None,
            Query(
                ge=0, le=2**63 - 1, description="begin after this version, as of a run that is shown", examples=[90210]
            ),
        ] = None,
        last_event_id: Annotated[
            int | None,
            Header(ge=0, le=2**63 - 1, description="resume after this event; goes before `after`", examples=[90210]),
        ] = None,
    ) -> EventSourceResponse:
        """Each event `run` has a run as listRuns shows it; `removed` its id. A `heartbeat` comes every 15 s."""
        seen = last_event_id if last_event_id is not None else after
        changes = live.follow(who, after=seen, run_id=run, job_id=job)
        return _Stream(
            _events(changes),
            ping=heartbeat.total_seconds(),
            ping_message_factory=_heartbeat,
            send_timeout=patience.total_seconds(),
            sep="\n",
        )

    return api


async def _events(changes: AsyncIterator[Change]) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(comment="connected", retry=2000, sep="\n")
    async for change in changes:
        yield ServerSentEvent(change.text, id=str(change.version), event=change.kind, sep="\n")


def _heartbeat() -> ServerSentEvent:
    # An event as well as a comment: a browser's script hears of events only, and tells by them that the line is alive.
    return ServerSentEvent("{}", event="heartbeat", comment="heartbeat", sep="\n")
