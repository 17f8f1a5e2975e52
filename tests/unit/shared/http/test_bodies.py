"""Bodies: first the sender is known, then the size, and only then the content; at every operation alike."""

from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from shared.auth import Identity, Token
from shared.errors import TransientError
from shared.http.app import create_app
from shared.http.bodies import ANONYMOUS_BODY_MAX, BODY_MAX
from shared.http.identity import CurrentIdentity, require_roles
from shared.http.routing import add_routes, create_router
from shared.lifecycle import Health
from tests.unit.shared.http.clients import CALLER, client_of, connect

PATH = "/api/v1/things"
router = create_router(PATH, "things")


@router.post("")
async def create_thing(_: CurrentIdentity, thing: dict[str, str]) -> str:
    return thing["name"]


@router.post("/ruled")
async def rule(_: Annotated[Identity, require_roles("admin")], thing: dict[str, str]) -> str:
    return thing["name"]


@router.post("/open")
async def log_in(thing: dict[str, str]) -> int:
    return len(thing["name"])


@router.post("/raw")
async def read_raw(request: Request) -> int:
    return len(await request.body())


def make_body(size: int) -> bytes:
    return b'{"name": "' + b"x" * size + b'"}'


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65_536 + 1):
        yield bytes(65_536)


@pytest.mark.parametrize("content", [b"{", make_body(BODY_MAX), make_body(1)])
async def test_a_stranger_gets_401_whatever_the_body(content: bytes) -> None:
    async with client_of(router, authenticated=False) as client:
        assert (await client.post(PATH, content=content, headers={"Content-Type": "text/x"})).status_code == 401
        assert (await client.post(PATH, content=chunks(BODY_MAX))).status_code == 401


async def test_a_sender_without_the_role_gets_403_and_one_with_access_413_and_only_then_422() -> None:
    async with client_of(router) as client:
        assert (await client.post(f"{PATH}/ruled", content=b"{")).status_code == 403
        assert (await client.post(PATH, content=make_body(BODY_MAX))).status_code == 413
        assert (await client.post(PATH, content=chunks(BODY_MAX))).status_code == 413
        json = {"Content-Type": "application/json"}
        assert (await client.post(PATH, content=b"{", headers=json)).status_code == 422


@pytest.mark.parametrize("path", ["/open", "/raw"])
async def test_what_needs_no_identity_reads_a_small_body_only(path: str) -> None:
    async with client_of(router, authenticated=False) as client:
        for content in (make_body(ANONYMOUS_BODY_MAX), chunks(ANONYMOUS_BODY_MAX)):
            answer = await client.post(PATH + path, content=content, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["detail"]) == (413, "The body is larger than 16 KiB: send less.")
        small = make_body(ANONYMOUS_BODY_MAX // 2)
        assert (await client.post(PATH + path, content=small, headers={"Content-Type": "application/json"})).is_success


async def test_not_a_byte_of_a_strangers_body_is_read() -> None:
    app = create_app(title="Test", service="test", health=Health(), authenticate=refuse)
    add_routes(app, router)
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": bytes(1024), "more_body": True}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(make_scope(), receive, send)
    assert (sent[0]["status"], taken) == (401, 0)


async def test_an_unavailable_database_is_503_before_the_body_as_after_it() -> None:
    app = create_app(title="Test", service="test", health=Health(), authenticate=fail)
    add_routes(app, router)
    async with connect(app) as client:
        answer = await client.post(PATH, content=b"{")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_a_request_is_authenticated_once() -> None:
    lookups = 0

    async def authenticate(_: Token) -> Identity | None:
        nonlocal lookups
        lookups += 1
        return CALLER

    app: FastAPI = create_app(title="Test", service="test", health=Health(), authenticate=authenticate)
    add_routes(app, router)
    async with connect(app) as client:
        assert (await client.post(PATH, json={"name": "x"})).json() == "x"
    assert lookups == 1


async def refuse(_: Token) -> Identity | None:
    return None


async def fail(_: Token) -> Identity | None:
    raise TransientError("gone fishing")


def make_scope() -> dict[str, object]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
