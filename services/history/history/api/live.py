"""Live updates as server-sent events (rule H6)."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Query, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from history.api import examples
from history.api.dependencies import AnyRole, JobFilter, Live, RunFilter
from history.service.live import LiveService, LiveUpdate, Subscription
from shared.http.admission import take_place
from shared.http.live import CLOSED_DATA, CLOSED_EVENT
from shared.http.places import Place, Use
from shared.http.problems import error_responses
from shared.http.routing import create_router
from shared.observe import LIVE_DROPPED

router = create_router("/api/v1/events", "events")
_RETRY_MILLISECONDS = 2000
_STREAM = {
    "description": "A stream without an end; the data of each event is JSON",
    "content": {
        "text/event-stream": {
            "schema": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": "#/components/schemas/RunStreamEvent"},
            },
            "example": examples.STREAM,
        }
    },
}
_Version = Query(
    ge=0, le=2**63 - 1, description="begin after this version, such as that of a known run", examples=[90210]
)
_LastEvent = Header(ge=0, le=2**63 - 1, description="resume after this event; overrides `after`", examples=[90210])


class _DroppingResponse(EventSourceResponse):
    """A stream that drops a client which reads nothing for too long, so that events do not pile up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except* SendTimeoutError:
            LIVE_DROPPED.inc()


@router.get(
    "",
    operation_id="followRuns",
    summary="Follow runs as they change",
    responses={200: _STREAM, **error_responses()},
    response_class=EventSourceResponse,
)
async def follow_runs(
    identity: AnyRole,
    request: Request,
    live: Live,
    *,
    run_id: RunFilter = None,
    job_id: JobFilter = None,
    after: Annotated[int | None, _Version] = None,
    last_event_id: Annotated[int | None, _LastEvent] = None,
) -> EventSourceResponse:
    """Stream an event `run` with each changed run, as listRuns returns it, `removed` with the id of a removed one.

    A `heartbeat` is sent every 15 s. When a caller opens more streams than are allowed, the oldest ends with `closed`.
    """
    place = take_place(request, identity, Use.STREAM)
    subscription = Subscription(identity, run_id, job_id, ended=place.ended)
    updates = live.follow(subscription, after=last_event_id if last_event_id is not None else after)
    return _respond(live, _to_events(updates, place))


def _respond(live: LiveService, events: AsyncIterator[ServerSentEvent]) -> EventSourceResponse:
    return _DroppingResponse(
        events,
        ping=live.heartbeat.total_seconds(),
        ping_message_factory=_make_heartbeat,
        send_timeout=live.send_timeout.total_seconds(),
        sep="\n",
    )


async def _to_events(updates: AsyncIterator[LiveUpdate], place: Place) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(comment="connected", retry=_RETRY_MILLISECONDS, sep="\n")
    async for update in updates:
        yield ServerSentEvent(update.data, id=str(update.version), event=update.kind, sep="\n")
    if place.ended.is_set():
        yield ServerSentEvent(CLOSED_DATA, event=CLOSED_EVENT, sep="\n")


def _make_heartbeat() -> ServerSentEvent:
    # An event as well as a comment: scripts in browsers see events only, and so know that the connection is alive.
    return ServerSentEvent("{}", event="heartbeat", comment="heartbeat", sep="\n")
