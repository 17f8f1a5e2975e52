"""Running a command in its unit of work, once for each Idempotency-Key; for the API and the pages alike."""

from collections.abc import Awaitable, Callable

from starlette.responses import JSONResponse

from job_api.store import UnitOfWork, UnitOfWorkFactory
from shared.auth import Identity
from shared.http.idempotency import IdempotencyStore, IdempotentRequest, RenderedResponse

Command = Callable[[UnitOfWork], Awaitable[RenderedResponse]]
"""Acts within a unit of work and returns the response to store and to send."""


async def run_once(
    units: UnitOfWorkFactory, identity: Identity, request: IdempotentRequest, *, command: Command
) -> RenderedResponse:
    """Run a command and return its response, or the stored response to the same request, which has no secrets.

    Raises Problem 409 if the key was used for another request, and whatever the command raises.
    """
    async with units.begin(identity) as work:
        store = IdempotencyStore(work.connection, identity)
        response = await store.recall(request, work.at)
        if response is None:
            response = await command(work)
            if (saving := store.bind_save(request, response)) is not None:
                work.defer(*saving)
        return response


async def respond_once(
    units: UnitOfWorkFactory, identity: Identity, request: IdempotentRequest, *, command: Command
) -> JSONResponse:
    """Run a command as `run_once` does, and return its response for the API. Raises what `run_once` raises."""
    return (await run_once(units, identity, request, command=command)).to_response({})
