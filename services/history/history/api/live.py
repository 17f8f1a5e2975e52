"""Live changes as server-sent events."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query
from sse_starlette import EventSourceResponse, ServerSentEvent

from history.api.runs import Reader
from history.live import Change, Live
from shared.web import problem_responses

_STREAM = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
_HEARTBEAT, _SEND_LIMIT = 15, 30


def event_routes(live: Live) -> APIRouter:
    """Return the route /api/v1/events."""
    api = APIRouter(prefix="/api/v1/events", tags=["events"])

    @api.get(
        "",
        operation_id="followRuns",
        summary="Follow runs as they change",
        responses={**problem_responses(), 200: _STREAM},
        response_class=EventSourceResponse,
    )
    async def follow_runs(
        who: Reader,
        run: Annotated[UUID | None, Query(description="only this run")] = None,
        job: Annotated[UUID | None, Query(description="only this job's runs")] = None,
        after: Annotated[
            int | None, Query(ge=0, le=2**63 - 1, description="begin after this version, as of a run that is shown")
        ] = None,
        last_event_id: Annotated[
            int | None, Header(ge=0, le=2**63 - 1, description="resume after this event; goes before `after`")
        ] = None,
    ) -> EventSourceResponse:
        """Each event `run` has a run as listRuns shows it; `removed` its id. A `heartbeat` comes every 15 s."""
        seen = last_event_id if last_event_id is not None else after
        changes = live.follow(who.tenant_id, after=seen, run_id=run, job_id=job)
        return EventSourceResponse(
            _events(changes), ping=_HEARTBEAT, ping_message_factory=_heartbeat, send_timeout=_SEND_LIMIT, sep="\n"
        )

    return api


async def _events(changes: AsyncIterator[Change]) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(comment="connected", retry=2000, sep="\n")
    async for change in changes:
        yield ServerSentEvent(change.text, id=str(change.version), event=change.kind, sep="\n")


def _heartbeat() -> ServerSentEvent:
    # An event as well as a comment: a browser's script hears of events only, and tells by them that the line is alive.
    return ServerSentEvent("{}", event="heartbeat", comment="heartbeat", sep="\n")
