"""U1, U2, U4 at both APIs: who the caller is, by which token or cookie, from where, and with which role."""

from typing import Annotated
from uuid import UUID, uuid4

import httpx
import pytest

from shared import auth
from shared.auth import Identity, Token
from shared.http.app import create_app
from shared.http.identity import SESSION_COOKIE, CurrentIdentity, require_roles
from shared.lifecycle import Health

OURS = auth.create_token(uuid4())
JWT = "aaa.bbb.ccc"


def make_identity(name: str) -> Identity:
    return Identity(uuid4(), UUID(int=1), uuid4(), name, frozenset({"viewer"}))


async def authenticate(token: Token) -> Identity | None:
    return make_identity("ours") if token == OURS else None


async def authenticate_external(token: str) -> Identity | None:
    return make_identity("theirs") if token == JWT else None


def make_client(*, issuer: bool = True) -> httpx.AsyncClient:
    app = create_app(
        title="Test",
        service="test",
        health=Health(),
        authenticate=authenticate,
        authenticate_external=authenticate_external if issuer else None,
    )

    @app.api_route("/who", methods=["GET", "POST"])
    async def get_name(identity: CurrentIdentity) -> str:
        return identity.name

    @app.get("/operators")
    async def get_operators(identity: Annotated[Identity, require_roles("operator")]) -> str:
        return identity.name

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sluice.test")


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"Authorization": f"Bearer {OURS}"}, "ours"),
        ({"Authorization": f"bearer  {OURS} "}, "ours"),
        ({"Authorization": f"Bearer {JWT}"}, "theirs"),
        ({"Cookie": f"{SESSION_COOKIE}={OURS}"}, "ours"),
        ({"Cookie": f"{SESSION_COOKIE}={OURS}", "Authorization": "Basic eDp5"}, "ours"),
        ({"Cookie": f"{SESSION_COOKIE}={OURS}", "Authorization": f"Bearer {JWT}"}, "theirs"),
    ],
)
async def test_U1_a_caller_is_authenticated_by_token_or_cookie(headers: dict[str, str], name: str) -> None:
    async with make_client() as client:
        response = await client.get("/who", headers=headers)
    assert (response.status_code, response.json()) == (200, name)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Basic {OURS}"},
        {"Authorization": f"Bearer {auth.create_token(OURS.identity_id)}"},
        {"Cookie": f"{SESSION_COOKIE}={JWT}"},
        {"Cookie": f"other={OURS}"},
        {"Cookie": f"{SESSION_COOKIE}={OURS}", "Authorization": "Bearer x"},
    ],
)
async def test_U1_others_get_401(headers: dict[str, str]) -> None:
    async with make_client() as client:
        response = await client.get("/who", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


async def test_U1_without_an_issuer_its_tokens_are_invalid() -> None:
    async with make_client(issuer=False) as client:
        assert (await client.get("/who", headers={"Authorization": f"Bearer {JWT}"})).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Cookie": f"{SESSION_COOKIE}={OURS}"}, 403),
        ({"Cookie": f"{SESSION_COOKIE}={OURS}", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Cookie": f"{SESSION_COOKIE}={OURS}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Cookie": f"{SESSION_COOKIE}={OURS}", "Origin": "http://sluice.test"}, 200),
        ({"Authorization": f"Bearer {OURS}"}, 200),
    ],
)
async def test_U4_a_session_changes_things_from_our_own_pages_only(headers: dict[str, str], status: int) -> None:
    async with make_client() as client:
        assert (await client.post("/who", headers=headers)).status_code == status


async def test_U2_a_missing_role_is_named() -> None:
    async with make_client() as client:
        response = await client.get("/operators", headers={"Authorization": f"Bearer {OURS}"})
    assert response.status_code == 403
    assert "operator" in response.json()["detail"]
