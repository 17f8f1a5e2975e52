"""A small application over `shared.http`, and a client of it whose caller is an operator."""

from uuid import UUID

import httpx
from fastapi import APIRouter, FastAPI

from shared import auth
from shared.auth import Identity, Token
from shared.http.app import create_app
from shared.http.routing import add_routes
from shared.lifecycle import Health

CALLER = Identity(UUID(int=2), UUID(int=1), UUID(int=3), "Ada", frozenset({"operator"}))


async def authenticate(_: Token) -> Identity | None:
    return CALLER


def client_of(*routers: APIRouter, authenticated: bool = True) -> httpx.AsyncClient:
    """Return a client of an application with these routes, with or without a token."""
    app = create_app(title="Test", service="test", health=Health(), authenticate=authenticate)
    add_routes(app, *routers)
    return connect(app, authenticated=authenticated)


def connect(app: FastAPI, *, authenticated: bool = True) -> httpx.AsyncClient:
    """Return a client of an application, with or without a token."""
    headers = {"Authorization": f"Bearer {auth.create_token(CALLER.identity_id)}"} if authenticated else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://sluice.test", headers=headers)
