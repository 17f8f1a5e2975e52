"""A connection stays usable after an unexpected error: the next request on it is answered, not reset."""

import asyncio
from typing import Annotated

import httpx
import uvicorn
from fastapi import Depends, Request

from shared.http.app import create_app
from shared.http.identity import CurrentIdentity
from shared.http.routing import add_routes, create_router
from shared.lifecycle import Health
from tests.support.wait import eventually
from tests.unit.shared.http.clients import authenticate, connect

router = create_router("/api/v1/things", "things")


@router.get("/port")
async def get_port(_: CurrentIdentity, request: Request) -> int:
    assert request.client is not None
    return request.client.port


async def fail() -> None:
    raise KeyError("secret")


@router.get("/broken")
async def get_broken(_: CurrentIdentity, __: Annotated[None, Depends(fail)]) -> None:
    raise AssertionError


async def test_the_next_request_after_a_500_is_answered_on_the_same_connection() -> None:
    app = create_app(title="Test", service="test", health=Health(), authenticate=authenticate)
    add_routes(app, router)
    headers = connect(app).headers
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    limits = httpx.Limits(max_connections=1)
    try:
        async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits) as client:
            port = (await client.get("/api/v1/things/port")).json()
            for _ in range(3):
                broken = await client.get("/api/v1/things/broken")
                assert (broken.status_code, "secret" in broken.text) == (500, False)
                assert (await client.get("/api/v1/things/port")).json() == port
    finally:
        server.should_exit = True
        await serving
